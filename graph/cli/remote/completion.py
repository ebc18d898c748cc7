"""Completion of names by the shell, from the server. Where it does not respond in time, there is none."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import typer

from repo.domain.logs import LogLevel
from repo.domain.phases import ActionPhase

TIMEOUT_S = 1.0
_OFFERED = 100
_HARMLESS = set("._/@%+,-")
"""Beside letters and digits: the characters that no shell treats specially within a word."""


def complete_runs(ctx: typer.Context, incomplete: str) -> list[str]:
    """The newest runs whose PROJECT/DOMAIN/RUN begins so."""
    project, domain, name = [*incomplete.split("/", 2), None, None][:3]
    filter = {
        "project": project if domain is not None else None,
        "domain": domain if name is not None else None,
        "search": name or None,
    }

    async def read(client: Any) -> list[str]:
        from graph.cli.remote import documents

        found = await client.execute(documents.RUN_NAMES, {"filter": filter, "first": _OFFERED})
        return [
            f"{node['project']}/{node['domain']}/{node['name']}"
            for node in found["runs"]["nodes"]
            if "/" not in node["project"] + node["domain"]
        ]

    return _from_server(ctx, read, incomplete)


def complete_actions(ctx: typer.Context, incomplete: str) -> list[str]:
    """The actions of the run that begin so."""
    run, url = ctx.params.get("path"), ctx.params.get("url")
    if not run or not url:
        return []

    async def read(client: Any) -> list[str]:
        from graph.cli.remote import documents
        from graph.cli.remote.names import read_reference

        reference = read_reference(run, None, None, None, url)
        if reference.project is None or reference.domain is None:
            return []
        id = {"project": reference.project, "domain": reference.domain, "name": reference.name}
        variables = {"run": id, "filter": {"search": incomplete or None}, "first": _OFFERED}
        found = await client.execute(documents.ACTION_NAMES, variables)
        return [node["name"] for node in found["actions"]["nodes"]]

    return _from_server(ctx, read, incomplete)


def complete_phases(incomplete: str) -> list[str]:
    """The phases that begin so."""
    names = [phase.name.lower() for phase in ActionPhase]
    return [name for name in names if name.startswith(incomplete.lower())]


def complete_levels(incomplete: str) -> list[str]:
    """The levels that begin so."""
    return [level.name.lower() for level in LogLevel if level.name.lower().startswith(incomplete.lower())]


def _from_server(
    ctx: typer.Context, read: Callable[[Any], Coroutine[Any, Any, list[str]]], incomplete: str
) -> list[str]:
    """What `read` found that begins with the text, without names that a shell would have to quote: scripts of
    shells evaluate the words that they are offered."""
    from graph.cli.remote.connection import find_token
    from ingest.client import GraphQLClient

    async def work() -> list[str]:
        token = find_token(ctx.params.get("token"), ctx.params.get("token_file"))
        async with GraphQLClient(ctx.params["url"], token=token) as client:
            return await asyncio.wait_for(read(client), TIMEOUT_S)

    try:
        found = asyncio.run(work())
    except Exception:  # whatever it is: a line that is being typed is no place for it
        return []
    return [name for name in found if name.startswith(incomplete) and _is_harmless(name)]


def _is_harmless(name: str) -> bool:
    return all(character.isalnum() or character in _HARMLESS for character in name)
