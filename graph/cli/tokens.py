"""`rungraph token create | list | revoke`: API tokens in the configured database."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

import typer

import repo
from graph.cli.commands import fail, parse_duration, read_settings

T = TypeVar("T")

token_commands = typer.Typer(help="Create, list and revoke API tokens.")


@token_commands.command()
def create(
    name: Annotated[str, typer.Option(help="The name of the token in lists.")],
    role: Annotated[
        repo.Role,
        typer.Option(
            help="viewer reads, operator also aborts and notes, writer does what executors do, admin all."
        ),
    ],
    project: Annotated[
        list[str] | None, typer.Option(help="A project; may be repeated. By default all projects.")
    ] = None,
    domain: Annotated[str | None, typer.Option(help="The domain; by default all domains.")] = None,
    expires: Annotated[str, typer.Option(help="Its lifetime, such as 12h, 90d or 52w, or never.")] = "90d",
    user: Annotated[
        str | None, typer.Option(help="The person it belongs to; by default a program of the same name.")
    ] = None,
    acts_for_others: Annotated[
        bool, typer.Option("--acts-for-others", help="Allow it to name others as creators.")
    ] = False,
) -> None:
    """Create a token. It is printed to standard output once; only its hash is stored."""
    kind = repo.IdentityKind.APPLICATION if user is None else repo.IdentityKind.USER
    identity = repo.Identity(kind, name if user is None else user)
    projects: Sequence[str | None] = project or [None]
    grants = frozenset(repo.Grant(role, each, domain) for each in projects)
    try:
        expires_at = None if expires == "never" else datetime.now(UTC) + parse_duration(expires)
    except ValueError as error:
        fail(f"--expires must be never, or {error}", 2)

    async def work(repository: repo.ActionRepo) -> tuple[repo.Credential, str]:
        return await repository.credentials.create(
            repo.CredentialKind.TOKEN, name, identity, repo.Access(grants, acts_for_others), expires_at
        )

    created, secret = _with_repository(work)
    ends = "never expires" if expires_at is None else f"expires {expires_at:%Y-%m-%d %H:%M} UTC"
    typer.echo(f"token {created.id}: {created.name}, {_grants(created)}, {ends}", err=True)
    typer.echo(secret)


@token_commands.command("list")
def list_tokens(
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
) -> None:
    """List the tokens, newest first, including those that ended in the last 30 days."""
    tokens = _with_repository(
        lambda repository: repository.credentials.list_of_kind(repo.CredentialKind.TOKEN)
    )
    now = datetime.now(UTC)
    if as_json:
        typer.echo(json.dumps([_document(token, now) for token in tokens], ensure_ascii=False, indent=2))
        return
    rows = [("ID", "NAME", "GRANTS", "CREATED", "EXPIRES", "STATE")]
    for token in tokens:
        expires = "never" if token.expires_at is None else f"{token.expires_at:%Y-%m-%d}"
        created = f"{token.created_at:%Y-%m-%d}"
        rows.append((token.id, token.name, _grants(token), created, expires, _state(token, now)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@token_commands.command()
def revoke(id: Annotated[str, typer.Argument(metavar="ID", help="The id as printed by `list`.")]) -> None:
    """Revoke a token. Its streams end within 5 seconds."""
    revoked = _with_repository(lambda repository: repository.credentials.revoke(id))
    typer.echo(f"token {revoked.id} ({revoked.name}) is revoked")


def _with_repository(work: Callable[[repo.ActionRepo], Awaitable[T]]) -> T:
    """The result of `work` on the repository."""
    url = read_settings().database_url

    async def run() -> T:
        async with repo.open_repository(url, pool_size=1) as repository:
            await repository.check()
            return await work(repository)

    try:
        return asyncio.run(run())
    except repo.InvalidArgument as error:
        fail(str(error), 2)
    except (repo.RepoError, repo.SchemaOutdated) as error:
        fail(str(error))


def _grants(token: repo.Credential) -> str:
    """The role as text, such as "writer in etl/production"."""
    grants = sorted(f"{g.role.value} in {_place(g.project, g.domain)}" for g in token.access.grants)
    return ", ".join(grants) + (", for others" if token.access.acts_for_others else "")


def _place(project: str | None, domain: str | None) -> str:
    return "everything" if project is None and domain is None else f"{project or '*'}/{domain or '*'}"


def _state(token: repo.Credential, now: datetime) -> str:
    if token.revoked_at is not None:
        return "revoked"
    return "active" if token.is_valid(now) else "expired"


def _document(token: repo.Credential, now: datetime) -> dict[str, Any]:
    times = {"created": token.created_at, "expires": token.expires_at, "revoked": token.revoked_at}
    return {
        "id": token.id,
        "name": token.name,
        "identity": {"kind": token.identity.kind.name, "subject": token.identity.subject},
        "grants": [
            {"role": g.role.value, "project": g.project, "domain": g.domain} for g in token.access.grants
        ],
        "actsForOthers": token.access.acts_for_others,
        **{name: None if time is None else time.isoformat() for name, time in times.items()},
        "state": _state(token, now),
    }
