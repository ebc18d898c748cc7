"""Owns GraphiQL, the page with which a person explores the API; `frontend/graphiql` is its source."""

from pathlib import Path
from typing import Any

from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.staticfiles import StaticFiles

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
    """The page's files. A browser asks each time whether its copy is current, and is told by ETag."""

    def file_response(self, *arguments: Any, **options: Any) -> Response:
        response = super().file_response(*arguments, **options)
        response.headers["Cache-Control"] = "no-cache"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response


def assets() -> Assets:
    """The ASGI application to mount at /graphiql, next to /graphql."""
    return Assets(directory=BUILT, check_dir=False)
