"""POST /v1/recode: files in, a release out, in one request."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, Header, UploadFile
from fastapi.responses import FileResponse, JSONResponse, Response
from starlette.datastructures import UploadFile as Upload

from catch11.serve import jobs, listing
from catch11.serve.asks import Ask, Word
from catch11.serve.pace import slot_after
from catch11.serve.refusals import Refused
from catch11.serve.routes.given import REFUSALS, Again, Gateway, Recoding
from catch11.serve.routes.jobs import WholeJob, there
from catch11.serve.service import Service
from catch11.serve.settings import job_place
from catch11.serve.tokens import Bearer
from catch11.serve.uploads import ZIP, unpacked

router = APIRouter(prefix="/v1", tags=["recode"])
_MANY = 500  # files of one request; more go into a job


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
    file: Annotated[list[UploadFile], File(description="One file, several, or a zip of files.")],
    key: Annotated[Word | None, Form()] = None,
    purpose: Annotated[Word | None, Form()] = None,
    keep: Annotated[Word | None, Form()] = None,
    method: Annotated[str | None, Form()] = None,
    names: Annotated[str, Form()] = "keep",
    accept: Annotated[str, Header(max_length=400)] = "application/json",
    again: Again = None,
) -> Response:
    """Recode files and wait for them. A withheld file and a written one are answered alike, at the same
    moments. More than 500 files, further options, and progress are for jobs."""
    begun = time.monotonic()
    if len(file) > _MANY:
        raise Refused(
            f"file: expected at most {_MANY}, found {len(file)}; make a job of them.", status=413
        )
    ask = _ask(key=key, purpose=purpose, keep=keep, method=method, names=names)
    job = await asyncio.to_thread(_taken, service, who, ask, file, again)
    found = await service.ended(who, job, within=service.settings.wait)
    leaves = begun + slot_after(time.monotonic() - begun, service.settings.slot)
    await asyncio.sleep(max(0.0, leaves - time.monotonic()))
    return _answer(service, who, found, zipped="application/zip" in accept)


def _ask(**said: Any) -> Ask:
    try:
        return Ask(**{name: value for name, value in said.items() if value is not None})
    except ValueError:
        raise Refused(
            "method, names: expected spectral, deep or scramble; keep or opaque."
        ) from None


def _taken(
    service: Service, who: Bearer, ask: Ask, files: Sequence[Upload], again: str | None
) -> str:
    """A started job with all files in it. What was begun and refused half-way is taken away again."""
    job = service.begin(who, ask, again)
    if listing.view(service.store, who.tenant, job, parts=False)["state"] != jobs.OPEN:
        return job
    try:
        for one in files:
            start = one.file.read(4)
            one.file.seek(0)
            if start in ZIP and len(files) == 1 and not _is_name(one, ".docx", ".xlsx", ".pptx"):
                for name, member in unpacked(one.file, who.limits):
                    service.receive(who, job, name, member)
            else:
                service.receive(
                    who, job, (one.filename or "file").replace("\\", "/").lstrip("/"), one.file
                )
        service.start(who, job)
    except BaseException:
        service.drop(who, job)
        service.drop(who, job)  # once to end it, once to take it away
        raise
    return job


def _is_name(file: Upload, *suffixes: str) -> bool:
    return PurePosixPath((file.filename or "").lower()).suffix in suffixes


def _answer(service: Service, who: Bearer, found: dict[str, Any], *, zipped: bool) -> Response:
    if found["state"] == jobs.FAILED:
        raise Refused(found["error"], status=409)
    if found["state"] == jobs.CANCELLED:
        raise Refused("the job was cancelled, or its key revoked.", status=410)
    if found["state"] != jobs.DONE:
        return JSONResponse(WholeJob(**found).model_dump(), status_code=202)
    parts = found["parts"]
    if parts and all(part["outcome"] == "skipped" for part in parts):
        raise Refused(f"{parts[0]['name'][:60]}: not usable: {parts[0]['reason']}.", status=422)
    jobs.handed_out(service.store, who, found["id"], "recode")
    if zipped:
        path = there(job_place(service.settings.home, found["id"]).bundle)
        return FileResponse(path, media_type="application/zip", filename=f"{found['id']}.zip")
    return JSONResponse(WholeJob(**found).model_dump())
