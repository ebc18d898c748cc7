"""Checks of what the viewers received, and measurements."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from repo import ActionPhase, RunIdentifier
from tests.faults.load import Journal, is_terminal
from tests.faults.stack import Stack
from tests.faults.viewer import EventViewer, Query, StateViewer, Viewer

State = dict[str, Any]
"""The actual or expected rows by the name of a run or an action, or the key of an event."""

_ROW = "id name revision phase attempts"
_RUNS = f"""subscription ($filter: RunFilter, $after: String) {{
  runs(filter: $filter, after: $after) {{
    kind cursor removed runs {{ {_ROW} phaseCounts {{ phase count }} }}
  }}
}}"""
_ACTIONS = f"""subscription ($run: RunIdentifierInput!, $filter: ActionFilter, $after: String) {{
  actions(run: $run, filter: $filter, after: $after) {{ kind cursor removed actions {{ {_ROW} }} }}
}}"""
_EVENTS = """subscription ($run: RunIdentifierInput!, $after: String) {
  events(run: $run, after: $after) { kind cursor events { id attempt phase version action { name } } }
}"""

_STATES = """subscription ($run: RunIdentifierInput!, $after: String) {
  actionStates(run: $run, after: $after) { kind cursor actions { name } }
}"""

# Read directly from the database.
_STORED_ACTIONS = """
SELECT name, revision, phase, attempts FROM actions
WHERE project = $1 AND domain = $2 AND run_name = $3
"""
_STORED_RUNS = """
SELECT domain, run_name FROM actions WHERE project = $1 AND parent_key IS NULL
"""
_STORED_EVENTS = """
SELECT name, attempt, e.phase, version FROM action_events e JOIN actions a ON a.key = e.action_key
WHERE project = $1 AND domain = $2 AND run_name = $3
"""


@dataclass(frozen=True)
class Watched:
    """A viewer, and a function that reads the state it must reach."""

    viewer: Viewer
    stored: Callable[[Stack], Awaitable[State]]


def watch_actions(name: str, urls: list[str], run: RunIdentifier, *phases: str) -> Watched:
    """A viewer of the actions of a run, or of those in some phases."""
    wanted = {"phases": phases} if phases else None
    query = Query("actions", _ACTIONS, {"run": run_input(run), "filter": wanted})
    return Watched(Viewer(name, urls, query), lambda stack: stored_actions(stack, run, *phases))


def watch_runs(name: str, urls: list[str], runs: Sequence[RunIdentifier]) -> Watched:
    """A viewer of all runs of their project, with phase counts."""
    query = Query("runs", _RUNS, {"filter": {"project": runs[0].project}})
    return Watched(Viewer(name, urls, query), lambda stack: stored_runs(stack, runs))


def watch_project(name: str, urls: list[str], project: str) -> Watched:
    """A viewer of all runs of a project, including later ones, with phase counts."""
    query = Query("runs", _RUNS, {"filter": {"project": project}})

    async def stored(stack: Stack) -> State:
        rows = await stack.fetch(_STORED_RUNS, project)
        return await stored_runs(stack, [RunIdentifier(project, *row) for row in rows])

    return Watched(Viewer(name, urls, query), stored)


def watch_states(name: str, urls: list[str], run: RunIdentifier) -> StateViewer:
    """A viewer of the states of the actions of a run."""
    return StateViewer(name, urls, Query("actionStates", _STATES, {"run": run_input(run)}))


def watch_events(name: str, urls: list[str], run: RunIdentifier) -> Watched:
    """A viewer of the events of a run."""
    query = Query("events", _EVENTS, {"run": run_input(run)})
    return Watched(EventViewer(name, urls, query), lambda stack: stored_events(stack, run))


def run_input(run: RunIdentifier) -> dict[str, str]:
    """The run as a GraphQL argument."""
    return {"project": run.project, "domain": run.domain, "name": run.name}


def shown(viewer: Viewer) -> State:
    """The rows that a viewer holds."""
    if isinstance(viewer, EventViewer):
        return dict.fromkeys(viewer.seen, True)
    return {
        row["name"]: (int(row["revision"]), row["phase"], row["attempts"], _counts(row))
        for row in viewer.rows.values()
    }


def _counts(row: dict[str, Any]) -> dict[str, int] | None:
    counts = row.get("phaseCounts")
    return None if counts is None else {item["phase"]: item["count"] for item in counts}


async def stored_actions(stack: Stack, run: RunIdentifier, *phases: str) -> State:
    """The stored actions of a run, as a viewer must show them."""
    rows = await stack.fetch(_STORED_ACTIONS, run.project, run.domain, run.name)
    found = {row["name"]: (row["revision"], _phase(row), row["attempts"], None) for row in rows}
    return {name: row for name, row in found.items() if not phases or row[1] in phases}


async def stored_runs(stack: Stack, runs: Sequence[RunIdentifier]) -> State:
    """The stored runs, as a viewer must show them."""
    found = {}
    for run in runs:
        actions = await stored_actions(stack, run)
        counts: dict[str, int] = {}
        for _, phase, _, _ in actions.values():
            counts[phase] = counts.get(phase, 0) + 1
        found[run.name] = (*actions["a0"][:3], counts)
    return found


async def stored_events(stack: Stack, run: RunIdentifier) -> State:
    """The stored events of a run, as a viewer must show them."""
    rows = await stack.fetch(_STORED_EVENTS, run.project, run.domain, run.name)
    return {f"{row['name']}/{row['attempt']}/{_phase(row)}/{row['version']}": True for row in rows}


def _phase(row: Any) -> str:
    return ActionPhase(row["phase"]).name


def lost_writes(journal: Journal, actions: State, events: State) -> list[str]:
    """The acknowledged writes of a run that are not stored."""
    lost = [f"event {key}" for key in journal.events - set(events)]
    for written in journal.written:
        revision, phase, attempts, _ = actions.get(written.name, (0, "", 0, None))
        is_over = attempts == written.attempt and is_terminal(written.phase) and phase != written.phase
        if revision < written.revision or attempts < written.attempt or is_over:
            lost.append(f"{written} is now {actions.get(written.name)}")
    return lost


def missed_ends(viewer: Viewer, actions: State) -> list[str]:
    """The actions whose end a viewer of the run did not receive."""

    def saw(name: str, end: tuple[str, int]) -> bool:
        return any((seen.row["phase"], seen.row["attempts"]) == end for seen in viewer.seen.get(name, []))

    ended = {name: (phase, attempts) for name, (_, phase, attempts, _) in actions.items()}
    return [name for name, end in ended.items() if is_terminal(end[0]) and not saw(name, end)]


@dataclass(frozen=True)
class Lags:
    """Seconds from the acknowledgement of a write until a viewer received it."""

    usual: list[float]
    """For writes outside the fault."""
    during: list[float]
    """For writes acknowledged during the fault."""
    after: list[float]
    """The same, from the end of the fault; 0 if received before."""


def lags(viewer: Viewer, journal: Journal, began: float, ended: float) -> Lags:
    """The lags of a viewer of a run; writes that it did not receive are omitted."""
    found = Lags([], [], [])
    for written in journal.written:
        seen = viewer.first_seen(written.name, written.revision)
        if seen is None:
            continue
        lag = max(0.0, seen - written.time)
        if began <= written.time <= ended:
            found.during.append(lag)
            found.after.append(max(0.0, seen - ended))
        else:
            found.usual.append(lag)
    return found


async def settled(viewer: Viewer, should: State, seconds: float) -> bool:
    """Whether a viewer shows the expected rows within `seconds`."""
    deadline = time.monotonic() + seconds
    while shown(viewer) != should:
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.02)
    return True


def difference(has: State, should: State) -> str:
    """The first five differences."""
    names = [name for name in sorted(has | should) if has.get(name) != should.get(name)]
    return "; ".join(f"{name}: {has.get(name)}, stored is {should.get(name)}" for name in names[:5])


def percentile(values: Sequence[float], part: float) -> float | None:
    """The value below which this fraction of the values lies; None without values."""
    return sorted(values)[min(len(values) - 1, int(part * len(values)))] if values else None
