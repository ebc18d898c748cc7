"""Names of runs in arguments: PROJECT/DOMAIN/RUN, the name alone, or the address of a run's page."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote, unquote, urlsplit

from repo.domain.errors import InvalidArgument
from repo.domain.identifiers import RunIdentifier

if TYPE_CHECKING:
    from graph.cli.remote.connection import Session

_PAGE = re.compile(r"(.*)/runs/([^/]+)/([^/]+)/([^/]+)(?:/logs)?/?")
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_SEARCHED = 1000


@dataclass(frozen=True, slots=True)
class RunReference:
    """A run as an argument names it. Without project or domain it has to be searched."""

    project: str | None
    domain: str | None
    name: str
    action: str | None = None
    """The action that a link shows."""


def read_reference(
    path: str | None, project: str | None, domain: str | None, run: str | None, url: str
) -> RunReference:
    """The run named by PROJECT/DOMAIN/RUN, where only RUN may contain slashes, by a name and options, or by
    the address of its page on the server `url`. Raises ValueError."""
    if path is not None and path.startswith(("http://", "https://")):
        if (project, domain, run) != (None, None, None):
            raise ValueError("the address of a page needs no --project, --domain or --run")
        return _read_link(path, url)
    if path is not None and run is not None:
        raise ValueError(f"name the run as {path!r} or by --run, not both")
    name = run if path is None else path
    if name is None:
        raise ValueError("name the run as PROJECT/DOMAIN/RUN, or with --project, --domain and --run")
    if path is not None and "/" in path and (project is None or domain is None):
        parts = path.split("/", 2)
        if len(parts) != 3 or project is not None or domain is not None:
            raise ValueError(f"{path!r} does not name a run: use PROJECT/DOMAIN/RUN")
        project, domain, name = parts
    reference = RunReference(project, domain, name)
    _check(reference)
    return reference


def _check(reference: RunReference) -> None:
    try:
        RunIdentifier(
            "-" if reference.project is None else reference.project,
            "-" if reference.domain is None else reference.domain,
            reference.name,
        )
    except InvalidArgument as error:
        raise ValueError(str(error)) from None


def _read_link(link: str, url: str) -> RunReference:
    parts = urlsplit(link)
    found = _PAGE.fullmatch(parts.path)
    if found is None:
        raise ValueError(f"{link} is not the address of a run's page")
    # The token is for the server of --url: no link may lead it elsewhere.
    if _place(f"{parts.scheme}://{parts.netloc}{found[1]}") != _place(_base(url)):
        server = f"{parts.scheme}://{parts.netloc}{found[1]}"
        raise ValueError(f"{link} is on another server than {url}: add --url {server} to use it")
    project, domain, name = (_from_segment(segment) for segment in found.groups()[1:])
    actions = parse_qs(parts.query).get("action")
    reference = RunReference(project, domain, name, actions[0] if actions else None)
    _check(reference)
    return reference


def _base(url: str) -> str:
    """The address below which the page of a server is."""
    return url.removesuffix("/").removesuffix("/graphql")


def _place(url: str) -> tuple[str, str | None, int | None, str]:
    """What two addresses of the same server have in common. Raises ValueError."""
    parts = urlsplit(url if "://" in url else f"http://{url}")
    host = "localhost" if parts.hostname in _LOOPBACK else parts.hostname
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, host, port, parts.path.rstrip("/")


def _to_segment(name: str) -> str:
    """A name in the address of a page, as the web UI writes it: proxies may decode %2F."""
    safe = name.replace("~", "~0").replace("/", "~1")
    return quote(f"~2{safe}" if safe in (".", "..") else safe, safe="~")


def _from_segment(segment: str) -> str:
    return unquote(segment).removeprefix("~2").replace("~1", "/").replace("~0", "~")


def run_input(run: RunIdentifier) -> dict[str, str]:
    """The run as RunIdentifierInput."""
    return {"project": run.project, "domain": run.domain, "name": run.name}


def action_input(run: RunIdentifier, name: str) -> dict[str, str]:
    """One of its actions as ActionIdentifierInput."""
    return {"project": run.project, "domain": run.domain, "runName": run.name, "name": name}


def page_address(url: str, run: RunIdentifier, action: str | None = None) -> str:
    """The address of a run's page, with an action beside it."""
    path = "/".join(map(_to_segment, (run.project, run.domain, run.name)))
    return f"{_base(url)}/runs/{path}" + (f"?action={quote(action, safe='')}" if action else "")


async def find_run(session: "Session", reference: RunReference) -> RunIdentifier:
    """The run, which is searched by its name if that is all there is. Raises ApiError if none or several
    have the name."""
    from graph.cli.remote import documents
    from ingest.client import ApiError

    project, domain, name = reference.project, reference.domain, reference.name
    if project is not None and domain is not None:
        return RunIdentifier(project, domain, name)
    search = {"search": name, "project": project, "domain": domain}
    found = (await session.execute(documents.RUN_NAMES, filter=search, first=_SEARCHED))["runs"]
    runs = [
        RunIdentifier(node["project"], node["domain"], name)
        for node in found["nodes"]
        if node["name"] == name
    ]
    if not runs:
        more = f" among the {_SEARCHED} newest that match it" if found["pageInfo"]["hasNextPage"] else ""
        raise ApiError(f"there is no run named {name}{more}; name it as PROJECT/DOMAIN/RUN", "NOT_FOUND")
    if len(runs) > 1:
        raise ApiError(f"several runs have this name: {', '.join(map(str, runs))}", "NOT_FOUND")
    return runs[0]
