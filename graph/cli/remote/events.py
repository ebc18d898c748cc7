"""`rungraph events`: the events of a run or of one of its actions; with `--follow` also those to come."""

from collections.abc import Iterable
from contextlib import AsyncExitStack, aclosing

from rich.text import Text

from graph.cli.remote import documents
from graph.cli.remote.connection import DONE, Json, Session, json_line, until
from graph.cli.remote.names import RunReference, find_run, run_input
from graph.cli.remote.phases import has_ended, phase_of
from graph.cli.remote.sorting import Sorted
from graph.cli.remote.text import error_text, local_time, phase_cell
from repo.domain.identifiers import RunIdentifier, printable


class _Events:
    """The events of a run that are printed, each once, however often they are read."""

    def __init__(self, session: Session, run: RunIdentifier, action: str | None, as_json: bool) -> None:
        self._session = session
        self._variables = {"run": run_input(run), "action": action}
        self._as_json = as_json
        self._printed: set[int] | None = None
        """Hashes of the printed ones, if they may be read again."""

    async def read(self, follow: bool = False, wait: bool = False) -> None:
        """Prints those that exist, in the order in which they occurred; with `follow` also every new one.
        With `wait`, a server that is unavailable is waited for. Raises ApiError."""
        if follow:
            self._printed = set()
        stream = self._session.follow(documents.EVENTS, self._variables, wait=wait)
        async with aclosing(stream) as frames, AsyncExitStack() as stack:
            existing: Sorted | None = stack.enter_context(Sorted(_occurred_at))
            async for frame in frames:
                if existing is None:
                    self._print(frame["events"])
                    continue
                if frame["kind"] == "RESYNC":
                    existing = stack.enter_context(Sorted(_occurred_at))
                existing.add(frame["events"])
                if frame["kind"] == "SYNCED":
                    self._print(existing)
                    existing = None
                    await stack.aclose()
                    if not follow:
                        return

    def _print(self, events: Iterable[Json]) -> None:
        for event in events:
            if self._printed is not None:
                if (key := hash(event["id"])) in self._printed:
                    continue
                self._printed.add(key)
            if self._as_json:
                self._session.console.file.write(json_line(event))
            else:
                self._session.print(_line(event))
        self._session.console.file.flush()


def _occurred_at(event: Json) -> str:
    return str(event["occurredAt"])


async def show_events(
    session: Session, reference: RunReference, action: str | None, follow: bool, as_json: bool
) -> int:
    """Prints events; with `follow` until the run has ended. Returns the exit code. Raises ApiError."""
    run = await find_run(session, reference)
    events = _Events(session, run, action, as_json)
    if follow:
        await until(_run_ends(session, run), events.read(follow=True))
    await events.read(wait=follow)
    return DONE


async def _run_ends(session: Session, run: RunIdentifier) -> None:
    """Waits until the run has ended."""
    has_run_ended = False
    stream = session.follow(
        documents.RUN_STATE,
        {"run": run_input(run)},
        cursor_field=None,
        on_interruption=lambda _: None,
        is_done=lambda: has_run_ended,
    )
    async with aclosing(stream) as states:
        async for state in states:
            has_run_ended = has_ended(state)


def _line(event: Json) -> Text:
    line = Text.assemble((local_time(event["occurredAt"]), "dim"), "  ", printable(event["action"]["name"]))
    line.append(f"  attempt {event['attempt']}  ", "dim")
    line.append_text(phase_cell(phase_of(event["phase"])))
    if event["cluster"]:
        line.append(f"  {printable(event['cluster'])}", "dim")
    if event["error"]:
        line.append(f"  {error_text(event['error'])}", "red")
    for each in event["clusterEvents"]:
        line.append(f"  {printable(each['message'])}", "yellow" if each["warning"] else "dim")
    return line
