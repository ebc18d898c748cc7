"""`rungraph watch`: follows a run until it ends, across lost connections."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from datetime import UTC, datetime
from functools import partial

from rich.console import Console
from rich.live import Live
from rich.text import Text

from graph.cli.remote import documents
from graph.cli.remote.connection import DONE, FAILED, Json, Session
from graph.cli.remote.names import RunReference, find_run, run_input
from graph.cli.remote.phases import BAD
from graph.cli.remote.watch_tree import WatchedAction, WatchedRun
from graph.cli.remote.watch_view import draw, plain_line, plain_summary
from ingest.client import ApiError
from ingest.subscription import OnInterruption
from repo.domain.identifiers import RunIdentifier

FRAMES_PER_SECOND = 4

Changed = Callable[[list[WatchedAction], Json], None]
"""Called with the actions that a frame has changed, and the frame."""
Following = Callable[[Changed, OnInterruption], Coroutine[None, None, None]]


async def watch_run(
    session: Session, reference: RunReference, wait: bool = True, as_json: bool = False
) -> int:
    """Watches a run until it has ended; returns the exit code. Raises ApiError; without `wait`,
    ServerUnavailable if the server is unavailable at the start."""
    run_id = await find_run(session, reference)
    run = WatchedRun(str(run_id))
    following = partial(follow, run, run_id, session, wait)
    if as_json:
        await _print_objects(following, session)
    elif session.console.is_interactive:
        await _show_live(run, following, session.console)
    else:
        await _print_changes(run, following, session)
    return DONE if run.ended_well else FAILED


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
        task = asyncio.create_task(following(lambda changed, frame: None, note))
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


async def _print_changes(run: WatchedRun, following: Following, session: Session) -> None:
    """Prints a line for each change, and the state at the start and the end."""
    printed: dict[str, tuple[object, ...]] = {}
    began = False

    def print_changes(changed: list[WatchedAction], _: Json) -> None:
        nonlocal began
        for action in changed:
            state = (action.phase, action.attempts, action.abort, action.error)
            # Of the initial snapshot only failures are printed; after a reconnection, what is new.
            if printed.get(action.name) != state and (began or action.phase in BAD):
                session.print(plain_line(action))
            printed[action.name] = state
        if run.synced and not began:
            began = True
            if not run.ended:
                session.print(plain_summary(run, datetime.now(UTC)))

    await following(print_changes, session.note)
    session.print(plain_summary(run, datetime.now(UTC)))


async def _print_objects(following: Following, session: Session) -> None:
    """Prints each action as it is, and then whenever it has changed, as JSON."""
    printed: dict[str, int] = {}

    def print_objects(changed: list[WatchedAction], frame: Json) -> None:
        names = {action.name for action in changed}
        for node in frame["actions"]:
            # After a resync each action is read again.
            if node["name"] in names and printed.get(node["id"]) != int(node["revision"]):
                printed[node["id"]] = int(node["revision"])
                session.print_json(node)

    await following(print_objects, session.note)


async def follow(
    run: WatchedRun,
    run_id: RunIdentifier,
    session: Session,
    wait: bool,
    changed: Changed,
    on_interruption: OnInterruption,
) -> None:
    """Keeps `run` up to date until it has ended, across lost connections. `changed` is called after each
    frame; `on_interruption` with a connection error, and with None once it is over. Without `wait`, a
    server that is unavailable at the start raises ServerUnavailable."""
    stream = session.follow(
        documents.WATCH,
        {"run": run_input(run_id)},
        wait=wait,
        on_interruption=on_interruption,
        is_done=lambda: run.ended,
    )
    async with aclosing(stream) as frames:
        async for frame in frames:
            changed(run.apply(frame), frame)
