"""Whether the gateway lives, can work, and what it counts."""

import asyncio

from fastapi import APIRouter
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from sqlalchemy import text

from catch11.serve import listing
from catch11.serve.meters import TYPE
from catch11.serve.routes.given import Gateway

router = APIRouter(tags=["operation"])


@router.get("/healthz", response_class=PlainTextResponse)
async def healthz() -> str:
    """The process answers."""
    return "ok"


@router.get("/readyz", responses={503: {"description": "Not ready"}})
async def readyz(service: Gateway) -> Response:
    """The database answers and workers are at work."""

    def asked() -> None:
        with service.store.begin() as session:
            session.execute(text("select 1"))

    try:
        await asyncio.to_thread(asked)
    except Exception:  # noqa: BLE001 - whatever it is, the gateway is not ready
        return JSONResponse({"ready": False}, status_code=503)
    good = service.ready and not service.workers.stopping
    return JSONResponse({"ready": good}, status_code=200 if good else 503)


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(service: Gateway) -> Response:
    """Counters for Prometheus."""
    counted = await asyncio.to_thread(listing.waiting, service.store)
    return Response(service.meters.text(counted), media_type=TYPE)
