"""Owns `rungraph watch`: a client of the API that follows a run through lost connections."""

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

from graph.cli.watch_tree import (
    BAD,
    SUBSCRIPTION,
    WatchedAction,
    WatchedRun,
)
from graph.cli.watch_view import draw, plain_line, plain_summary
from ingest import subscription
from ingest.client import ApiError, GraphQLClient, graphql_url
from ingest.subscription import Trouble
from repo.domain.errors import InvalidArgument
from repo.domain.identifiers import RunIdentifier, printable

FRAMES_PER_SECOND = 4

Changed = Callable[[list[WatchedAction]], None]
Following = Callable[[Changed, Trouble], Coroutine[None, None, None]]


def run_identifier(
    path: str | None, project: str | None, domain: str | None, run: str | None
) -> RunIdentifier:
    """The run that is named by PROJECT/DOMAIN/RUN, where only RUN may hold slashes, or part by part.
    Raises ValueError."""
    parts = [project, domain, run]
    if path is not None and parts == [None] * 3:
        parts = [*path.split("/", 2), None, None][:3]
    elif path is not None or None in parts:
        raise ValueError("name the run as PROJECT/DOMAIN/RUN, or with --project, --domain and --run")
    given = [part for part in parts if part is not None]
    if len(given) != 3:
        raise ValueError(f"{path!r} is no run: name it as PROJECT/DOMAIN/RUN")
    try:
        return RunIdentifier(*given)
    except InvalidArgument as error:
        raise ValueError(str(error)) from None


def run_watch(run: RunIdentifier, *, url: str, token: str | None = None, wait: bool = True) -> int:
    """Watch a run from the command line until it has ended; the exit code. Raises ValueError where `url`
    is no address, or `token` no token.

    0: it ended well. 1: it did not, or the server refused. 2: there is no such run. 130: interrupted.
    """
    url = graphql_url(url)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name that the terminal cannot write must end nothing
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
    """Watch a run until it has ended; the exit code, as of run_watch. Raises ApiError."""
    run = WatchedRun(str(run_id))
    async with GraphQLClient(url, token=token) as client:
        following = partial(follow, run, run_id, client, wait)
        if console.is_interactive:
            await _show_live(run, following, console)
        else:
            await _print_changes(run, following, console, notes)
    return 0 if run.ended_well else 1


async def _show_live(run: WatchedRun, following: Following, console: Console) -> None:
    """Keep a picture of the run in the terminal up to date; the last one stays."""
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
            live.transient = True  # what is said instead follows
            raise
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def _print_changes(run: WatchedRun, following: Following, console: Console, notes: Console) -> None:
    """A line for each change, and how things stand at the start and at the end."""
    said: dict[str, tuple[object, ...]] = {}
    began = False

    def say(changed: list[WatchedAction]) -> None:
        nonlocal began
        for action in changed:
            news = (action.phase, action.attempts, action.abort, action.error)
            # Of what was there at the start, only what failed is news; after a new start, what is new.
            if said.get(action.name) != news and (began or action.phase in BAD):
                console.print(plain_line(action), soft_wrap=True)
            said[action.name] = news
        if run.synced and not began:
            began = True
            if not run.ended:
                console.print(plain_summary(run, datetime.now(UTC)), soft_wrap=True)

    def note(text: str | None) -> None:
        if text:
            notes.print(printable(text), soft_wrap=True)

    await following(say, note)
    console.print(plain_summary(run, datetime.now(UTC)), soft_wrap=True)


async def follow(
    run: WatchedRun,
    run_id: RunIdentifier,
    client: GraphQLClient,
    wait: bool,
    changed: Changed,
    trouble: Trouble,
) -> None:
    """Keep `run` up to date until it has ended, through whatever happens to the server.

    `changed` is called after each frame; `trouble` with what went wrong, and with None once it is over.
    Without `wait`, a server that is not there at the start raises ServerAway.
    """
    name = {"project": run_id.project, "domain": run_id.domain, "name": run_id.name}
    stream = subscription.follow(
        client,
        SUBSCRIPTION,
        {"run": name},
        wait=wait,
        trouble=trouble,
        is_over=lambda: run.ended,
    )
    async with aclosing(stream) as frames:
        async for frame in frames:
            changed(run.apply(frame))
