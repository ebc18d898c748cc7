"""Owns GraphiQL, the page with which a person explores the API; `frontend/graphiql` is its source."""

from pathlib import Path

from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

BUILT = Path(__file__).parent / "static" / "graphiql"
"""Where the build puts the page and its files."""

_POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    # GraphiQL's dialogs write style elements of their own.
    "style-src": "'self' 'unsafe-inline'",
    "img-src": "'self' data:",
    "font-src": "'self' data:",
    "connect-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}
_HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in _POLICY.items()),
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
_NOT_BUILT = """\
GraphiQL was not built on this server, so there is no page to show; the API itself works.

To build it, run `make install` in Rungraph's folder, or

    cd frontend/graphiql && npm ci && npm run build

and load this page again.
"""


def page() -> Response:
    """The page. It names its files relative to itself, as graphiql/…, so it works behind any prefix."""
    try:
        return HTMLResponse((BUILT / "index.html").read_bytes(), headers=_HEADERS)
    except FileNotFoundError:
        return PlainTextResponse(_NOT_BUILT, 503, headers={"Cache-Control": "no-store"})


class Assets(StaticFiles):
    """The page's files, packed where the build packed them and the browser can unpack them.

    A browser asks each time whether its copy is current, and is told by ETag.
    """

    async def get_response(self, path: str, scope: Scope) -> Response:
        packed = f"{path}.gz"
        unpacks = "gzip" in Headers(scope=scope).get("accept-encoding", "")
        if unpacks and self.lookup_path(packed)[1] is not None:
            response = await super().get_response(packed, scope)
            response.headers["Content-Encoding"] = "gzip"
        else:
            response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "no-cache"
        response.headers["Vary"] = "Accept-Encoding"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response


def assets() -> Assets:
    """The ASGI application to mount at /graphiql, next to /graphql."""
    return Assets(directory=BUILT, check_dir=False)
