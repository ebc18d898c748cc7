"""Owns GraphiQL, the page with which a person explores the API; `frontend/graphiql` is its source."""

from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from graph.web.static_assets import Files, document, not_built

BUILT = Path(__file__).parent / "static" / "graphiql"
"""Where the build puts the page and its files."""


async def page(_: Request) -> Response:
    """The page. It names its files relative to itself, as graphiql/…, so it works behind any prefix."""
    try:
        return document((BUILT / "index.html").read_bytes())
    except FileNotFoundError:
        return not_built("GraphiQL", "frontend/graphiql")


def files() -> Files:
    """The ASGI application to mount at /graphiql, next to /graphql."""
    return Files(BUILT)
