"""catch11 serve key add, list, grant, revoke, rotate: what is in the gateway's vault, and for whom."""

from pathlib import Path
from typing import Annotated

import typer

from catch11.cli.frame import Answer, command
from catch11.cli.options import SPEC, AllowCode, Device, Secret, open_key, open_secret
from catch11.cli.serve_options import Db, Home, Master, open_gateway
from catch11.cli.views import list_view

Named = Annotated[
    str, typer.Argument(metavar="KEY", help="Its name, id, or fingerprint's beginning.")
]


@command("Operate", name="serve key add")
def add(
    key: Annotated[Path, typer.Argument(metavar="KEY", help="The key file.")],
    name: Annotated[str, typer.Option(metavar="NAME", help="What the gateway calls it.")],
    model: Annotated[
        str | None, typer.Option(metavar="MODEL", help=f"The authorized model: {SPEC}")
    ] = None,
    rival: Annotated[
        list[str] | None,
        typer.Option(metavar="MODEL", help="A model to show beside it; repeatable."),
    ] = None,
    secret: Secret = None,
    device: Device = "cpu",
    allow_code: AllowCode = False,
    home: Home = None,
    db: Db = None,
    master: Master = None,
) -> Answer:
    """Seal a key in the vault, with the names of its models and the secret of its copy. One key has one name.

    With a MODEL, deep files can be had, and the model checks every file. The key file itself is not
    touched: keep it elsewhere, or destroy it.

    Example: catch11 serve key add deit.key --name deit --model hf:models/deit-tiny-patch16-224
    """
    store = open_gateway(home, db, master)
    from catch11.serve.vault import Models, add_key

    opened = open_key(key)
    models = Models(model=model or "", rivals=tuple(rival or ()), device=device, code=allow_code)
    copy = None if secret is None else open_secret(secret)
    made = add_key(store, name, opened, models=models, secret=copy)
    facts = {"id": made, "name": name, "fingerprint": opened.fingerprint}
    view = (
        f"{name}: key {opened.fingerprint[:16]} sealed\nnext: catch11 serve key grant {name} TENANT"
    )
    return Answer(facts=facts, view=view)


@command("Operate", name="serve key list")
def show(home: Home = None, db: Db = None, master: Master = None) -> Answer:
    """List all keys: nothing secret, and not what their models are loaded by.

    Example: catch11 serve key list
    """
    store = open_gateway(home, db, master)
    from catch11.serve.vault import list_keys

    found = list_keys(store)
    rows = [(one["name"], one["fingerprint"][:16], one["modality"], one["state"]) for one in found]
    view = list_view(("name", "fingerprint", "data", "state"), rows)
    return Answer(facts={"keys": found}, view=view)


@command("Operate", name="serve key grant")
def grant(
    key: Named,
    tenant: Annotated[str, typer.Argument(metavar="TENANT", help="Who may use it.")],
    keep: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WHAT", show_default="answer",
            help="What files may keep, as of recode; repeatable, the first is the usual one.",
        ),
    ] = None,
    purpose: Annotated[str, typer.Option(metavar="TEXT", help="What for.")] = "any",
    quota: Annotated[
        int,
        typer.Option(
            metavar="N", min=0, help="Spectral and scramble files in all, of whichever key of the model, each row of a table and each document counted: a few chosen pictures among them "
            "give the key's subspace away. Deep and sealed files are not counted.",
        ),
    ] = 0,
    end: Annotated[
        bool, typer.Option("--end", help="Take all grants of this key from the tenant instead.")
    ] = False,
    home: Home = None,
    db: Db = None,
    master: Master = None,
) -> Answer:  # fmt: skip
    """Let a tenant use a key, or no longer.

    Example: catch11 serve key grant deit acme --keep answer --keep scores --purpose research
    """
    store = open_gateway(home, db, master)
    from catch11.serve.grants import add_grant, end_grants

    if end:
        count = end_grants(store, key, tenant)
        return Answer(facts={"ended": count}, view=f"{tenant}: {count} grants of {key} ended")
    kept = tuple(keep or ("answer",))
    made = add_grant(store, key, tenant, keep=kept, purpose=purpose, quota=quota)
    facts = {"id": made, "tenant": tenant, "keep": kept, "purpose": purpose, "quota": quota}
    return Answer(facts=facts, view=f"{tenant} may have files of {key} that keep {', '.join(kept)}")


@command("Operate", name="serve key revoke")
def revoke(key: Named, home: Home = None, db: Db = None, master: Master = None) -> Answer:
    """Refuse a key from now on: running jobs stop, finished ones are no longer handed out.

    Its sealed bytes are wiped from the vault; there is no way back but the key file.

    Example: catch11 serve key revoke deit
    """
    store = open_gateway(home, db, master)
    from catch11.serve.vault import revoke_key

    return Answer(facts={"revoked": revoke_key(store, key)}, view=f"{key}: revoked")


@command("Operate", name="serve key rotate")
def rotate(
    key: Named,
    home: Home = None,
    db: Db = None,
    master: Master = None,
) -> Answer:
    """Give a key a new secret, for the same model; its grants move, with what was spent of their quotas.

    The old one takes no more jobs. Licensees notice nothing: the model is the same. What a tenant had of the old one
    is withheld: two files of one source together give it away.

    Example: catch11 serve key rotate deit
    """
    store = open_gateway(home, db, master)
    from catch11.serve.vault import list_keys, rotate_key

    made = rotate_key(store, key)
    named = next(one["fingerprint"] for one in list_keys(store) if one["id"] == made)
    return Answer(facts={"id": made, "fingerprint": named}, view=f"{key}: key {named[:16]} now")
