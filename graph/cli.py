"""Owns the command line: rungraph serve | migrate | schema | import | demo."""

import asyncio
import subprocess
from pathlib import Path
from typing import Annotated, NoReturn

import typer
import uvicorn
from graphql import build_schema, find_breaking_changes, find_dangerous_changes
from pydantic import ValidationError

import repo
from graph.app import create_app
from graph.limits import Limits
from graph.logs import configure_logs
from graph.schema import build_schema as build_own_schema
from graph.settings import Settings, explain

app = typer.Typer(
    help="The live record of workflow runs: a GraphQL API over PostgreSQL or SQLite. "
    "Settings are RUNGRAPH_* environment variables; the README lists them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
schema_commands = typer.Typer(help="Print the GraphQL schema, or check it for breaking changes.")
app.add_typer(schema_commands, name="schema", no_args_is_help=True)

Host = Annotated[str | None, typer.Option(help="The address to listen on, instead of RUNGRAPH_HOST.")]
Port = Annotated[int | None, typer.Option(help="The port to listen on, instead of RUNGRAPH_PORT.")]


def _settings(**given: object) -> Settings:
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        _fail(explain(error), 2)


def _fail(message: str, code: int = 1) -> NoReturn:
    typer.echo(f"rungraph: {message}", err=True)
    raise typer.Exit(code)


def _server(settings: Settings) -> uvicorn.Server:
    return uvicorn.Server(
        uvicorn.Config(
            create_app(settings),
            host=settings.host,
            port=settings.port,
            log_level=settings.log_level,
            # Addresses hold variables of GET requests, which are nobody's business.
            access_log=False,
            server_header=False,
            ws_max_size=64 * 1024,
            timeout_graceful_shutdown=5,
        )
    )


def _announce(settings: Settings) -> None:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    typer.echo(f"Rungraph   http://{host}:{settings.port}/graphql (open it in a browser for GraphiQL)")
    typer.echo(f"Database   {repo.without_password(settings.database_url)}")


@app.command()
def serve(host: Host = None, port: Port = None) -> None:
    """Run the server. It brings the database to the newest schema first."""
    settings = _settings(host=host, port=port)
    configure_logs(settings.log_level)
    _announce(settings)
    _run(_server(settings))


def _run(server: uvicorn.Server) -> None:
    server.run()
    if not server.started:
        raise typer.Exit(3)


@app.command()
def migrate() -> None:
    """Bring the database to the newest schema, and stop."""
    settings = _settings()
    asyncio.run(repo.migrate(settings.database_url))
    typer.echo(f"{repo.without_password(settings.database_url)} is at the newest schema")


@schema_commands.command("print")
def print_schema() -> None:
    """Print the schema in the GraphQL schema language."""
    typer.echo(_printed_schema())


def _printed_schema() -> str:
    limits = Limits(**{name: 1 for name in ("depth", "aliases", "tokens")})
    return build_own_schema(limits).as_str()


@schema_commands.command("check")
def check_schema(
    against: Annotated[
        str | None,
        typer.Option(help="A file, or a commit whose schema.graphql is meant; else the last tag or commit."),
    ] = None,
) -> None:
    """Compare the schema with the one that was promised: exit with 1 where a client could break."""
    name, promised = _promised_schema(against)
    old, new = build_schema(promised), build_schema(_printed_schema())
    for danger in find_dangerous_changes(old, new):
        typer.echo(f"careful: {danger.description}")
    breaking = find_breaking_changes(old, new)
    for change in breaking:
        typer.echo(f"breaking: {change.description}", err=True)
    if breaking:
        _fail(f"the schema breaks {len(breaking)} promises of {name}")
    typer.echo(f"the schema keeps every promise of {name}")


def _promised_schema(against: str | None) -> tuple[str, str]:
    if against is not None and Path(against).is_file():
        return against, Path(against).read_text()
    commit = against or _git("describe", "--tags", "--abbrev=0") or "HEAD"
    promised = _git("show", f"{commit}:schema.graphql")
    if promised is None:
        _fail(f"there is no schema.graphql at {commit}; name a file or a commit with --against")
    return f"schema.graphql at {commit}", promised


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
