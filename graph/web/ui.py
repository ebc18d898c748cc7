"""Serves the web UI (source: `frontend`) and GraphiQL (source: `frontend/graphiql`)."""

from collections.abc import Awaitable, Callable
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from graph.web.static_assets import IMMUTABLE, StaticAssets, document
from graph.web.urls import UI_PATHS, relative_base

WEB_UI = Path(__file__).parent / "static" / "page"
"""The build of the web UI."""
GRAPHIQL = Path(__file__).parent / "static" / "graphiql"
"""The build of GraphiQL."""

Handler = Callable[[Request], Awaitable[Response]]

_POLICY = {
    "base-uri": "'self'",
    "manifest-src": "'self'",
    # HTML artifacts, which are sandboxed.
    "frame-src": "'self'",
}


def ui_routes(protect: Callable[[Handler], Handler]) -> list[BaseRoute]:
    """The routes of the web UI, its documents behind `protect`, which may ask for sign-in."""
    handler = protect(_ui)
    return [
        *(Route(path, handler) for path in UI_PATHS),
        Mount("/assets", StaticAssets(WEB_UI / "assets", IMMUTABLE)),
        # Files beside the document, such as favicon.svg.
        Route("/{name}.{suffix}", StaticAssets(WEB_UI)),
    ]


async def _ui(request: Request) -> Response:
    return _ui_document(relative_base(request.scope))


def ui_not_found(
    base_path: str, protect: Callable[[Handler], Handler]
) -> Callable[[Request, Exception], Awaitable[Response]]:
    """The handler of 404: browsers that navigate below `base_path` get the web UI, which says so."""

    async def handle(request: Request) -> Response:
        # The routes that were tried have left their own root path in the scope.
        root = request.scope.get("app_root_path", request.scope["root_path"]) + base_path
        response = _ui_document(relative_base({**request.scope, "root_path": root}))
        response.status_code = 404 if response.status_code == 200 else response.status_code
        return response

    protected = protect(handle)

    async def not_found(request: Request, error: Exception) -> Response:
        path = request.scope["path"]
        is_ui_path = path.startswith(f"{base_path}/") and "/assets/" not in path
        if request.method == "GET" and is_ui_path and "text/html" in request.headers.get("accept", ""):
            return await protected(request)
        headers = error.headers if isinstance(error, HTTPException) else None
        return PlainTextResponse("Not Found", 404, headers)

    return not_found


def _ui_document(base: str) -> Response:
    return document(WEB_UI, "The web UI", "frontend", base=base, policy=_POLICY)


async def graphiql(_: Request) -> Response:
    """The GraphiQL page. Its links, such as graphiql/main.js, are relative and hold behind any prefix."""
    return document(GRAPHIQL, "GraphiQL", "frontend/graphiql")


def graphiql_routes() -> list[BaseRoute]:
    """The files of GraphiQL, beside /graphql."""
    return [Mount("/graphiql", StaticAssets(GRAPHIQL))]
