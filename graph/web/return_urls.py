"""Owns the ways between the pages of this server, and that none of them leads elsewhere."""

import re

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

_LONGEST = 1000
# Nothing that a browser could take for another host, or that would have to be encoded in a header.
_PAGE = re.compile(r"(?:(?:graphql|runs|tasks|aborts)(?:/[!-\[\]-~]*)?)?(?:\?[!-\[\]-~]*)?")
_STEPS = {".", ".."}


def way_back(wanted: str) -> str:
    """Where somebody wanted to go, relative to the application; "" for what is not a page of it."""
    path = wanted.partition("?")[0].lower().replace("%2e", ".")
    is_fine = len(wanted) <= _LONGEST and _PAGE.fullmatch(wanted)
    return wanted if is_fine and _STEPS.isdisjoint(path.split("/")) else ""


def here(request: Request) -> str:
    """What was asked for, relative to the application."""
    scope = request.scope
    path = scope["raw_path"].decode("latin-1").split("/", scope["root_path"].count("/") + 1)[-1]
    query = scope["query_string"].decode("latin-1")
    return f"{path}?{query}" if query else path


def lead(to: str) -> Response:
    """The answer that has a browser go there by GET."""
    return RedirectResponse(to, 303, headers={"Cache-Control": "no-store"})
