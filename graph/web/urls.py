"""Paths of the web UI, relative links to them, and redirects that never leave this server."""

import re

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import Scope

UI_PATHS = (
    *("/", "/runs", "/runs/{rest:path}", "/tasks", "/tasks/", "/tasks/{project}/{domain}"),
    "/tasks/{project}/{domain}/{task:path}",
    *("/now", "/now/", "/aborts", "/aborts/", "/compare", "/compare/"),
)
"""Where the web UI is served; `frontend/src/router.tsx` has a route for each."""

_MAX_LENGTH = 1000
_PAGES = "|".join(sorted({"graphql", *(path.split("/")[1] for path in UI_PATHS)} - {""}))
# Visible ASCII without "\", which browsers take for "/", so that a host cannot be smuggled in.
_RETURN_URL = re.compile(rf"(?:(?:{_PAGES})(?:/[!-\[\]-~]*)?)?(?:\?[!-\[\]-~]*)?")


def relative_base(scope: Scope) -> str:
    """The path of the application relative to the requested one, such as `./` or `../../`, which holds behind
    any prefix."""
    # Counted in the raw path, where slashes in the names of runs are still `%2F`.
    depth = scope["raw_path"].count(b"/") - scope["root_path"].count("/") - 1
    return "../" * depth or "./"


def requested_url(request: Request) -> str:
    """The path and query of a request, relative to the application."""
    scope = request.scope
    path = scope["raw_path"].decode("latin-1").split("/", scope["root_path"].count("/") + 1)[-1]
    query = scope["query_string"].decode("latin-1")
    return f"{path}?{query}" if query else path


def return_url(requested: str) -> str:
    """The URL to return to after sign-in, relative to the application; "" unless it is a page of it."""
    segments = requested.partition("?")[0].lower().replace("%2e", ".").split("/")
    is_allowed = len(requested) <= _MAX_LENGTH and _RETURN_URL.fullmatch(requested)
    return requested if is_allowed and {".", ".."}.isdisjoint(segments) else ""


def redirect(url: str) -> Response:
    """A redirect that browsers follow by GET and do not cache."""
    return RedirectResponse(url, 303, headers={"Cache-Control": "no-store"})
