"""Phases, times and durations as text, and tables that fit the terminal."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from rich.cells import cell_len
from rich.text import Text

from graph.cli.remote.phases import Phase, in_order, style_of
from repo.domain.identifiers import printable
from repo.domain.phases import ActionPhase


def phase_text(phase: Phase) -> str:
    """The phase as text."""
    is_waiting = phase is ActionPhase.WAITING_FOR_RESOURCES
    return "waiting" if is_waiting else printable(phase.name.lower().replace("_", " "))


def phase_counts(counts: Counter[Phase], separator: str) -> str:
    """Such as `2 failed, 180 succeeded, 12 queued`."""
    return separator.join(f"{counts[phase]:,} {phase_text(phase)}" for phase in in_order(+counts))


def duration(seconds: float) -> str:
    """Such as `2.3 s`, `41 s`, `3 m 05 s` or `2 h 05 m`."""
    seconds = max(0.0, seconds)
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} m {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} m"


def phase_cell(phase: Phase, note: str = "") -> Text:
    """Such as `✗ failed`, with its colour."""
    symbol, style = style_of(phase)
    return Text(f"{symbol} {phase_text(phase)}{note}", style)


def read_time(text: str | None) -> datetime | None:
    """A time of the API."""
    return None if text is None else datetime.fromisoformat(text)


def local_time(text: str | None) -> str:
    """A time of the API in the local time zone, such as `2026-11-30 21:05:09`; empty for None."""
    at = read_time(text)
    return "" if at is None else at.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def short_time(text: str | None, now: datetime) -> str:
    """A time of the API in the local time zone, without the parts that go without saying."""
    at = read_time(text)
    if at is None:
        return ""
    at, today = at.astimezone(), now.astimezone()
    if at.date() == today.date():
        return at.strftime("%H:%M:%S")
    return at.strftime("%b %d %H:%M" if at.year == today.year else "%Y-%m-%d")


def between(start: str | None, end: str | None, now: datetime) -> str:
    """The duration between two times of the API, or until now; empty without a start."""
    begun = read_time(start)
    return "" if begun is None else duration(((read_time(end) or now) - begun).total_seconds())


def error_text(error: dict[str, Any] | None) -> str:
    """The code of an error and a line of its message."""
    if error is None:
        return ""
    code, summary = error["code"], error["summary"]
    # The last line of a traceback begins with the type, which many executors also name as the code.
    return printable(f"{code}: {summary}" if code and not summary.startswith(code) else summary)


def abort_text(abort: dict[str, Any] | None) -> str | None:
    """The state of an abort."""
    if abort is None:
        return None
    text = f"abort {abort['state'].lower()}"
    if abort["state"] in ("RETRYING", "FAILED"):
        text += f" after {abort['attemptCount']} attempts"
    if abort["requestedBy"]:
        text += f", requested by {abort['requestedBy']['subject']}"
    reason = abort["lastError"] if abort["state"] in ("RETRYING", "FAILED") else None
    reason = reason or abort["reason"]
    return f"{text}: {reason}" if reason else text


def size_text(size: int) -> str:
    """A number of bytes, such as `512 B` or `1.5 MiB`."""
    if size < 1024:
        return f"{size} B"
    value, units = float(size), ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
    for unit in units:
        value /= 1024
        if value < 1023.95 or unit == units[-1]:
            break
    return f"{value:.1f} {unit}"


def table(
    titles: Sequence[str],
    rows: Sequence[Sequence[Text | str]],
    width: int,
    flexible: Sequence[int] = (),
    path: int | None = None,
) -> list[Text]:
    """The lines of a table. If they are too long, the flexible columns are cut, the first one first. The
    column `path` is cut at its start, where paths differ least."""
    cells = [[Text(cell) if isinstance(cell, str) else cell for cell in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(titles, *_plain(cells), strict=True)]
    for column in flexible:
        excess = sum(widths) + 2 * (len(widths) - 1) - width
        if excess > 0:
            widths[column] = max(len(titles[column]), 8, widths[column] - excess)
    lines = [_line([Text(title, "dim") for title in titles], widths, None)]
    lines += [_line(row, widths, path) for row in cells]
    for line in lines:
        line.rstrip()
        line.truncate(width, overflow="ellipsis")
    return lines


def _plain(cells: list[list[Text]]) -> list[list[str]]:
    return [[cell.plain for cell in row] for row in cells]


def _line(cells: Sequence[Text], widths: Sequence[int], path: int | None) -> Text:
    line = Text(no_wrap=True)
    for number, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        fitted = cell.copy()
        if number == path and cell.cell_len > width:
            fitted = Text(f"…{_end_of(cell.plain, width - 1)}", cell.style)
        fitted.truncate(width, overflow="ellipsis", pad=True)
        line.append("  " * (number > 0)).append_text(fitted)
    return line


def _end_of(text: str, width: int) -> str:
    """The end of a text that fits."""
    start = max(0, len(text) - width)
    while cell_len(text[start:]) > width:
        start += 1
    return text[start:]
