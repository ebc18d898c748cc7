"""`rungraph watch`: a client of the API that follows a run across lost connections."""

import asyncio
import io
import sys
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from datetime import UTC, datetime
from functools import partial

from rich.console import Console
from rich.live import Live
from rich.text import Text

from graph.cli.watch_tree import BAD, SUBSCRIPTION, WatchedAction, WatchedRun
from graph.cli.watch_view import draw, plain_line, plain_summary
from ingest import subscription
from ingest.client import ApiError, GraphQLClient, graphql_url
from ingest.subscription import OnInterruption
from repo.domain.errors import InvalidArgument
from repo.domain.identifiers import RunIdentifier, printable

FRAMES_PER_SECOND = 4

Changed = Callable[[list[WatchedAction]], None]
Following = Callable[[Changed, OnInterruption], Coroutine[None, None, None]]


def run_identifier(
    path: str | None, project: str | None, domain: str | None, run: str | None
) -> RunIdentifier:
    """The run named by PROJECT/DOMAIN/RUN, where only RUN may contain slashes, or by three arguments. Raises
    ValueError."""
    parts = [project, domain, run]
    if path is not None and parts == [None] * 3:
        parts = [*path.split("/", 2), None, None][:3]
    elif path is not None or None in parts:
        raise ValueError("name the run as PROJECT/DOMAIN/RUN, or with --project, --domain and --run")
    names = [part for part in parts if part is not None]
    if len(names) != 3:
        raise ValueError(f"{path!r} does not name a run: use PROJECT/DOMAIN/RUN")
    try:
        return RunIdentifier(*names)
    except InvalidArgument as error:
        raise ValueError(str(error)) from None


def run_watch(run: RunIdentifier, *, url: str, token: str | None = None, wait: bool = True) -> int:
    """Watches a run until it has ended; returns the exit code. Raises ValueError for an invalid `url` or
    `token`. 0: succeeded. 1: failed, or the server refused. 2: no such run. 130: interrupted."""
    url = graphql_url(url)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # the terminal may lack characters of a name
            stream.reconfigure(errors="replace")
    console = Console(highlight=False, markup=False, soft_wrap=False)
    notes = Console(stderr=True, highlight=False, markup=False)
    try:
        return asyncio.run(watch_run(run, url=url, token=token, wait=wait, console=console, notes=notes))
    except ApiError as error:
        notes.print(f"rungraph: {printable(str(error))}", soft_wrap=True)
        return 2 if error.code == "NOT_FOUND" else 1
    except KeyboardInterrupt:
        return 130


async def watch_run(
    run_id: RunIdentifier,
    *,
    url: str,
    token: str | None = None,
    wait: bool = True,
    console: Console,
    notes: Console,
) -> int:
    """Watches a run until it has ended; returns the exit code as run_watch does. Raises ApiError."""
    run = WatchedRun(str(run_id))
    async with GraphQLClient(url, token=token) as client:
        following = partial(follow, run, run_id, client, wait)
        if console.is_interactive:
            await _show_live(run, following, console)
        else:
            await _print_changes(run, following, console, notes)
    return 0 if run.ended_well else 1


async def _show_live(run: WatchedRun, following: Following, console: Console) -> None:
    """Keeps the tree in the terminal up to date; the last state stays."""
    trouble: str | None = None

    def note(text: str | None) -> None:
        nonlocal trouble
        trouble = text

    def picture() -> Text:
        size = console.size
        return draw(run, size.width, size.height - 1, datetime.now(UTC), trouble)

    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
        task = asyncio.create_task(following(lambda changed: None, note))
        try:
            while not task.done():
                live.update(picture(), refresh=True)
                await asyncio.wait({task}, timeout=1 / FRAMES_PER_SECOND)
            task.result()
            live.update(picture(), refresh=True)
        except ApiError:
            live.transient = True  # the error is printed instead
            raise
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def _print_changes(run: WatchedRun, following: Following, console: Console, notes: Console) -> None:
    """Prints a line for each change, and the state at the start and the end."""
    printed: dict[str, tuple[object, ...]] = {}
    began = False

    def print_changes(changed: list[WatchedAction]) -> None:
        nonlocal began
        for action in changed:
            state = (action.phase, action.attempts, action.abort, action.error)
            # Of the initial snapshot only failures are printed; after a reconnection, what is new.
            if printed.get(action.name) != state and (began or action.phase in BAD):
                console.print(plain_line(action), soft_wrap=True)
            printed[action.name] = state
        if run.synced and not began:
            began = True
            if not run.ended:
                console.print(plain_summary(run, datetime.now(UTC)), soft_wrap=True)

    def note(text: str | None) -> None:
        if text:
            notes.print(printable(text), soft_wrap=True)

    await following(print_changes, note)
    console.print(plain_summary(run, datetime.now(UTC)), soft_wrap=True)


async def follow(
    run: WatchedRun,
    run_id: RunIdentifier,
    client: GraphQLClient,
    wait: bool,
    changed: Changed,
    on_interruption: OnInterruption,
) -> None:
    """Keeps `run` up to date until it has ended, across lost connections. `changed` is called after each
    frame; `on_interruption` with a connection error, and with None once it is over. Without `wait`, a
    server that is unavailable at the start raises ServerUnavailable."""
    name = {"project": run_id.project, "domain": run_id.domain, "name": run_id.name}
    stream = subscription.follow(
        client,
        SUBSCRIPTION,
        {"run": name},
        wait=wait,
        on_interruption=on_interruption,
        is_done=lambda: run.ended,
    )
    async with aclosing(stream) as frames:
        async for frame in frames:
            changed(run.apply(frame))
