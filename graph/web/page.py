"""Owns the web page: which paths show it, and how it finds the server from each; `frontend` is its source."""

from collections.abc import Awaitable, Callable
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import Scope

from graph.web.static_assets import (
    FOR_EVER,
    Files,
    document,
    not_built,
)

BUILT = Path(__file__).parent / "static" / "page"
"""Where the build puts the page and its files."""

PATHS = ("/", "/runs", "/runs/{rest:path}", "/tasks", "/tasks/", "/aborts", "/aborts/")
"""What the page shows something for; it looks at the path itself."""

Show = Callable[[Request], Awaitable[Response]]

_POLICY = {"base-uri": "'self'", "manifest-src": "'self'"}
_BASE = '<base href="{}" />'


def routes(guard: Callable[[Show], Show]) -> list[BaseRoute]:
    """Where the page and its files are. What `guard` makes of what shows the page is what shows it."""
    shown = guard(page)
    return [
        *(Route(path, shown) for path in PATHS),
        # The build puts a hash of what is in them into their names.
        Mount("/assets", Files(BUILT / "assets", FOR_EVER)),
        # What lies beside the document, such as favicon.svg.
        Route("/{name}.{ending}", Files(BUILT)),
    ]


async def page(request: Request) -> Response:
    """The document, which is the same on all paths but for where it lies from there."""
    return _document(base_of(request.scope))


def not_found(
    base_path: str, guard: Callable[[Show], Show]
) -> Callable[[Request, Exception], Awaitable[Response]]:
    """Answers what is nowhere: a browser that goes there gets the page, which says so, with status 404."""

    async def shown(request: Request) -> Response:
        # Routes that were tried have left their own root path in the scope.
        root = request.scope.get("app_root_path", request.scope["root_path"]) + base_path
        response = _document(base_of({**request.scope, "root_path": root}))
        response.status_code = 404 if response.status_code == 200 else response.status_code
        return response

    guarded = guard(shown)

    async def answer(request: Request, error: Exception) -> Response:
        path = request.scope["path"]
        is_below = path.startswith(f"{base_path}/") and "/assets/" not in path
        if request.method == "GET" and is_below and "text/html" in request.headers.get("accept", ""):
            return await guarded(request)
        headers = error.headers if isinstance(error, HTTPException) else None
        return PlainTextResponse("Not Found", 404, headers)

    return answer


def _document(base: str) -> Response:
    try:
        html = (BUILT / "index.html").read_bytes()
    except FileNotFoundError:
        return not_built("The page", "frontend")
    return document(html.replace(_BASE.format("./").encode(), _BASE.format(base).encode(), 1), _POLICY)


def base_of(scope: Scope) -> str:
    """The way from the path that was asked for to that of the application, such as `./` or `../../`.

    It is relative so that it holds behind any prefix. Steps are counted in the path as the browser wrote
    it, for there the slashes in the names of runs are `%2F` and no steps.
    """
    steps = scope["raw_path"].count(b"/") - scope["root_path"].count("/") - 1
    return "../" * steps or "./"
