"""The vault: keys, copies' secrets and models' names, sealed at rest and opened only in memory."""

import json
import secrets
import time
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from threading import Lock
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from catch11.copies.secretfile import Secret, secret_bytes, secret_from_bytes
from catch11.crypto.envelope import new_data_key, open_at, seal_at
from catch11.crypto.passphrase import COST, encrypt
from catch11.errors import InvalidArgument
from catch11.keys.file import key_bytes, key_from_bytes
from catch11.keys.key import SECRET_BYTES, Key
from catch11.releases.ledger import Marks
from catch11.releases.manifest import public_key
from catch11.serve.audit import check, note, rechain
from catch11.serve.refusals import Refused, Revoked, Unknown
from catch11.serve.store import Store
from catch11.serve.tables import GrantRow, KeyRow, VaultRow

ACTIVE, RETIRED, REVOKED = "active", "retired", "revoked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    """What the models of a key are loaded by. rivals: which others are asked, to show what they
    read. code: whether loading may run code of their files, which the operator alone can say."""

    model: str = ""
    rivals: tuple[str, ...] = ()
    device: str = "cpu"
    code: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Opened:
    """A key as it is worked with, in memory alone; its repr shows none of it. marks: what its ledgers know
    sources by."""

    id: str
    name: str
    ledger: str
    key: Key = field(repr=False)
    marks: Key | Marks = field(repr=False)
    secret: Secret | None = field(repr=False)
    models: Models = field(repr=False)


def add_key(
    store: Store, name: str, key: Key, *, models: Models, secret: Secret | None = None
) -> str:
    """Seal a key under a name of its own; its id. Its files stand in the ledgers of all keys of the same
    model, revoked and joint ones too: no second strength by another name. Raises InvalidArgument."""
    if not name or len(name) > 80 or not name.isprintable() or "/" in name:
        raise InvalidArgument(
            "name", expected="1 to 80 printable characters, no /", found=repr(name)
        )
    row = _sealed(store, secrets.token_hex(8), name, key, models=models, secret=secret)
    with store.begin() as session:
        if session.scalar(select(KeyRow).where(KeyRow.name == name)) is not None:
            raise InvalidArgument("name", expected="one that no key has", found=name)
        rows = session.scalars(select(KeyRow).order_by(KeyRow.created)).all()
        for one in rows:
            same = one.fingerprint == row.fingerprint and _copy(one) == _copy(row)
            if same and one.state != REVOKED:
                raise InvalidArgument(
                    "key", expected="one that the vault does not hold", found=f"the {one.state} {one.name}",
                    remedy="use that one, or make a key of another secret",
                )  # fmt: skip
        known = [one for one in rows if one.sealed_ledger or one.sealed_key]
        kin = [one for one in known if _fronts(store, one) & _fronts(store, row)]
        if key.members and len({one.ledger for one in kin}) > 1:
            raise InvalidArgument(
                "key", expected="a joint key that was added before keys of its single models", remedy="give it a vault of its own",
                found="keys of two of its models, whose ledgers are two: " + ", ".join(sorted(one.name for one in kin)),
            )  # fmt: skip
        _join(store, row, kin[0] if kin else None, key)
        session.add(row)
        note(store, session, "key add", key=key.fingerprint, detail=name)
    return row.id


def list_keys(store: Store) -> list[dict[str, Any]]:
    """What may be known of all keys, in the order in which they came."""
    with store.begin() as session:
        rows = session.scalars(select(KeyRow).order_by(KeyRow.created)).all()
    return [facts_of(row) for row in rows]


def facts_of(row: KeyRow) -> dict[str, Any]:
    """What may be known of a key: nothing secret, and not what its models are loaded by."""
    return {
        "id": row.id, "name": row.name, "fingerprint": row.fingerprint, "modality": row.modality,
        "state": row.state, **json.loads(row.public),
    }  # fmt: skip


def key_row(session: Session, name: str) -> KeyRow:
    """A key by its id, name, or fingerprint's beginning of 8 digits or more. Raises Unknown."""
    found = session.scalar(select(KeyRow).where((KeyRow.id == name) | (KeyRow.name == name)))
    if found is None and len(name) >= 8 and name.isalnum():
        some = session.scalars(select(KeyRow).where(KeyRow.fingerprint.startswith(name))).all()
        found = some[0] if len(some) == 1 else None
    if found is None:
        raise Unknown("key", name)
    return found


def revoke_key(store: Store, name: str, *, by: str = "operator") -> str:
    """Refuse a key from now on, in running jobs too; its sealed bytes are wiped. Returns its id."""
    with store.begin() as session:
        row = key_row(session, name)
        row.state, row.ended = REVOKED, time.time()
        row.sealed_key, row.sealed_secret = b"", None
        note(store, session, "key revoke", key=row.fingerprint, detail=f"by {by}")
        return row.id


def rotate_key(store: Store, name: str, *, by: str = "operator") -> str:
    """A new secret for the same model in place of a key; its grants move. Returns the new id.

    The old one is retired: its finished jobs can still be fetched, and no new ones are taken.
    """
    with store.begin() as session:
        row = key_row(session, name)
        if row.state != ACTIVE:
            sentence = f"the key {row.name} is {row.state}; only an active key is rotated."
            raise Refused(sentence, status=409)
        held = _opened(store, row)
        fresh = replace(held.key, secret=secrets.token_bytes(SECRET_BYTES))
        new = _sealed(
            store, secrets.token_hex(8), row.name, fresh, models=held.models, secret=held.secret
        )
        _join(store, new, row, fresh)
        until = datetime.fromtimestamp(new.created, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
        row.name, row.state, row.ended = f"{row.name} until {until}", RETIRED, new.created
        session.flush()
        session.add(new)
        session.flush()
        for grant in session.scalars(select(GrantRow).where(GrantRow.key_id == row.id)):
            _moved(session, grant, new.id)
        note(store, session, "key rotate", key=new.fingerprint, detail=f"from {row.fingerprint[:16]} by {by}")  # fmt: skip
        return new.id


def reseal(store: Store, master: str, *, cost: int = COST) -> int:
    """Seal everything anew, under a new data key and a new master secret; the audit log is chained anew
    once it was found whole. Returns the number of keys. Raises Refused where the log does not hold.
    """
    _, wrong = check(store)
    if wrong:
        raise Refused(f"the audit log does not hold ({wrong}); the vault is left as it is.")
    fresh = Store(store.engine, new_data_key())
    with store.begin() as session:
        rows = session.scalars(select(KeyRow)).all()
        for row in rows:
            for column in ("key", "secret", "models", "ledger"):
                if held := getattr(row, f"sealed_{column}"):
                    plain = open_at(held, store.data_key, "keys", row.id, column)
                    again = seal_at(plain, fresh.data_key, "keys", row.id, column)
                    setattr(row, f"sealed_{column}", again)
        rechain(fresh, session)
        note(fresh, session, "vault rotate", detail=f"{len(rows)} keys")
        session.get_one(VaultRow, 1).wrapped = encrypt(fresh.data_key, master, cost=cost)
    store.data_key = fresh.data_key
    return len(rows)


class Vault:
    """Opened keys, kept in memory while their rows say that they are active or retired."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._held: dict[str, Opened] = {}
        self._lock = Lock()

    def opened(self, name: str) -> Opened:
        """A key by its id. Raises Revoked, Unknown."""
        with self.store.reading() as session, self._lock:
            row = self._row(session, name)
            if name not in self._held:
                self._held[name] = _opened(self.store, row)
            return self._held[name]

    def check(self, name: str) -> None:
        """Raises Revoked for a key that was revoked, Unknown for none."""
        with self.store.reading() as session:
            self._row(session, name)

    def _row(self, session: Session, name: str) -> KeyRow:
        row = session.get(KeyRow, name)
        if row is None:
            raise Unknown("key", name)
        if row.state == REVOKED:
            self._held.pop(name, None)
            raise Revoked(row.name)
        return row


def _moved(session: Session, grant: GrantRow, key: str) -> None:
    """The same grant of another key; the old one ends, and stays for the jobs that name it."""
    if grant.ended is not None:
        return
    facts = {name: getattr(grant, name) for name in ("tenant", "purpose", "keep", "quota")}
    grant.ended = time.time()
    session.add(
        GrantRow(id=secrets.token_hex(8), key_id=key, created=grant.ended, ended=None, spent=0, **facts)
    )  # fmt: skip


def _join(store: Store, row: KeyRow, other: KeyRow | None, key: Key) -> None:
    """Have a new key write the ledgers of another of its model, or ones of its own."""
    if other is None:
        marks = Marks(fingerprint=key.fingerprint, secret=secrets.token_bytes(SECRET_BYTES))
    else:
        row.ledger = other.ledger
        found = _marks(store, other)
        marks = Marks(fingerprint=found.fingerprint, secret=found.secret)
    plain = bytes.fromhex(marks.fingerprint) + marks.secret
    row.sealed_ledger = seal_at(plain, store.data_key, "keys", row.id, "ledger")


def _marks(store: Store, row: KeyRow) -> Key | Marks:
    if row.sealed_ledger is None:  # its ledgers are older than those that keys share
        return _key(store, row)
    plain = open_at(row.sealed_ledger, store.data_key, "keys", row.id, "ledger")
    return Marks(fingerprint=plain[:-SECRET_BYTES].hex(), secret=plain[-SECRET_BYTES:])


def _copy(row: KeyRow) -> str | None:
    """The public name of the copy that a key's files are sealed for, if so."""
    found: str | None = json.loads(row.public)["sealed"]
    return found


def _fronts(store: Store, row: KeyRow) -> frozenset[str]:
    """The fingerprints of what a key is of: of a joint one, those of all its models."""
    public = json.loads(row.public)
    members = public.get("members")
    if (members is None or row.front is None) and row.sealed_key:  # it is older than these notes
        key = _key(store, row)
        row.front, members = key.front_fingerprint, key.members
        row.public = json.dumps({**public, "members": members})
    return frozenset(members or ([row.front] if row.front else ()))


def _key(store: Store, row: KeyRow) -> Key:
    return key_from_bytes(open_at(row.sealed_key, store.data_key, "keys", row.id, "key"))


def _sealed(
    store: Store, name: str, title: str, key: Key, *, models: Models, secret: Secret | None
) -> KeyRow:
    def sealed(data: bytes, column: str) -> bytes:
        return seal_at(data, store.data_key, "keys", name, column)

    public = {
        "canvas": key.canvas.to_dict(), "public_key": public_key(key), "private": key.private,
        "sealed": getattr(secret, "fingerprint", None), "checked": bool(models.model),
        "rivals": len(models.rivals), "members": key.members,
    }  # fmt: skip
    return KeyRow(
        id=name, name=title, fingerprint=key.fingerprint, modality=key.modality, state=ACTIVE,
        public=json.dumps(public), front=key.front_fingerprint, ledger=name, sealed_key=sealed(key_bytes(key), "key"),
        sealed_secret=None if secret is None else sealed(secret_bytes(secret), "secret"),
        sealed_models=sealed(json.dumps(asdict(models)).encode(), "models"),
        created=time.time(), ended=None,
    )  # fmt: skip


def _opened(store: Store, row: KeyRow) -> Opened:
    def opened(sealed: bytes, column: str) -> bytes:
        return open_at(sealed, store.data_key, "keys", row.id, column)

    models = json.loads(opened(row.sealed_models, "models"))
    held = row.sealed_secret
    return Opened(
        id=row.id,
        name=row.name,
        ledger=row.ledger,
        key=_key(store, row),
        marks=_marks(store, row),
        secret=None if held is None else secret_from_bytes(opened(held, "secret")),
        models=Models(**{**models, "rivals": tuple(models["rivals"])}),
    )
