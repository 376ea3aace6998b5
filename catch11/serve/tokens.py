"""API tokens: shown once, kept as argon2id hashes, with scopes, limits, an end and a last use."""

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from threading import Lock

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import select

from catch11.errors import InvalidArgument
from catch11.serve.audit import note
from catch11.serve.refusals import Forbidden, Unauthorized, Unknown
from catch11.serve.store import Store
from catch11.serve.tables import TokenRow

SCOPES = ("recode", "verify", "admin")
MARK = "c11"
DAY = 86400.0
_ID, _SECRET, _SALT, _SEAL = 6, 32, 16, 9  # bytes
_REMEMBERED = 4096  # tokens whose hash was checked, so that argon2 runs once a token and process
_USED = 60.0  # seconds between two notes of a token's last use
_HASHER = PasswordHasher()  # argon2id, RFC 9106's second choice


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one token may ask. size: bytes of a file. pixels: of a picture. samples: of a sound, all
    channels. parts: files of a job.
    total: bytes of a job, unpacked. rate: requests a minute. concurrent: jobs not yet done."""

    size: int = 32 << 20
    pixels: int = 40_000_000
    samples: int = 40_000_000
    parts: int = 10_000
    total: int = 4 << 30
    rate: int = 600
    concurrent: int = 64

    def __post_init__(self) -> None:
        for item in fields(self):
            if getattr(self, item.name) < 1:
                raise InvalidArgument(
                    item.name, expected="1 or more", found=getattr(self, item.name)
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class Bearer:
    """Who asks: a valid token's holder."""

    token: str
    tenant: str
    scopes: frozenset[str]
    limits: Limits = field(default_factory=Limits)

    def needs(self, scope: str) -> None:
        """Raises Forbidden without the scope."""
        if scope not in self.scopes:
            held = ", ".join(sorted(self.scopes))
            raise Forbidden(f"this token may {held}; this needs a token with the scope {scope}.")


def create_token(
    store: Store, tenant: str, scopes: Sequence[str], *, days: float = 90.0,
    limits: Limits | None = None, by: str = "operator",
) -> str:  # fmt: skip
    """A new token, which is shown this once. Raises InvalidArgument."""
    check_tenant(tenant)
    if not scopes or not set(scopes) <= set(SCOPES):
        expected = f"some of {', '.join(SCOPES)}"
        raise InvalidArgument("scope", expected=expected, found=", ".join(scopes) or "none")
    if not 0.0 < days <= 3660.0:
        raise InvalidArgument("days", expected="above 0, at most 3660", found=days)
    name, salt, drawn = secrets.token_hex(_ID), secrets.token_bytes(_SALT), secrets.token_urlsafe(_SECRET)  # fmt: skip
    secret, now = drawn + _seal(drawn, salt), time.time()
    row = TokenRow(
        id=name, tenant=tenant, hashed=_HASHER.hash(secret, salt=salt), scopes=",".join(sorted(set(scopes))),
        limits=json.dumps(asdict(limits or Limits())), created=now, expires=now + days * DAY,
        used=None, ended=None,
    )  # fmt: skip
    with store.begin() as session:
        session.add(row)
        note(
            store,
            session,
            "token create",
            tenant=tenant,
            token=name,
            detail=f"{row.scopes} by {by}",
        )
    return f"{MARK}_{name}_{secret}"


def list_tokens(store: Store) -> list[dict[str, object]]:
    """Facts of all tokens; neither secrets nor hashes."""
    with store.begin() as session:
        rows = session.scalars(select(TokenRow).order_by(TokenRow.created)).all()
    return [
        {
            "id": row.id, "tenant": row.tenant, "scopes": row.scopes.split(","),
            "created": row.created, "expires": row.expires, "used": row.used,
            "state": "revoked" if row.ended else "expired" if row.expires < time.time() else "valid",
        }
        for row in rows
    ]  # fmt: skip


def revoke_token(store: Store, name: str, *, by: str = "operator") -> None:
    """End a token: the next request with it is refused. Raises Unknown."""
    with store.begin() as session:
        row = session.get(TokenRow, name)
        if row is None:
            raise Unknown("token", name)
        row.ended = row.ended or time.time()
        note(store, session, "token revoke", tenant=row.tenant, token=name, detail=f"by {by}")


def check_tenant(name: str) -> str:
    """A tenant's name. Raises InvalidArgument."""
    if not 1 <= len(name) <= 64 or not all(c.isalnum() or c in "-_." for c in name) or not name.isascii():  # fmt: skip
        expected = "1 to 64 letters, digits, dots, dashes or underscores"
        raise InvalidArgument("tenant", expected=expected, found=repr(name[:80]))
    return name


def _seal(drawn: str, salt: bytes) -> str:
    """What ends a token's secret. Who made it up fails here at once, and keeps nobody waiting for
    a slow hash; who has the salt has the database."""
    digest = hashlib.blake2b(drawn.encode("utf-8", "replace"), key=salt, digest_size=_SEAL).digest()
    return base64.urlsafe_b64encode(digest).decode()


def _sealed(secret: str, hashed: str) -> bool:
    """Whether a secret ends as the token's own does. hashed: in argon2's form, with the salt."""
    told = hashed.split("$")[-2]
    length = len(_seal("", b""))
    wanted = _seal(secret[:-length], base64.b64decode(told + "=" * (-len(told) % 4)))
    return hmac.compare_digest(wanted.encode(), secret[-length:].encode("utf-8", "replace"))


class Doorkeeper:
    """Checks tokens; the slow hash once a token, its end and revocation at every request."""

    def __init__(self, store: Store) -> None:
        self._store, self._salt = store, secrets.token_bytes(16)
        self._checked: OrderedDict[bytes, str] = OrderedDict()
        self._noted: dict[str, float] = {}
        self._lock = Lock()
        self._hashing = Lock()  # a hash takes 64 MiB: one at a time, whoever asks

    def bearer(self, given: str | None) -> Bearer:
        """Who holds a token. Raises Unauthorized with one sentence for whatever is wrong with it."""
        mark, _, rest = (given or "").partition("_")
        name, _, secret = rest.partition("_")
        with self._store.reading() as session:
            row = session.get(TokenRow, name) if mark == MARK and len(name) == 2 * _ID else None
        now = time.time()
        good = row is not None and not row.ended and row.expires >= now
        if row is None or not good or not self._holds(given or "", secret, row.hashed):
            raise Unauthorized(
                "expected a valid token in the header Authorization: Bearer, found "
                f"{'another' if given else 'none'}; ask the operator for one (catch11 serve token create)."
            )
        self._note_use(row.id, now)
        return Bearer(
            token=row.id, tenant=row.tenant, scopes=frozenset(row.scopes.split(",")),
            limits=Limits(**json.loads(row.limits)),
        )  # fmt: skip

    def _holds(self, given: str, secret: str, hashed: str) -> bool:
        mark = hashlib.blake2b(given.encode("utf-8", "replace"), key=self._salt).digest()
        with self._lock:
            if self._checked.get(mark) == hashed:
                self._checked.move_to_end(mark)
                return True
        if not _sealed(secret, hashed):
            return False
        with self._hashing:
            good = self._verified(hashed, secret)
        if not good:
            return False
        with self._lock:
            self._checked[mark] = hashed
            while len(self._checked) > _REMEMBERED:
                self._checked.popitem(last=False)
        return True

    @staticmethod
    def _verified(hashed: str, secret: str) -> bool:
        try:
            return _HASHER.verify(hashed, secret)
        except (VerificationError, InvalidHashError):
            return False

    def _note_use(self, name: str, now: float) -> None:
        if now - self._noted.get(name, 0.0) < _USED:
            return
        self._noted[name] = now
        with self._store.begin() as session:
            session.get_one(TokenRow, name).used = now
