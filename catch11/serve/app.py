"""The HTTP application of a gateway: its routes behind the guard."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from fastapi.routing import APIRoute
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from catch11 import __version__
from catch11.errors import Catch11Error
from catch11.serve.guard import Guard
from catch11.serve.refusals import Refused
from catch11.serve.routes import admin, health, jobs, recode, verify
from catch11.serve.service import Service

ROUTERS = (health, recode, jobs, verify, admin)
PAGE = Path(__file__).with_name("page")


def make_app(service: Service) -> FastAPI:
    """The application; its workers run while it does."""

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        async with service.running():
            yield

    app = FastAPI(
        title="catch11 gateway", version=__version__, lifespan=life, docs_url=None, redoc_url=None,
        openapi_url="/openapi.json", generate_unique_id_function=lambda route: f"{route.tags[0]}_{route.name}" if route.tags else route.name,
    )  # fmt: skip
    app.state.service = service
    for one in ROUTERS:
        app.include_router(one.router)
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(Catch11Error, _expected)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    if PAGE.is_dir():
        app.mount("/page", StaticFiles(directory=PAGE), name="page")

        @app.get("/", include_in_schema=False)
        def page() -> FileResponse:
            """The page for people."""
            return FileResponse(PAGE / "index.html")

    app.add_middleware(Guard, service=service)
    return app


async def _refused(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Refused)
    headers = {"retry-after": str(max(1, round(error.wait)))} if error.wait else None
    return JSONResponse({"error": str(error)}, status_code=error.status, headers=headers)


async def _expected(request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"error": str(error)}, status_code=422)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    """Where and why, and not what was sent."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])[:100]
    return JSONResponse(
        {"error": f"{place}: {first['msg'][:200]}; see /openapi.json."}, status_code=422
    )


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    headers = error.headers
    if error.status_code == 405:  # all that the address knows, not those of its first route
        path = str(request.scope["path"])
        known = (one for part in ROUTERS for one in part.router.routes if isinstance(one, APIRoute))
        allowed = {
            name for one in known if one.path_regex.match(path) for name in one.methods or ()
        }
        headers = {"allow": ", ".join(sorted(allowed))} if allowed else headers
    what = {404: "there is nothing at this address", 405: "this address expects another method"}
    sentence = what.get(error.status_code, str(error.detail)[:200].rstrip("."))
    return JSONResponse({"error": f"{sentence}; see /openapi.json."}, status_code=error.status_code, headers=headers)  # fmt: skip
