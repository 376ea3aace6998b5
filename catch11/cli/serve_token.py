"""catch11 serve token create, list, revoke: who may ask the gateway."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from catch11.cli.frame import Answer, command
from catch11.cli.help import MORE
from catch11.cli.serve_options import Db, Home, Master, open_gateway
from catch11.cli.views import list_view


@command("Operate", name="serve token create")
def create(
    tenant: Annotated[str, typer.Argument(metavar="TENANT", help="Whose token it is.")],
    scope: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SCOPE", show_default="recode, verify", help="recode, verify or admin; repeatable."
        ),
    ] = None,
    days: Annotated[float, typer.Option(metavar="N", help="How long it is valid.")] = 90.0,
    size: Annotated[
        int | None,
        typer.Option(metavar="BYTES", show_default="32 MiB", help="Of a file, at most.", rich_help_panel=MORE),
    ] = None,
    pixels: Annotated[
        int | None,
        typer.Option(metavar="N", show_default="40 million", help="Of a picture, at most.", rich_help_panel=MORE),
    ] = None,
    samples: Annotated[
        int | None,
        typer.Option(metavar="N", show_default="40 million", help="Of a sound, all channels, at most.", rich_help_panel=MORE),
    ] = None,
    rate: Annotated[
        int | None,
        typer.Option(metavar="N", show_default="600", help="Requests a minute.", rich_help_panel=MORE),
    ] = None,
    concurrent: Annotated[
        int | None,
        typer.Option(metavar="N", show_default="64", help="Jobs at a time.", rich_help_panel=MORE),
    ] = None,
    home: Home = None,
    db: Db = None,
    master: Master = None,
) -> Answer:  # fmt: skip
    """Make a token for a tenant and show it, this once; the database holds its argon2id hash.

    Example: catch11 serve token create acme --scope recode --days 30
    """
    store = open_gateway(home, db, master)
    from catch11.serve.tokens import Limits, create_token

    asked = {
        "size": size,
        "pixels": pixels,
        "samples": samples,
        "rate": rate,
        "concurrent": concurrent,
    }
    limits = Limits(**{name: value for name, value in asked.items() if value is not None})
    scopes = scope or ["recode", "verify"]
    token = create_token(store, tenant, scopes, days=days, limits=limits)
    facts = {"token": token, "id": token.split("_")[1], "tenant": tenant, "scopes": scopes}
    return Answer(
        facts=facts, view=f"{token}\nkeep it: it is shown this once, and valid for {days:g} days"
    )


@command("Operate", name="serve token list")
def show(home: Home = None, db: Db = None, master: Master = None) -> Answer:
    """List all tokens: whose they are, what they may, until when, when they were last used.

    Example: catch11 serve token list
    """
    store = open_gateway(home, db, master)
    from catch11.serve.tokens import list_tokens

    found = list_tokens(store)
    rows = [
        (
            str(one["id"]), str(one["tenant"]), ", ".join(one["scopes"]),  # type: ignore[arg-type]
            _day(one["expires"]), _day(one["used"]), str(one["state"]),
        )
        for one in found
    ]  # fmt: skip
    view = list_view(("id", "tenant", "scopes", "expires", "last used", "state"), rows)
    return Answer(facts={"tokens": found}, view=view)


@command("Operate", name="serve token revoke")
def revoke(
    token: Annotated[str, typer.Argument(metavar="ID", help="The token's id: its middle part.")],
    home: Home = None,
    db: Db = None,
    master: Master = None,
) -> Answer:
    """End a token: the next request with it is refused.

    Example: catch11 serve token revoke 5f1d0c3b9a72
    """
    store = open_gateway(home, db, master)
    from catch11.serve.tokens import revoke_token

    revoke_token(store, token)
    return Answer(facts={"revoked": token}, view=f"{token}: revoked")


def _day(seconds: object) -> str:
    if not isinstance(seconds, float):
        return "never"
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")
