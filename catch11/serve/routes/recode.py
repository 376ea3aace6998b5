"""POST /v1/recode: files in, a release out, in one request."""

import asyncio
import hashlib
import time
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Annotated, Any

from fastapi import APIRouter, File, Header, UploadFile
from fastapi.responses import FileResponse, JSONResponse, Response
from pydantic import ConfigDict, Field
from starlette.datastructures import UploadFile as Upload

from catch11.releases.press import Press
from catch11.serve import jobs
from catch11.serve.asks import Ask
from catch11.serve.batches import MOST, Answered, Waiting
from catch11.serve.jobs import Outcome
from catch11.serve.outcomes import unusable
from catch11.serve.outcomes import zipped as zip_bytes
from catch11.serve.refusals import Refused, Unknown
from catch11.serve.routes.forms import WholeForm
from catch11.serve.routes.given import REFUSALS, Again, Gateway, Recoding
from catch11.serve.routes.jobs import WholeJob, bundle_of
from catch11.serve.service import Service
from catch11.serve.tokens import Bearer
from catch11.serve.uploads import ZIP, unpacked

router = APIRouter(prefix="/v1", tags=["recode"], route_class=WholeForm)
_MANY = 500  # files of one request; more go into a job
_RUN = {"key", "purpose", "keep", "method", "names"}  # what requests of one run may state


def _without_null(schema: dict[str, Any]) -> None:
    """A field of a form is left out, or a text: it cannot be null."""
    for one in schema["properties"].values():
        some = [kind for kind in one.pop("anyOf", ()) if kind != {"type": "null"}]
        if some:
            one.update(some[0])
            del one["default"]


class Form(Ask):
    """Files, and what a job may ask for."""

    model_config = ConfigDict(json_schema_extra=_without_null)

    file: list[UploadFile] = Field(
        min_length=1, description="One file, several, or a zip of files."
    )


@router.post(
    "/recode",
    response_model=WholeJob,
    responses={
        **REFUSALS,
        200: {
            "model": WholeJob, "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
            "description": "The job that was done; with Accept: application/zip its release.",
        },
        202: {"model": WholeJob, "description": "Not done yet: see GET /v1/jobs/ID"},
    },
)  # fmt: skip
async def recode(
    service: Gateway,
    who: Recoding,
    asked: Annotated[Form, File()],
    accept: Annotated[str, Header(max_length=400)] = "application/json",
    again: Again = None,
) -> Response:
    """Recode files and wait for them. A withheld file and a written one are answered alike, at the same
    moments. Asked for JSON, the job that was done answers, whose files can be fetched; asked for a zip, the
    release, of which nothing is kept. More than 500 files and progress are for jobs."""
    begun, file = time.monotonic(), asked.file
    if len(file) > _MANY:
        raise Refused(
            f"file: expected at most {_MANY}, found {len(file)}; make a job of them.", status=413
        )
    ask = Ask(**asked.model_dump(exclude={"file"}))
    zipped = "application/zip" in accept
    found = None
    if again is None and (one := await asyncio.to_thread(_waiting, service, who, ask, file, not zipped)):  # fmt: skip
        if (answer := await _worked_off(service, one)) is not None:
            return _at_once(answer, zipped=zipped)
        found = await service.ended(who, one.id, within=service.settings.wait)
    while found is None:
        job = await asyncio.to_thread(_taken, service, who, ask, file, again)
        try:
            found = await service.ended(who, job, within=service.settings.wait)
        except Unknown:  # of the same request, which was refused: this one finds out itself
            if again is None:
                raise
    like, files = (found["key"], found["keep"], ask.method), found["total"]
    leaves = begun + service.tempo.due(like, time.monotonic() - begun, files=files)
    await asyncio.sleep(max(0.0, leaves - time.monotonic()))
    return await asyncio.to_thread(_answer, service, who, found, zipped=zipped)


def _waiting(
    service: Service, who: Bearer, ask: Ask, files: Sequence[Upload], kept: bool
) -> Waiting | None:
    """A request for the next run; None where it takes a job: archives, many files, data whose files
    have parts, and options that a run is not held open for."""
    further = ask.model_dump(exclude_defaults=True).keys() - _RUN
    if further or len(files) > MOST or any(_is_zip(one) for one in files):
        return None
    granted = service.expect(who, ask)
    if not Press.takes(granted.modality):
        return None
    return service.gather(who, granted, ask, [(_name(one), one.file) for one in files], kept=kept)


async def _worked_off(service: Service, one: Waiting) -> Answered | None:
    """Its answer, at its moment; None where it waited for so long that it is a job now. Raises Refused."""
    answer = asyncio.wrap_future(one.answer)
    try:
        found = await asyncio.wait_for(asyncio.shield(answer), service.settings.wait)
    except TimeoutError:
        if await asyncio.to_thread(service.turned, one):
            answer.cancel()
            return None
        found = await answer
    await asyncio.sleep(max(0.0, found.leaves - time.monotonic()))
    return found


def _at_once(answer: Answered, *, zipped: bool) -> Response:
    job = answer.done
    if (refused := unusable(job.outcomes)) is not None:
        raise refused
    if zipped:
        name = {"content-disposition": f'attachment; filename="{job.id}.zip"'}
        return Response(zip_bytes(answer.bound), media_type="application/zip", headers=name)
    return JSONResponse(WholeJob(**job.to_dict()).model_dump())


def _taken(
    service: Service, who: Bearer, ask: Ask, files: Sequence[Upload], again: str | None
) -> str:
    """A job with all files in it, started, or that of the same request, which another brings its files."""
    parts = [(_name(one), _digest(one)) for one in files] if again is not None else []
    with service.filling(who, ask, again, parts) as (job, mine):
        if not mine:
            return job
        for one in files:
            if len(files) == 1 and _is_zip(one):
                for name, member in unpacked(one.file, who.limits):
                    service.receive(who, job, name, member)
            else:
                service.receive(who, job, _name(one), one.file)
        service.start(who, job)
    return job


def _digest(file: Upload) -> str:
    file.file.seek(0)
    found = hashlib.file_digest(file.file, "sha256").hexdigest()  # type: ignore[arg-type]
    file.file.seek(0)
    return found


def _name(file: Upload) -> str:
    return (file.filename or "file").replace("\\", "/").lstrip("/")


def _is_zip(file: Upload) -> bool:
    start = file.file.read(4)
    file.file.seek(0)
    suffix = PurePosixPath((file.filename or "").lower()).suffix
    return start in ZIP and suffix not in (".docx", ".xlsx", ".pptx")


def _answer(service: Service, who: Bearer, found: dict[str, Any], *, zipped: bool) -> Response:
    if found["state"] == jobs.FAILED:
        raise Refused(found["error"], status=409)
    if found["state"] == jobs.CANCELLED:
        raise Refused("the job was cancelled, or its key revoked.", status=410)
    if found["state"] != jobs.DONE:
        return JSONResponse(WholeJob(**found).model_dump(), status_code=202)
    parts = found["parts"]
    if (refused := unusable([Outcome(**{n: part[n] for n in ("name", "outcome", "reason")}) for part in parts])):  # fmt: skip
        raise refused
    jobs.handed_out(service.store, who, found["id"], "recode")
    if zipped:
        return FileResponse(
            bundle_of(service, found["id"]),
            media_type="application/zip",
            filename=f"{found['id']}.zip",
        )
    return JSONResponse(WholeJob(**found).model_dump())
