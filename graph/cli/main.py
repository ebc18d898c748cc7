"""The command line: `rungraph` and its commands."""

import asyncio
import gc
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import repo
from graph.cli.commands import announce, fail, parse_duration, read_settings
from graph.cli.remote.commands import remote_commands, server_of
from graph.cli.remote.options import LOCAL, Token, TokenFile, Url
from graph.cli.tokens import token_commands
from ingest.wfformat import DOMAIN, PROJECT

if TYPE_CHECKING:
    from graph.settings import Settings

# Each command imports what it needs when it runs: loading all of it takes seconds.

app = typer.Typer(
    help="The live record of workflow runs: a GraphQL API over PostgreSQL or SQLite. "
    "Settings are environment variables RUNGRAPH_*; docs/settings.md lists them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
schema_commands = typer.Typer(help="Print the GraphQL schema, or check it for breaking changes.")
app.add_typer(remote_commands)
app.add_typer(schema_commands, name="schema", no_args_is_help=True)
app.add_typer(token_commands, name="token", no_args_is_help=True)

Host = Annotated[str | None, typer.Option(help="The address to listen on, instead of RUNGRAPH_HOST.")]
Port = Annotated[int | None, typer.Option(help="The port to listen on, instead of RUNGRAPH_PORT.")]
Workers = Annotated[
    int | None, typer.Option(help="How many processes to serve with, instead of RUNGRAPH_WORKERS.")
]


def _listen(settings: "Settings") -> list[socket.socket]:
    from graph.transport.server import CannotListen, listen

    try:
        return listen(settings.host, settings.port)
    except CannotListen as error:
        fail(str(error))


def _address(settings: "Settings") -> str:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{host}:{settings.port}{settings.base_path}"


def _announce(settings: "Settings") -> None:
    api = "the API and GraphiQL are" if settings.graphiql else "the API is"
    if settings.page:
        where = f"{_address(settings)}/ (open it in a browser; {api} at {settings.base_path}/graphql)"
    else:
        where = f"{_address(settings)}/graphql ({api} there)"
    announce(f"Rungraph   {where}")


@app.command()
def serve(host: Host = None, port: Port = None, workers: Workers = None) -> None:
    """Run the server. It migrates the database to the newest schema first."""
    gc.disable()  # until the server runs: imports leave no garbage, and collections take a fifth of the start
    from graph.app import create_server
    from graph.cli.workers import serve_with_workers

    settings = read_settings(host=host, port=port, workers=workers)
    announce(f"Database   {repo.without_password(settings.database_url)}")
    _migrate(settings)
    listening = _listen(settings)
    _announce(settings)
    if settings.workers == 1:
        create_server(settings).run(listening)
    else:
        gc.enable()
        raise typer.Exit(serve_with_workers(settings, listening))


def _migrate(settings: "Settings") -> None:
    try:
        asyncio.run(repo.migrate(settings.database_url))
    except (repo.DatabaseUnavailable, repo.UnsuitableDatabase) as error:
        fail(str(error))


@app.command()
def migrate() -> None:
    """Migrate the database to the newest schema, and exit."""
    settings = read_settings()
    _migrate(settings)
    typer.echo(f"{repo.without_password(settings.database_url)} is at the newest schema")


@app.command()
def restored() -> None:
    """Declare that the database was restored from a backup: all subscriptions restart (RESYNC).

    Servers detect a failover and nearly every restore by themselves; docs/upgrades-and-backup.md lists the
    exceptions. The command is always safe, also while servers run. It migrates the database first.
    """
    settings = read_settings()
    _migrate(settings)
    try:
        asyncio.run(repo.mark_restored(settings.database_url))
    except repo.DatabaseUnavailable as error:
        fail(str(error))
    typer.echo("all subscriptions restart; earlier cursors are no longer valid")


@app.command()
def prune(
    older_than: Annotated[str, typer.Option(help="The minimum time since a run ended: 12h, 90d or 26w.")],
    project: Annotated[str | None, typer.Option(help="Only runs of this project.")] = None,
    domain: Annotated[str | None, typer.Option(help="Only runs of this domain.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print what would be removed.")] = False,
) -> None:
    """Remove old runs with their actions and events, in small batches.

    Servers may keep running; subscribers are notified. Runs with a pending abort are kept. After Ctrl-C, the
    same command continues.
    """
    from graph.cli.prune import prune_runs

    try:
        age = parse_duration(older_than)
    except ValueError as error:
        fail(f"--older-than must be {error}", 2)
    settings = read_settings()
    try:
        typer.echo(asyncio.run(prune_runs(settings, age, project, domain, dry_run)))
    except (repo.DatabaseUnavailable, repo.SchemaOutdated) as error:
        fail(str(error))


@app.command()
def doctor() -> None:
    """Check settings, database, bus, schema and clock. Prints a line per check, with a fix if needed.

    Exits with 1 if a check fails.
    """
    from rich.console import Console

    from graph.cli.doctor import run_doctor
    from graph.observability.logs import configure_logs

    configure_logs("error")
    raise typer.Exit(asyncio.run(run_doctor(Console(highlight=False))))


@schema_commands.command("print")
def print_schema() -> None:
    """Print the schema in the GraphQL schema language."""
    typer.echo(_printed_schema())


def _printed_schema() -> str:
    from graph.limits.documents import Limits
    from graph.schema.build import build_schema

    limits = Limits(depth=1, aliases=1, tokens=1, cost=1, page=1)
    return build_schema(limits).as_str()


@schema_commands.command("check")
def check_schema(
    against: Annotated[
        str | None,
        typer.Option(help="A file, or a commit with a schema.graphql; by default the last tag or commit."),
    ] = None,
) -> None:
    """Compare the schema with an earlier one. Exits with 1 if a change could break a client."""
    from graphql import build_schema, find_breaking_changes, find_dangerous_changes

    name, earlier = _earlier_schema(against)
    old, new = build_schema(earlier), build_schema(_printed_schema())
    for danger in find_dangerous_changes(old, new):
        typer.echo(f"dangerous: {danger.description}")
    breaking = find_breaking_changes(old, new)
    for change in breaking:
        typer.echo(f"breaking: {change.description}", err=True)
    if breaking:
        fail(f"the schema breaks {len(breaking)} promises of {name}")
    typer.echo(f"the schema keeps every promise of {name}")


def _earlier_schema(against: str | None) -> tuple[str, str]:
    if against is not None and Path(against).is_file():
        return against, Path(against).read_text()
    commit = against or _git("describe", "--tags", "--abbrev=0") or "HEAD"
    earlier = _git("show", f"{commit}:schema.graphql")
    if earlier is None:
        fail(f"there is no schema.graphql at {commit}; name a file or a commit with --against")
    return f"schema.graphql at {commit}", earlier


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


@app.command("import")
def import_recordings(
    files: Annotated[list[Path], typer.Argument(help="Recordings in WfFormat 1.5 (JSON).")],
    url: Url = LOCAL,
    project: Annotated[str, typer.Option(help="The project of the runs.")] = PROJECT,
    domain: Annotated[str, typer.Option(help="The domain of the runs.")] = DOMAIN,
    speed: Annotated[
        float | None, typer.Option(help="Replay as if it happened now, so many recorded seconds per second.")
    ] = None,
    instant: Annotated[
        bool, typer.Option("--instant", help="Write everything at once, with the recorded times (default).")
    ] = False,
    name: Annotated[
        str | None, typer.Option(help="The name of the run, for a single file; by default from the file.")
    ] = None,
    token: Token = None,
    token_file: TokenFile = None,
) -> None:
    """Import recordings of workflow executions into a server, as an executor would report them.

    All files are validated before anything is written. After Ctrl-C, the same command continues.
    """
    from ingest.wfformat.importer import run_import

    if instant and speed is not None:
        fail("use --speed or --instant, not both", 2)
    token = server_of(url, token, token_file).token
    code = run_import(files, url=url, token=token, project=project, domain=domain, speed=speed, name=name)
    raise typer.Exit(code)


@app.command()
def demo(
    url: Annotated[
        str | None, typer.Option(help="A running server; by default one is started in this process.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="A seed for reproducible runs.")] = None,
    host: Host = None,
    port: Port = None,
    token: Token = None,
    token_file: TokenFile = None,
) -> None:
    """Keep a few realistic runs going: nested, retried, failing, paused, large. Aborts are confirmed."""
    from ingest.client import ApiError
    from ingest.demo.executor import run_demo

    if url is not None:
        raise typer.Exit(run_demo(url, token=server_of(url, token, token_file).token, seed=seed))
    from graph.cli.demo import serve_with_demo

    settings = read_settings(host=host, port=port)
    announce(f"Database   {repo.without_password(settings.database_url)}")
    _migrate(settings)
    listening = _listen(settings)
    _announce(settings)
    announce("Stop it with Ctrl-C. The runs remain, and the next demo continues them.")
    try:
        asyncio.run(serve_with_demo(settings, listening, f"{_address(settings)}/graphql", seed))
    except KeyboardInterrupt:
        pass
    except ApiError as error:
        fail(str(error))
