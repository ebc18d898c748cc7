"""`rungraph events`: the events of a run or of one of its actions; with `--follow` also those to come."""

from contextlib import aclosing

from rich.text import Text

from graph.cli.remote import documents
from graph.cli.remote.connection import DONE, Json, Session, json_line, until
from graph.cli.remote.names import RunReference, find_run, run_input
from graph.cli.remote.text import error_text, local_time, phase_cell
from repo.domain.identifiers import RunIdentifier, printable
from repo.domain.phases import ActionPhase


class _Events:
    """The events of a run that are printed, each once, however often they are read."""

    def __init__(self, session: Session, run: RunIdentifier, action: str | None, as_json: bool) -> None:
        self._session = session
        self._variables = {"run": run_input(run), "action": action}
        self._as_json = as_json
        self._printed: set[str] = set()

    async def read(self, follow: bool = False, wait: bool = False) -> None:
        """Prints those that exist, in the order in which they occurred; with `follow` also every new one.
        With `wait`, a server that is unavailable is waited for. Raises ApiError."""
        existing: list[Json] | None = []
        stream = self._session.follow(documents.EVENTS, self._variables, wait=wait)
        async with aclosing(stream) as frames:
            async for frame in frames:
                if existing is None:
                    self._print(frame["events"])
                    continue
                existing = frame["events"] if frame["kind"] == "RESYNC" else existing + frame["events"]
                if frame["kind"] == "SYNCED":
                    self._print(sorted(existing, key=lambda each: str(each["occurredAt"])))
                    existing = None
                    if not follow:
                        return

    def _print(self, events: list[Json]) -> None:
        events = [each for each in events if each["id"] not in self._printed]
        self._printed.update(each["id"] for each in events)
        if self._as_json:
            self._session.write("".join(map(json_line, events)))
            return
        for event in events:
            self._session.print(_line(event))


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
    phase = ActionPhase.QUEUED
    stream = session.follow(
        documents.RUN_STATE,
        {"run": run_input(run)},
        cursor_field=None,
        on_interruption=lambda _: None,
        is_done=lambda: phase.is_terminal,
    )
    async with aclosing(stream) as states:
        async for state in states:
            phase = ActionPhase[state["phase"]]


def _line(event: Json) -> Text:
    line = Text.assemble((local_time(event["occurredAt"]), "dim"), "  ", printable(event["action"]["name"]))
    line.append(f"  attempt {event['attempt']}  ", "dim")
    line.append_text(phase_cell(ActionPhase[event["phase"]]))
    if event["cluster"]:
        line.append(f"  {printable(event['cluster'])}", "dim")
    if event["error"]:
        line.append(f"  {error_text(event['error'])}", "red")
    for each in event["clusterEvents"]:
        line.append(f"  {printable(each['message'])}", "yellow" if each["warning"] else "dim")
    return line
