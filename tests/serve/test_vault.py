"""The vault: sealed at rest, opened in memory, rotated, revoked at once; grants; the audit chain."""

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from catch11.cli import app
from catch11.copies.secretfile import Secret
from catch11.errors import Catch11Error, InvalidArgument
from catch11.keys.key import Key, build_joint_key, build_key
from catch11.models.load import load_picture_model
from catch11.serve.audit import check
from catch11.serve.grants import add_grant, end_grants, find_grant, granted_keys, spend
from catch11.serve.refusals import Forbidden, Refused, Revoked, Unknown
from catch11.serve.store import Store, open_store
from catch11.serve.tokens import Doorkeeper, Limits, create_token, list_tokens, revoke_token
from catch11.serve.vault import Models, Vault, add_key, list_keys, reseal, revoke_key, rotate_key
from tests.serve.conftest import MASTER

MODEL = "py:catch11.studies.nets.digits:patch"
SECRET = bytes(range(100, 132))


@pytest.fixture(scope="module")
def key() -> Key:
    return build_key(load_picture_model(MODEL), secret=SECRET)


@pytest.fixture
def held(store: Store, key: Key) -> str:
    return add_key(store, "digits", key, models=Models(model=MODEL, rivals=("py:x:y",)))


def whole(store: Store) -> bytes:
    """Every byte of the database's files."""
    path = Path(str(store.engine.url.database))
    return b"".join(p.read_bytes() for p in path.parent.glob(f"{path.name}*"))


def test_what_was_sealed_opens_the_same(store: Store, key: Key, held: str) -> None:
    opened = Vault(store).opened(held)
    assert (opened.key.secret, opened.key.fingerprint) == (SECRET, key.fingerprint)
    assert opened.models == Models(model=MODEL, rivals=("py:x:y",))
    assert MODEL not in repr(opened)
    assert "Key(" not in repr(opened)


def test_nothing_secret_lies_in_the_database(store: Store, held: str) -> None:
    token = create_token(store, "acme", ["recode"])
    data = whole(store)
    assert b"digits" in data
    for secret in (SECRET, SECRET.hex().encode(), MODEL.encode(), MASTER.encode()):
        assert secret not in data
    assert token.split("_", 2)[2].encode() not in data
    assert b"$argon2id$" in data


def test_a_copys_secret_is_sealed_beside_its_key(store: Store, key: Key) -> None:
    from catch11.copies.seal import seal_secret

    copy: Secret = seal_secret(load_picture_model(MODEL))
    name = add_key(store, "sealed", key, models=Models(), secret=copy)
    found = Vault(store).opened(name).secret
    assert found is not None
    assert found.secret == copy.secret
    assert copy.secret not in whole(store)


def test_names_are_unique(store: Store, key: Key, held: str) -> None:
    with pytest.raises(InvalidArgument, match="one that no key has, found digits"):
        add_key(store, "digits", key, models=Models())
    with pytest.raises(InvalidArgument, match="no /"):
        add_key(store, "a/b", key, models=Models())


def test_one_key_has_one_name(store: Store, key: Key, held: str) -> None:
    with pytest.raises(
        InvalidArgument, match="does not hold, found the active digits; use that one"
    ):
        add_key(store, "other", key, models=Models(model=MODEL))
    revoke_key(store, "digits")
    add_key(store, "other", key, models=Models(model=MODEL))


def test_keys_of_one_model_write_the_same_ledgers(store: Store, key: Key, held: str) -> None:
    """Rotated, of another secret, revoked and brought back, under another master secret: what a tenant had
    is known by the same marks, and they are not the key's."""
    vault = Vault(store)
    first = vault.opened(held)
    assert first.marks.stream(b"a", purpose="b").bytes(8) != key.stream(b"a", purpose="b").bytes(8)
    other = replace(key, secret=bytes(range(32)))
    names = [rotate_key(store, "digits"), add_key(store, "beside", other, models=Models())]
    for name in ("beside", "digits", held):
        revoke_key(store, name)
    names.append(add_key(store, "again", key, models=Models()))
    reseal(store, "another master secret", cost=10)
    found = Vault(store).opened(names[-1])
    assert (found.ledger, found.marks) == (first.ledger, first.marks)
    with store.begin() as session:
        assert {row for (row,) in session.execute(text("select ledger from keys"))} == {held}
    assert first.marks.secret not in whole(store)


def test_ledgers_from_before_keys_shared_them_go_on(store: Store, key: Key, held: str) -> None:
    with store.begin() as session:
        session.execute(text("update keys set front = null, sealed_ledger = null"))
    assert Vault(store).opened(held).marks is not None
    found = Vault(store).opened(rotate_key(store, "digits"))
    assert (found.ledger, found.marks.fingerprint) == (held, key.fingerprint)
    assert found.marks.stream(b"a", purpose="b").bytes(8) == key.stream(b"a", purpose="b").bytes(8)


def test_revoked_is_refused_at_once_and_wiped(store: Store, held: str) -> None:
    vault = Vault(store)
    vault.opened(held)
    revoke_key(store, "digits")
    for ask in (vault.opened, vault.check):
        with pytest.raises(Revoked, match="digits was revoked"):
            ask(held)
    with store.begin() as session:
        left = session.execute(text("select length(sealed_key) from keys")).scalar_one()
    assert left == 0
    with pytest.raises(Refused, match="is revoked"):
        rotate_key(store, "digits")


def test_rotation_makes_another_key_of_the_same_model(store: Store, key: Key, held: str) -> None:
    grant = add_grant(store, "digits", "acme", keep=("answer", "all"), quota=5)
    with store.begin() as session:
        spend(session, grant, 3)
    new = rotate_key(store, key.fingerprint[:12])
    vault = Vault(store)
    fresh, old = vault.opened(new), vault.opened(held)
    assert fresh.key.secret != old.key.secret
    assert fresh.key.front_fingerprint == old.key.front_fingerprint
    assert fresh.name == "digits"
    assert [one["state"] for one in list_keys(store)] == ["retired", "active"]
    (granted,) = granted_keys(store, "acme")
    assert granted["id"] == new
    (facts,) = granted["grants"]
    assert (facts["keep"], facts["left"]) == (["answer", "all"], 2), "the subspace is the model's"
    with store.begin() as session:
        spend(session, grant, 2)  # of a job that was begun before
    with pytest.raises(Forbidden, match="within the quota"), store.begin() as session:
        spend(session, grant, 1)


def test_keys_of_one_model_share_a_quota(store: Store, key: Key, held: str) -> None:
    """Whatever name, purpose or secret: what gives the subspace away is what a tenant had in all."""
    other = replace(key, secret=bytes(range(32)))
    add_key(store, "beside", other, models=Models())
    some = [
        add_grant(store, "digits", "acme", keep=("all",), quota=5),
        add_grant(store, "digits", "acme", keep=("all",), quota=3, purpose="demo"),
        add_grant(store, "beside", "acme", keep=("all",), quota=4),
    ]
    theirs = add_grant(store, "digits", "other", keep=("all",), quota=2)

    def left(tenant: str = "acme") -> list[int]:
        return [one["left"] for held in granted_keys(store, tenant) for one in held["grants"]]

    with store.begin() as session:
        spend(session, some[2], 3)
    assert (left(), left("other")) == ([2, 0, 1], [2])
    with pytest.raises(Forbidden, match="other keys of the model too"), store.begin() as session:
        spend(session, some[1], 1)
    rotate_key(store, "digits")
    end_grants(store, "beside", "acme")
    assert left() == [2, 0]
    with store.begin() as session:
        spend(session, some[0], 2)
        spend(session, theirs, 2)
    assert left() == [0, 0]


@pytest.mark.parametrize("old", [False, True])
def test_a_joint_key_stands_in_the_ledgers_of_its_models(
    store: Store, key: Key, held: str, old: bool
) -> None:
    second = load_picture_model(MODEL.replace("patch", "dense"))
    single = build_key(second)
    joint = build_joint_key([load_picture_model(MODEL), second])
    if old:  # noted without what a key is of
        with store.begin() as session:
            session.execute(
                text(
                    "update keys set front = null, public = replace(public, '\"members\"', '\"m\"')"
                )
            )
    vault, models = Vault(store), Models()
    made = add_key(store, "joint", joint, models=models)
    assert vault.opened(made).ledger == held
    revoke_key(store, "joint")
    assert vault.opened(add_key(store, "second", single, models=models)).ledger == held


def test_a_joint_key_of_two_ledgers_is_refused(store: Store, key: Key, held: str) -> None:
    second = load_picture_model(MODEL.replace("patch", "dense"))
    add_key(store, "second", build_key(second), models=Models())
    joint = build_joint_key([load_picture_model(MODEL), second])
    match = (
        "added before keys of its single models, found keys of two.*digits, second; give it a vault"
    )
    with pytest.raises(InvalidArgument, match=match):
        add_key(store, "joint", joint, models=Models())


def test_resealing_changes_both_secrets_and_keeps_what_they_held(
    store: Store, tmp_path: Path, held: str
) -> None:
    before = store.data_key
    assert reseal(store, "another master secret", cost=10) == 1
    assert check(store) == (2, "")
    again = open_store(f"sqlite:///{tmp_path / 'gateway.db'}", "another master secret", cost=10)
    assert again.data_key != before
    assert Vault(again).opened(held).key.secret == SECRET


def test_grants_say_what_may_be_kept_for_what_and_how_often(store: Store, held: str) -> None:
    add_grant(store, "digits", "acme", keep=("answer", "all"), purpose="research", quota=2)

    def ask(**said: str | None) -> object:
        facts = {"key": None, "purpose": None, "keep": None, "method": None, **said}
        with store.begin() as session:
            return find_grant(session, "acme", **facts)

    usual = ask()
    assert (usual.keep, usual.method, usual.counted) == ("answer", "deep", False)  # type: ignore[attr-defined]
    counted = ask(keep="all", key="digits", purpose="research")
    assert (counted.method, counted.counted) == ("spectral", True)  # type: ignore[attr-defined]
    for said, match in (
        ({"keep": "features"}, "your grant says answer, all"),
        ({"purpose": "advertising"}, "this purpose"),
        ({"key": "other"}, "no grant of yours"),
    ):
        with pytest.raises(Forbidden, match=match):
            ask(**said)
    with store.begin() as session:
        spend(session, counted.id, 2)  # type: ignore[attr-defined]
    with pytest.raises(Forbidden, match="within the quota"), store.begin() as session:
        spend(session, counted.id, 1)  # type: ignore[attr-defined]
    assert granted_keys(store, "other") == []
    assert end_grants(store, "digits", "acme") == 1
    assert granted_keys(store, "acme") == []


@pytest.mark.parametrize(
    ("said", "match"),
    [
        ({"tenant": "a b"}, "tenant: expected 1 to 64 letters"),
        ({"keep": ("nonsense",)}, "keep: expected answer"),
        ({"keep": ("layer:a,all",)}, "no comma in a layer's name"),
        ({"quota": -1}, "a quota of 0 or more"),
        ({"keep": ()}, "expected a keep"),
    ],
)
def test_bad_grants(store: Store, held: str, said: dict[str, object], match: str) -> None:
    with pytest.raises(InvalidArgument, match=match):
        add_grant(store, "digits", **{"tenant": "acme", **said})  # type: ignore[arg-type]
    with pytest.raises(Unknown, match="no key 'none'"):
        add_grant(store, "none", "acme")


def test_tokens_open_until_they_end(store: Store) -> None:
    token = create_token(store, "acme", ["verify", "recode"], limits=Limits(rate=7))
    door = Doorkeeper(store)
    bearer = door.bearer(token)
    assert (bearer.tenant, bearer.scopes, bearer.limits.rate) == ("acme", {"recode", "verify"}, 7)
    assert isinstance(list_tokens(store)[0]["used"], float)
    bearer.needs("verify")
    with pytest.raises(Forbidden, match="scope admin"):
        bearer.needs("admin")
    for wrong in (None, "", "c11", token[:-1], token + "x", token.replace("c11", "c12"), "c11__"):
        with pytest.raises(Refused, match="expected a valid token"):
            door.bearer(wrong)
    door.bearer(token)
    revoke_token(store, bearer.token)
    with pytest.raises(Refused, match="expected a valid token"):
        door.bearer(token)
    short = create_token(store, "acme", ["admin"], days=1e-9)
    with pytest.raises(Refused, match="expected a valid token"):
        door.bearer(short)
    assert [one["state"] for one in list_tokens(store)] == ["revoked", "expired"]


@pytest.mark.parametrize(
    ("said", "match"),
    [
        ({"scopes": ["root"]}, "some of recode, verify, admin, found root"),
        ({"scopes": []}, "found none"),
        ({"scopes": ["admin"], "days": 0.0}, "days: expected above 0"),
        ({"scopes": ["admin"], "tenant": "../x"}, "tenant: expected"),
    ],
)
def test_bad_tokens(store: Store, said: dict[str, object], match: str) -> None:
    with pytest.raises(InvalidArgument, match=match):
        create_token(store, **{"tenant": "acme", **said})  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match="rate: expected 1 or more"):
        Limits(rate=0)
    with pytest.raises(Unknown, match="no token"):
        revoke_token(store, "nonsense")


GONE = "the head of the log, written when the vault was made, was removed, and maybe lines with it"
DAMAGE = {
    "beheaded": "delete from audit_head",
    "changed": "update audit set detail = 'other' where number = 2",
    "swapped": "update audit set number = case number when 2 then -3 when 3 then -2 end where number in (2, 3)",
    "removed": "delete from audit where number = 2",
    "cut": "delete from audit where number = 4",
    "emptied": "delete from audit",
    "recounted": "update audit_head set number = 4, mac = 'x'",
}


@pytest.mark.parametrize("name", DAMAGE)
def test_the_audit_log_shows_what_was_done_to_it(store: Store, name: str) -> None:
    for tenant in ("a", "b", "c", "d"):
        create_token(store, tenant, ["recode"])
    assert check(store) == (4, "")
    with store.begin() as session:
        session.execute(text(DAMAGE[name]))
        if name == "swapped":
            session.execute(text("update audit set number = -number where number < 0"))
    lines, wrong = check(store)
    assert wrong
    assert lines <= 4


def test_a_log_without_its_head_is_a_finding_and_takes_no_lines(
    store: Store, tmp_path: Path
) -> None:
    assert check(store) == (0, "")
    create_token(store, "a", ["recode"])
    with store.begin() as session:
        for table in ("audit", "audit_head"):
            session.execute(text(f"delete from {table}"))
    again = open_store(f"sqlite:///{tmp_path / 'gateway.db'}", MASTER, cost=10)
    assert check(again) == (0, GONE)
    with pytest.raises(Catch11Error, match="found none; put the database back"):
        create_token(again, "b", ["recode"])
    asked = ["serve", "audit", "verify", "--home", str(tmp_path)]
    done = CliRunner().invoke(app, asked, env={"CATCH11_MASTER": MASTER})
    assert (done.exit_code, f"0 lines hold; {GONE}" in " ".join(done.output.split())) == (1, True)


def test_a_cut_with_its_head_put_back_shows_nothing_less_than_a_lost_line(store: Store) -> None:
    """The head is keyed too: whoever cuts the log cannot write a head that fits."""
    for tenant in ("a", "b"):
        create_token(store, tenant, ["recode"])
    with store.begin() as session:
        session.execute(text("delete from audit where number = 2"))
        session.execute(text("update audit_head set number = 1"))
    assert check(store) == (1, "the count of lines was changed")
