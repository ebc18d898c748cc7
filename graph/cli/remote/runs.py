"""`rungraph list`: the newest runs that match, as a table that fits the terminal."""

import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Any

from rich.text import Text

from graph.cli.remote import documents
from graph.cli.remote.connection import DONE, Json, Session
from graph.cli.remote.phases import has_ended, phase_of
from graph.cli.remote.text import between, local_time, phase_cell, short_time, table
from repo.domain.identifiers import printable
from repo.domain.phases import ActionPhase

_PAGE = 500
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_TITLES = ("PHASE", "RUN", "TASK", "STARTED", "DURATION", "ENDED")
_RUN = 1
_OPTIONAL = {2: 100, 3: 70}
"""Columns that are left out of narrow terminals, and the width from which on they are shown."""


def read_phase(text: str) -> str:
    """The name of a phase as in the API. Raises ValueError."""
    name = text.upper().replace("-", "_")
    if name not in ActionPhase.__members__:
        known = ", ".join(phase.name.lower() for phase in ActionPhase)
        raise ValueError(f"there is no phase {text!r}; the phases are {known}")
    return name


def read_since(text: str, now: datetime) -> datetime:
    """A time, or the time so long before `now`. Raises ValueError."""
    try:
        if found := re.fullmatch(r"([0-9]{1,5})([mhdw])", text, re.ASCII):
            return now - timedelta(**{_UNITS[found[2]]: int(found[1])})
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError):
        raise ValueError(
            f"--since must be a duration such as 30m, 2h, 7d or 4w, or a time such as 2026-11-30T08:00, "
            f"not {text!r}"
        ) from None


def run_filter(
    phases: Sequence[str],
    task: str | None,
    labels: Sequence[str],
    text: str | None,
    since: str | None,
    project: str | None,
    domain: str | None,
) -> Json:
    """The options as RunFilter. Raises ValueError."""
    pairs = [label.partition("=") for label in labels]
    return {
        "phases": [read_phase(phase) for phase in phases] or None,
        "taskName": task,
        "allLabels": [{"key": key, "value": value if equals else None} for key, equals, value in pairs]
        or None,
        "search": text,
        "startDate": None if since is None else read_since(since, datetime.now(UTC)).isoformat(),
        "project": project,
        "domain": domain,
    }


async def list_runs(session: Session, filter: Json, limit: int, as_json: bool) -> int:
    """Prints the newest runs that match; returns the exit code. Raises ApiError."""
    rows: list[list[Text | str]] = []
    now, is_cut = datetime.now(UTC), False
    async with aclosing(_pages(session, filter, limit)) as pages:
        async for nodes, has_more in pages:
            is_cut = has_more
            if as_json:
                for node in nodes:
                    session.print_json(node)
            else:
                rows += [_row(node, now, session.console.is_terminal) for node in nodes]
    if rows:
        shown = [column for column in range(len(_TITLES)) if session.width >= _OPTIONAL.get(column, 0)]
        titles, cells = (
            [_TITLES[column] for column in shown],
            [[row[column] for column in shown] for row in rows],
        )
        for line in table(titles, cells, session.width, (2, _RUN) if 2 in shown else (_RUN,), path=_RUN):
            session.print(line)
    elif not as_json:
        session.note("no runs match")
    if is_cut and not as_json:
        session.note(f"there are more than these {limit}: see --limit")
    return DONE


async def _pages(session: Session, filter: Json, limit: int) -> AsyncGenerator[tuple[list[Json], bool], None]:
    """The runs in pages, each with whether more match."""
    after = None
    while limit > 0:
        size = min(limit, _PAGE)
        found = (await session.execute(documents.RUNS, filter=filter, first=size, after=after))["runs"]
        more, after = found["pageInfo"]["hasNextPage"], found["pageInfo"]["endCursor"]
        limit -= len(found["nodes"])
        yield found["nodes"], more
        if not more:
            return


def ended_actions(counts: list[dict[str, Any]]) -> tuple[int, int]:
    """How many actions have ended, and how many there are."""
    ended = sum(each["count"] for each in counts if phase_of(each["phase"]).is_terminal)
    return ended, sum(each["count"] for each in counts)


def progress_text(progress: Json | None) -> str:
    """Such as `45 %`, or `17 rows` without a total; empty for None."""
    if progress is None:
        return ""
    done, total = progress["done"], progress["total"]
    text = f"{done:g}" if total is None else f"{100 * done / total:.0f} %" if total > 0 else ""
    return printable(f"{text} {progress['message'] or ''}").strip()


def _row(run: Json, now: datetime, is_short: bool) -> list[Text | str]:
    root = run["rootAction"]
    phase = phase_of(run["phase"])
    note = ", lost" if root["isLost"] else ""
    if run["abort"] is not None and run["abort"]["state"] != "CONFIRMED":
        note += ", unconfirmed"
    ended, total = ended_actions(run["phaseCounts"])
    progress = "" if has_ended(run) else progress_text(root["progress"])
    task = run["task"]["name"] if run["task"] else run["functionName"] or ""
    return [
        phase_cell(phase, note),
        printable(f"{run['project']}/{run['domain']}/{run['name']}"),
        printable(task),
        short_time(run["startedAt"], now) if is_short else local_time(run["startedAt"]),
        between(run["createdAt"], run["endedAt"], now),
        f"{ended:,}/{total:,}  {progress}".rstrip(),
    ]
