"""Jobs: create, upload parts, start, watch, fetch, cancel."""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path as FilePath
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response
from pydantic import BaseModel
from sse_starlette import EventSourceResponse, JSONServerSentEvent

from catch11.releases.manifest import NAME
from catch11.releases.read import read_release
from catch11.serve import jobs, listing
from catch11.serve.asks import Ask
from catch11.serve.outcomes import bundle
from catch11.serve.refusals import Unknown
from catch11.serve.routes.given import REFUSALS, Again, Gateway, JobId, Recoding
from catch11.serve.routes.ranges import PARTS, RANGES, Ranged
from catch11.serve.service import Service
from catch11.serve.settings import job_place

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], responses=REFUSALS)
_SPOOL = 1 << 20  # bytes of an upload that stay in memory
_KEEPALIVE = 15  # seconds
Name = Annotated[str, Path(min_length=1, max_length=400, description="A relative path.")]


class Part(BaseModel):
    """One file of a job. outcome: empty until it is done, then released, withheld or skipped. sha256: of
    the released file; source_sha256: of what was sent."""

    name: str
    source_sha256: str
    outcome: str
    file: str
    sha256: str
    reason: str


class Job(BaseModel):
    """A job. state: open, queued, running, done, failed or cancelled."""

    id: str
    state: str
    key: str
    keep: str
    purpose: str
    total: int
    done: int
    error: str
    created: float
    updated: float


class WholeJob(Job):
    """A job with its files."""

    parts: list[Part]


class Received(BaseModel):
    """A file that lies with the gateway."""

    name: str
    size: int
    sha256: str


@router.post("", status_code=201)
def create(ask: Ask, service: Gateway, who: Recoding, again: Again = None) -> WholeJob:
    """A new job, which takes files until it is started."""
    job = service.begin(who, ask, again)
    return WholeJob(**listing.view(service.store, who.tenant, job))


@router.get("")
def listed(service: Gateway, who: Recoding) -> list[Job]:
    """The tenant's newest jobs, 200 at most."""
    return [Job(**one) for one in listing.views(service.store, who.tenant)]


@router.get("/{job}")
def show(job: JobId, service: Gateway, who: Recoding) -> WholeJob:
    """A job and what became of each file."""
    return WholeJob(**listing.view(service.store, who.tenant, job))


@router.put(
    "/{job}/parts/{name:path}",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/octet-stream": {"schema": {"type": "string", "format": "binary"}}
            },
        }
    },
)
async def upload(
    job: JobId, name: Name, request: Request, service: Gateway, who: Recoding
) -> Received:
    """One file of an open job. The same bytes may be sent again; other ones under this name are refused."""
    await asyncio.to_thread(jobs.open_job, service.store, who.tenant, job)
    with tempfile.SpooledTemporaryFile(max_size=_SPOOL) as file:
        async for block in request.stream():
            file.write(block)
        file.seek(0)
        part = await asyncio.to_thread(service.receive, who, job, name, file)
    return Received(name=part.name, size=part.size, sha256=part.sha256)


@router.post("/{job}/start")
def start(job: JobId, service: Gateway, who: Recoding) -> WholeJob:
    """All files are there: the job waits for its turn. Said again it is the same."""
    service.start(who, job)
    return WholeJob(**listing.view(service.store, who.tenant, job))


@router.get("/{job}/events", response_class=EventSourceResponse)
async def events(job: JobId, service: Gateway, who: Recoding) -> EventSourceResponse:
    """Progress as server-sent events `job`, each a job without its files, until it ended."""
    first = await asyncio.to_thread(listing.view, service.store, who.tenant, job, parts=False)

    async def told() -> AsyncIterator[JSONServerSentEvent]:
        facts: dict[str, Any] = first
        with service.bell(job) as bell:
            while True:
                yield JSONServerSentEvent(Job(**facts).model_dump(), event="job")
                if facts["state"] in jobs.ENDED or service.workers.stopping:
                    return
                before = (facts["state"], facts["done"])
                while (facts["state"], facts["done"]) == before and not service.workers.stopping:
                    bell.clear()
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(bell.wait(), 1.0)
                    facts = await asyncio.to_thread(
                        listing.view, service.store, who.tenant, job, parts=False
                    )

    return EventSourceResponse(told(), ping=_KEEPALIVE)


@router.get("/{job}/release", response_class=Ranged, responses=PARTS, openapi_extra=RANGES)
def release(job: JobId, service: Gateway, who: Recoding) -> Response:
    """All files of a job and their signed list, as a zip; takes up where it stopped with a Range."""
    jobs.handed_out(service.store, who, job, "fetch release")
    return Ranged(bundle_of(service, job), media_type="application/zip", filename=f"{job}.zip")


@router.get(
    "/{job}/files/{name:path}", response_class=Ranged, responses=PARTS, openapi_extra=RANGES
)
def file(job: JobId, name: Name, service: Gateway, who: Recoding) -> Response:
    """One released file, or manifest.jsonl, the signed list of them; with a Range, a part of it."""
    jobs.handed_out(service.store, who, job, "fetch file")
    known = {part["file"] for part in listing.view(service.store, who.tenant, job)["parts"]}
    if name != NAME and (name not in known or not name):
        raise Unknown("file", name)
    path = there(job_place(service.settings.home, job).release / name)
    return Ranged(path, filename=path.name)


@router.get("/{job}/ledger", response_class=Ranged, responses=PARTS, openapi_extra=RANGES)
def ledger(job: JobId, service: Gateway, who: Recoding) -> Response:
    """Which source became which file, as JSON lines: the private list beside a release."""
    jobs.handed_out(service.store, who, job, "fetch ledger")
    return Ranged(
        there(job_place(service.settings.home, job).ledger), media_type="application/jsonl"
    )


def bundle_of(service: Service, job: str) -> FilePath:
    """A finished job's release in one file, which is made when it is first asked for."""
    place = job_place(service.settings.home, job)
    if not place.bundle.is_file() and there(place.release / NAME):
        bundle(place, [entry.file for entry in read_release(place.release).entries])
    return there(place.bundle)


def there(path: FilePath) -> FilePath:
    """A file of a job. Raises Unknown where the job was deleted meanwhile."""
    if not path.is_file():
        raise Unknown("file", path.name)
    return path


@router.delete("/{job}", status_code=204)
def drop(job: JobId, service: Gateway, who: Recoding) -> None:
    """Cancel a job; delete one that ended, with its files."""
    service.drop(who, job)
