"""What models answer to a release, and to one picture: through the evaluation, as `catch11 verify` does."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Annotated, Any

import torch
from fastapi import APIRouter, File, Form, UploadFile
from pydantic import BaseModel, Field
from pydantic.json_schema import SkipJsonSchema

from catch11.data.pictures import decode_picture, quiet
from catch11.errors import Catch11Error
from catch11.evaluation.verification import Verification
from catch11.kinds import IMAGE
from catch11.modalities import commands
from catch11.modalities.options import VerifyOptions
from catch11.models.frame import Model
from catch11.releases.manifest import signer_of
from catch11.releases.read import read_release
from catch11.serve import jobs, listing
from catch11.serve.asks import Ask, Word
from catch11.serve.grants import find_grant
from catch11.serve.outcomes import one_file
from catch11.serve.refusals import Refused
from catch11.serve.routes.forms import WholeForm
from catch11.serve.routes.given import REFUSALS, Gateway, Verifying
from catch11.serve.service import Service
from catch11.serve.settings import job_place
from catch11.serve.tokens import Bearer
from catch11.serve.uploads import check_content, unpack
from catch11.serve.vault import Opened

router = APIRouter(prefix="/v1", tags=["verify"], responses=REFUSALS, route_class=WholeForm)
_SHOWN = ("model", "role", "condition", "metric", "value", "low", "high", "n", "confidence")
Count = Annotated[int, Field(ge=1, le=100_000)]


class Asked(BaseModel):
    """Which release to verify: that of a job of the tenant's."""

    job: str = Field(min_length=1, max_length=64)
    limit: Count | None = Field(None, description="Judge so many files, evenly spaced.")


class Verified(BaseModel):
    """What was found: scores with their intervals, and whether the list and the files hold."""

    failed: bool
    files: int
    records: list[dict[str, Any]]
    warnings: list[str]
    problems: list[list[str]]


class Reading(BaseModel):
    """What one model says of a picture. confidence: its own, of two digits; of the authorized model none
    is told."""

    model: str
    role: str
    answer: str
    confidence: float | None


@router.post("/verify")
async def verify(asked: Asked, service: Gateway, who: Verifying) -> Verified:
    """Score a job's release: the authorized model, its rivals, and controls, on the files as written."""
    return await service.heavily(_verified, service, who, asked)


def _verified(service: Service, who: Bearer, asked: Asked) -> Verified:
    jobs.handed_out(service.store, who, asked.job, "verify")
    with service.store.begin() as session:
        key = jobs.own(session, who.tenant, asked.job).key_id
    opened = service.vault.opened(key)
    place = job_place(service.settings.home, asked.job)
    names = [part["name"] for part in listing.view(service.store, who.tenant, asked.job)["parts"]]
    options = VerifyOptions(
        source=one_file(place, opened.key, names) or place.source, ledger=place.ledger, limit=asked.limit,
    )  # fmt: skip
    return _scored(service, opened, place.release, options)


@router.post("/verify/release")
async def verify_release(
    service: Gateway,
    who: Verifying,
    file: Annotated[UploadFile, File(description="A zip of a release, its list at the top.")],
    key: Annotated[Word | SkipJsonSchema[None], Form()] = None,
    limit: Annotated[Count | SkipJsonSchema[None], Form()] = None,
) -> Verified:
    """Score a release that is sent: one whose list a key of the tenant's signed. Nothing of it is kept."""
    return await service.heavily(_uploaded, service, who, file.file, key, limit)


def _uploaded(
    service: Service, who: Bearer, file: IO[bytes], key: str | None, limit: int | None
) -> Verified:
    opened = _opened(service, who, Ask(key=key).key, "verify upload")
    with TemporaryDirectory(dir=service.settings.home) as folder:
        unpack(file, Path(folder), who.limits)
        try:
            read_release(folder, signer=signer_of(opened.key))
        except Catch11Error:
            raise Refused(
                "the release: expected a whole list, manifest.jsonl, signed with this key, found another or none; "
                "send the zip as it was made, or name its key."
            ) from None
        return _scored(service, opened, Path(folder), VerifyOptions(limit=limit))


def _opened(service: Service, who: Bearer, key: str | None, action: str) -> Opened:
    """A key that the tenant may use, noted."""
    with service.store.begin() as session:
        granted = find_grant(session, who.tenant, key=key, purpose=None, keep=None, method=None)
        jobs.noted(service.store, session, action, who.tenant, who.token, granted.key, "")
    return service.vault.opened(granted.key)


def _scored(service: Service, opened: Opened, release: Path, options: VerifyOptions) -> Verified:
    """What the models of a key get from a release. Raises Refused."""
    model = service.workers.model(opened)
    if model is None:
        raise Refused(
            "this key has no model at the gateway, so nothing can be verified here.", status=409
        )
    asked = replace(options, rivals=tuple(service.workers.rivals(opened)), key=opened.key, copy=opened.secret)  # fmt: skip
    try:
        return _told(commands.verify(release, model, asked))
    except Catch11Error as error:
        raise Refused(
            f"nothing to verify: {type(error).__name__}; is there a released file?", status=409
        ) from None


def _told(found: Verification) -> Verified:
    facts = found.to_dict()
    return Verified(
        failed=found.failed,
        files=found.files,
        records=[{name: record[name] for name in _SHOWN} for record in facts["records"]],
        warnings=facts["warnings"],
        problems=facts["problems"],
    )


@router.post("/answers")
async def answers(
    service: Gateway,
    who: Verifying,
    file: Annotated[UploadFile, File(description="One picture.")],
    key: Annotated[Word | SkipJsonSchema[None], Form()] = None,
) -> list[Reading]:
    """What the authorized model and each rival answer to a picture, each through its own pipeline."""
    data = await file.read(who.limits.size + 1)
    return await service.heavily(_read, service, who, data, file.filename or "picture", key)


def _read(service: Service, who: Bearer, data: bytes, name: str, key: str | None) -> list[Reading]:
    if len(data) > who.limits.size:
        raise Refused(
            f"{name[:60]}: expected at most {who.limits.size} bytes, found more.", status=413
        )
    opened = _opened(service, who, Ask(key=key).key, "answers")
    model = service.workers.model(opened)
    if model is None or opened.key.modality != IMAGE or opened.key.private:
        raise Refused("answers are for keys of pictures whose model the gateway has.", status=409)
    check_content(data, name, kind=IMAGE, limits=who.limits)
    with quiet():
        picture = decode_picture(data, path=name[:60])
    found = []
    for one, role in (
        (model, "authorized"),
        *((r, "rival") for r in service.workers.rivals(opened)),
    ):
        if isinstance(one, Model) and one.labels:
            shares = torch.softmax(one.logits(one.preprocess([picture]))[0].double(), 0)
            share, index = shares.max(0)
            sure = None if role == "authorized" else round(float(share), 2)
            found.append(
                Reading(model=one.name, role=role, answer=one.labels[int(index)], confidence=sure)
            )
    return found
