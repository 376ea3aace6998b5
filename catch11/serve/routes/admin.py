"""Keys that a tenant may use; tokens and keys for those who run the gateway."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path
from pydantic import BaseModel, BeforeValidator, Field

from catch11.serve import audit
from catch11.serve.asks import PRINTED
from catch11.serve.grants import add_grant, end_grants, granted_keys, list_grants
from catch11.serve.routes.given import REFUSALS, Admin, Anyone, Gateway
from catch11.serve.tokens import create_token, list_tokens, revoke_token
from catch11.serve.vault import list_keys, revoke_key, rotate_key

router = APIRouter(prefix="/v1", responses=REFUSALS)
Named = Annotated[str, Path(min_length=1, max_length=120)]


class Me(BaseModel):
    """Who asks, and within what."""

    tenant: str
    scopes: list[str]
    limits: dict[str, int]


class Grant(BaseModel):
    """What a tenant may have of a key. left: of the quota of spectral and scramble files."""

    purpose: str
    keep: list[str]
    quota: int
    left: int


class Key(BaseModel):
    """What may be known of a key. checked: whether its model checks every file. rivals: how many are
    shown beside it. sealed: the public name of the copy its files are for, if so."""

    id: str
    name: str
    fingerprint: str
    modality: str
    state: str
    canvas: dict[str, Any]
    public_key: str
    private: bool
    sealed: str | None
    checked: bool
    rivals: int


class GrantedKey(Key):
    """A key that a tenant may use."""

    grants: list[Grant]


class TenantGrant(Grant):
    """A grant, of which key, by its name, and whose."""

    key: str
    tenant: str


Tenant = Annotated[str, Field(min_length=1, max_length=64, pattern="^[A-Za-z0-9._-]+$")]


def _whole(value: Any) -> Any:
    """In JSON 1.0 is an integer too; `true` is none, and a text is none."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Kept = Annotated[
    str, Field(max_length=100, pattern=r"^(answer|scores|features|all|layer:[^,\x00-\x1f\x7f]+)$")
]
Purpose = Annotated[str, Field(min_length=1, max_length=100, pattern=PRINTED)]


class NewGrant(BaseModel):
    """A grant to be made, or to take the place of the same tenant's for the same purpose. The first that may be
    kept is the usual one."""

    tenant: Tenant
    keep: list[Kept] = Field(["answer"], min_length=1, max_length=20)
    purpose: Purpose = "any"
    quota: Annotated[int, BeforeValidator(_whole)] = Field(0, ge=0, le=10**9, strict=True)


class NewToken(BaseModel):
    """A token to be made."""

    tenant: Tenant
    scopes: list[Literal["recode", "verify", "admin"]] = Field(min_length=1, max_length=3)
    days: float = Field(90.0, gt=0, le=3660, allow_inf_nan=False)


class Token(BaseModel):
    """What may be known of a token."""

    id: str
    tenant: str
    scopes: list[str]
    created: float
    expires: float
    used: float | None
    state: str


class Shown(BaseModel):
    """A token, shown this once."""

    token: str


class Log(BaseModel):
    """How many lines of the audit log hold, and what is wrong with the next."""

    lines: int
    wrong: str


@router.get("/me", tags=["keys"])
def me(who: Anyone) -> Me:
    """Whose token this is, and what it may."""
    limits = {name: getattr(who.limits, name) for name in who.limits.__slots__}
    return Me(tenant=who.tenant, scopes=sorted(who.scopes), limits=limits)


@router.get("/keys", tags=["keys"])
def keys(service: Gateway, who: Anyone) -> list[GrantedKey]:
    """The keys that the tenant may use: fingerprints, what may be kept, canvas; nothing secret."""
    return [GrantedKey(**one) for one in granted_keys(service.store, who.tenant)]


@router.get("/admin/keys", tags=["admin"])
def all_keys(service: Gateway, who: Admin) -> list[Key]:
    """All keys of the vault."""
    return [Key(**one) for one in list_keys(service.store)]


@router.post("/admin/keys/{key}/revoke", tags=["admin"], status_code=204)
def revoke(key: Named, service: Gateway, who: Admin) -> None:
    """Refuse a key from now on, in running jobs too."""
    revoke_key(service.store, key, by=who.token)


@router.post("/admin/keys/{key}/rotate", tags=["admin"], status_code=204)
def rotate(key: Named, service: Gateway, who: Admin) -> None:
    """A new secret for the same model; the key's grants move to it."""
    rotate_key(service.store, key, by=who.token)


@router.get("/admin/grants", tags=["admin"])
def grants(service: Gateway, who: Admin) -> list[TenantGrant]:
    """All grants that stand."""
    return [TenantGrant(**one) for one in list_grants(service.store)]


@router.post("/admin/keys/{key}/grants", tags=["admin"], status_code=204)
def grant(key: Named, asked: NewGrant, service: Gateway, who: Admin) -> None:
    """Let a tenant use a key."""
    add_grant(service.store, key, by=who.token, **{**asked.model_dump(), "keep": tuple(asked.keep)})


@router.delete("/admin/keys/{key}/grants/{tenant}", tags=["admin"], status_code=204)
def withdraw(key: Named, tenant: Named, service: Gateway, who: Admin) -> None:
    """Take all grants of a key from a tenant."""
    end_grants(service.store, key, tenant, by=who.token)


@router.get("/admin/tokens", tags=["admin"])
def tokens(service: Gateway, who: Admin) -> list[Token]:
    """All tokens, without what opens anything."""
    return [Token(**one) for one in list_tokens(service.store)]  # type: ignore[arg-type]


@router.post("/admin/tokens", tags=["admin"], status_code=201)
def make(asked: NewToken, service: Gateway, who: Admin) -> Shown:
    """A new token."""
    return Shown(
        token=create_token(service.store, asked.tenant, asked.scopes, days=asked.days, by=who.token)
    )


@router.delete("/admin/tokens/{token}", tags=["admin"], status_code=204)
def end(token: Named, service: Gateway, who: Admin) -> None:
    """End a token."""
    revoke_token(service.store, token, by=who.token)


@router.get("/admin/audit", tags=["admin"])
def check(service: Gateway, who: Admin) -> Log:
    """Hold the audit log against its own chain."""
    lines, wrong = audit.check(service.store)
    return Log(lines=lines, wrong=wrong)
