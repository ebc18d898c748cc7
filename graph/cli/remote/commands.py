"""The commands that call a server. Each imports what it needs when it runs."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from graph.cli.commands import fail
from graph.cli.remote.completion import complete_levels, complete_phases
from graph.cli.remote.names import RunReference, read_reference
from graph.cli.remote.options import (
    LOCAL,
    Action,
    AsJson,
    Domain,
    Follow,
    Name,
    Project,
    Run,
    Token,
    TokenFile,
    Url,
)

if TYPE_CHECKING:
    from graph.cli.remote.connection import Server

remote_commands = typer.Typer()


def server_of(url: str, token: str | None, token_file: Path | None) -> "Server":
    """The server of the options. Ends the command if the file with the token cannot be read."""
    from graph.cli.remote.connection import Server

    try:
        return Server.of_options(url, token, token_file)
    except ValueError as error:
        fail(str(error), 2)


def _target(
    path: str | None, action: str | None, project: str | None, domain: str | None, name: str | None, url: str
) -> tuple[RunReference, str | None]:
    """The run and the action of the arguments. Ends the command if they name none."""
    if name is not None and action is None:
        path, action = None, path
    try:
        reference = read_reference(path, project, domain, name, url)
    except ValueError as error:
        fail(str(error), 2)
    return reference, action or reference.action


@remote_commands.command("list")
def list_runs(
    phase: Annotated[
        list[str] | None,
        typer.Option(autocompletion=complete_phases, help="Runs in this phase; may be repeated."),
    ] = None,
    task: Annotated[str | None, typer.Option(help="Runs of this task.")] = None,
    label: Annotated[
        list[str] | None, typer.Option(help="Runs with this label, as KEY or KEY=VALUE; each of several.")
    ] = None,
    text: Annotated[
        str | None, typer.Option(help="Runs with this text in their name, task, function or error code.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="Runs that began since: 30m, 2h, 7d, 4w, or a time (ISO 8601).")
    ] = None,
    project: Annotated[str | None, typer.Option(help="Runs of this project.")] = None,
    domain: Annotated[str | None, typer.Option(help="Runs of this domain.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many runs, the newest first.")] = 20,
    as_json: AsJson = False,
    url: Url = LOCAL,
    token: Token = None,
    token_file: TokenFile = None,
) -> None:
    """List the newest runs that match, in a table that fits the terminal.

    The column ENDED has the number of actions that have ended, and of all.
    """
    from graph.cli.remote import runs
    from graph.cli.remote.connection import call

    try:
        filter = runs.run_filter(phase or (), task, label or (), text, since, project, domain)
    except ValueError as error:
        fail(str(error), 2)
    server = server_of(url, token, token_file)
    raise typer.Exit(call(server, lambda session: runs.list_runs(session, filter, limit, as_json)))


@remote_commands.command()
def get(
    path: Run = None,
    action: Action = None,
    project: Project = None,
    domain: Domain = None,
    name: Name = None,
    as_json: AsJson = False,
    url: Url = LOCAL,
    token: Token = None,
    token_file: TokenFile = None,
) -> None:
    """Show a run with its actions as a tree; or an action with its attempts, error, links and artifacts.

    Exits with 0, with 1 after an error, and with 2 if there is no such run or action.
    """
    from graph.cli.remote import details
    from graph.cli.remote.connection import call

    reference, chosen = _target(path, action, project, domain, name, url)
    server = server_of(url, token, token_file)
    if chosen is None:
        raise typer.Exit(call(server, lambda session: details.show_run(session, reference, as_json)))
    raise typer.Exit(call(server, lambda session: details.show_action(session, reference, chosen, as_json)))


@remote_commands.command()
def events(
    path: Run = None,
    action: Action = None,
    follow: Follow = False,
    project: Project = None,
    domain: Domain = None,
    name: Name = None,
    as_json: AsJson = False,
    url: Url = LOCAL,
    token: Token = None,
    token_file: TokenFile = None,
) -> None:
    """Print the events of a run or an action, in the order in which they occurred.

    With --follow it goes on until the run has ended. Exits with 0, with 1 after an error, with 2 if there is
    no such run or action, and with 130 after Ctrl-C.
    """
    from graph.cli.remote.connection import call
    from graph.cli.remote.events import show_events

    reference, chosen = _target(path, action, project, domain, name, url)
    server = server_of(url, token, token_file)
    raise typer.Exit(call(server, lambda session: show_events(session, reference, chosen, follow, as_json)))


@remote_commands.command()
def logs(
    path: Run = None,
    action: Action = None,
    attempt: Annotated[
        int | None, typer.Option(min=1, show_default=False, help="Of this attempt; by default the latest.")
    ] = None,
    follow: Follow = False,
    tail: Annotated[int | None, typer.Option(min=0, help="Only the last lines, so many.")] = None,
    search: Annotated[
        str | None, typer.Option(help="Only lines with this text, in upper or lower case.")
    ] = None,
    level: Annotated[
        str | None,
        typer.Option(
            autocompletion=complete_levels,
            help="Only lines of this level or a more severe one: debug, info, warning, error or critical.",
        ),
    ] = None,
    stream: Annotated[str | None, typer.Option(help="Only lines of this stream, such as stderr.")] = None,
    project: Project = None,
    domain: Domain = None,
    name: Name = None,
    as_json: AsJson = False,
    url: Url = LOCAL,
    token: Token = None,
    token_file: TokenFile = None,
) -> None:
    """Print the log of an action's attempt; without ACTION, that of the root action.

    Colours of the log are kept on a terminal. Lines that are missing are reported on standard error. With
    --follow each line is printed once and in order, also after a lost connection, until the attempt has
    ended. Exits with 0, with 1 after an error, with 2 if there is no such run or action, and with 130 after
    Ctrl-C.
    """
    from graph.cli.remote.connection import call
    from graph.cli.remote.logs import LogOptions, levels_from, show_log

    reference, chosen = _target(path, action, project, domain, name, url)
    try:
        levels = levels_from(level)
    except ValueError as error:
        fail(str(error), 2)
    options = LogOptions(attempt, follow, stream, levels, search, tail, as_json)
    server = server_of(url, token, token_file)
    raise typer.Exit(call(server, lambda session: show_log(session, reference, chosen, options)))


@remote_commands.command()
def abort(
    path: Run = None,
    action: Action = None,
    reason: Annotated[str | None, typer.Option(help="The reason, shown with the abort.")] = None,
    yes: Annotated[
        bool,
        typer.Option("--yes", "-y", help="Do not ask. Required without a terminal."),
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until the executor confirms that the work has stopped.")
    ] = False,
    project: Project = None,
    domain: Domain = None,
    name: Name = None,
    as_json: AsJson = False,
    url: Url = LOCAL,
    token: Token = None,
    token_file: TokenFile = None,
) -> None:
    """Abort a run, or an action and what is below it.

    Exits with 0 if the abort is requested, now or before, and with --wait confirmed; with 1 if everything
    has ended already, the answer was no, or the abort failed; with 2 if there is no such run or action or
    --yes is required; with 130 after Ctrl-C.
    """
    import sys

    from graph.cli.remote import aborts
    from graph.cli.remote.connection import call

    reference, chosen = _target(path, action, project, domain, name, url)
    server = server_of(url, token, token_file)
    if not yes and not sys.stdin.isatty():
        fail("add --yes: without a terminal, no one can confirm the abort", 2)
    target = call(server, lambda session: aborts.find_target(session, reference, chosen))
    if not yes:
        typer.echo(aborts.question(target), nl=False, err=True)
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            fail("nothing was aborted")
    raise typer.Exit(call(server, lambda session: aborts.abort(session, target, reason, wait, as_json)))


@remote_commands.command()
def push(
    as_json: AsJson = False, url: Url = LOCAL, token: Token = None, token_file: TokenFile = None
) -> None:
    """Send what scripts recorded with the Python client while the server was unavailable.

    Needs the client in the same environment. Exits with 0 if all was sent; with 1 if the server is
    unavailable or refused something, or the client is not installed.
    """
    from importlib import import_module

    from ingest.client import graphql_url

    server = server_of(url, token, token_file)
    try:
        os.environ["RUNGRAPH_URL"] = graphql_url(server.url)
    except ValueError as error:
        fail(str(error), 2)
    if server.token:
        os.environ["RUNGRAPH_TOKEN"] = server.token
    try:
        send = import_module("rungraph.__main__").main
    except ImportError:
        fail(
            "the Python client is not installed here: install it by `pip install ./client`, or run "
            "`python -m rungraph push` in the environment of your scripts"
        )
    raise typer.Exit(send(["push", "--json"] if as_json else ["push"]))


@remote_commands.command()
def watch(
    path: Run = None,
    project: Project = None,
    domain: Domain = None,
    name: Name = None,
    wait: Annotated[bool, typer.Option(help="Wait for a server that is not available yet.")] = True,
    as_json: AsJson = False,
    url: Url = LOCAL,
    token: Token = None,
    token_file: TokenFile = None,
) -> None:
    """Watch a run until it ends: as a live tree in a terminal, otherwise as a line per change.

    With --json each action is printed as it is, and then whenever it has changed.

    Resumes after a lost connection. Exits with 0 if the run succeeded,
    1 if it did not, 2 if it does not exist, and 130 after Ctrl-C.
    """
    from graph.cli.remote.connection import call
    from graph.cli.remote.watch import watch_run

    reference, _ = _target(path, None, project, domain, name, url)
    server = server_of(url, token, token_file)
    raise typer.Exit(call(server, lambda session: watch_run(session, reference, wait, as_json), wait=wait))
