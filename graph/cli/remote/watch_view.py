"""The output of `rungraph watch`: a tree that fits the terminal, or lines of text."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from heapq import nsmallest
from operator import attrgetter, itemgetter

from rich.cells import cell_len
from rich.text import Text

from graph.cli.remote.phases import BAD, GOOD, in_order, style_of
from graph.cli.remote.text import duration, phase_counts, phase_text
from graph.cli.remote.watch_tree import Children, WatchedAction, WatchedRun
from repo.domain.identifiers import printable

MANY = 20
"""Of a parent with more children, only running and failed ones are shown, and a count of the others."""
_PLACE = attrgetter("place")


@dataclass(frozen=True, slots=True)
class _Row:
    """A line of the tree: an action, or a count of hidden ones."""

    guides: str
    action: WatchedAction | None
    rest: str
    """A summary of its hidden children."""


def draw(run: WatchedRun, width: int, height: int, now: datetime, trouble: str | None = None) -> Text:
    """Renders the run in at most `height` lines of `width` cells."""
    lines = list(_header(run, width, now, trouble))
    if run.root is not None:
        rows = _fitting(run, max(1, height - len(lines)))
        named = [row.guides + printable(row.action.name) for row in rows if row.action]
        column = min(max(map(cell_len, named)), width // 2)
        lines += [_line(row, column + 2, now) for row in rows]
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return Text("\n", no_wrap=True, end="").join(lines[: max(1, height)])


def _header(run: WatchedRun, width: int, now: datetime, trouble: str | None) -> Iterator[Text]:
    root = run.root
    if root is None:
        yield Text(printable(run.name), "bold")
        yield Text(printable(trouble), "yellow") if trouble else Text("waiting for the server …", "dim")
        return
    lasted = ((root.ended_at or now) - root.created_at).total_seconds()
    end = Text.assemble(
        "  ", (printable(root.phase.name), style_of(root.phase)[1]), "  ", (duration(lasted), "dim")
    )
    name = Text(printable(run.name), "bold")
    name.truncate(max(8, width - end.cell_len), overflow="ellipsis")
    yield name + end
    yield _bar(run, width)
    yield Text(" · ", "dim").join(
        Text(f"{run.counts[phase]:,} {phase_text(phase)}", style_of(phase)[1])
        for phase in in_order(+run.counts)
    )
    # The separator line has room for the connection state.
    reading = "" if run.synced else "reading the current state …"
    yield Text(printable(trouble), "yellow") if trouble else Text(reading, "dim")


def _bar(run: WatchedRun, width: int) -> Text:
    total, finished = len(run.actions), run.finished
    counts = f" {finished:,} of {total:,} ended"
    cells = max(10, min(60, width - len(counts)))
    filled = cells * finished // total
    red = min(filled, -(-cells * sum(run.counts[phase] for phase in BAD) // total))
    return Text.assemble(
        ("━" * (filled - red), "green"), ("━" * red, "red"), ("╌" * (cells - filled), "bright_black"), counts
    )


def _fitting(run: WatchedRun, height: int) -> list[_Row]:
    """The rows of the tree, as many as the height allows."""
    root = run.root
    below = _choose(run, height - 1)
    rows: list[_Row] = []
    waiting: list[tuple[str, str, WatchedAction | None, str]] = [("", "", root, "")]
    while waiting:
        guides, further, action, words = waiting.pop()
        if action is None:
            rows.append(_Row(guides, None, words))
            continue
        shown, hidden = below.get(action.name, ([], ""))
        # If none is shown, one line summarises them.
        rows.append(_Row(guides, action, "" if shown else hidden))
        children: list[tuple[WatchedAction | None, str]] = [(child, "") for child in shown]
        if shown and hidden:
            children.append((None, hidden))
        for at, (child, text) in enumerate(reversed(children)):
            mark, indent = ("└─ ", "   ") if at == 0 else ("├─ ", "│  ")
            waiting.append((further + mark, further + indent, child, text))
    return rows


def _choose(run: WatchedRun, rows: int) -> dict[str, tuple[list[WatchedAction], str]]:
    """Chooses the visible children of each visible action and summarises the others. Level by level, each
    parent gets a share of the rows; children of succeeded actions are shown only if there is room."""
    below: dict[str, tuple[list[WatchedAction], str]] = {}
    level = [run.root] if run.root else []
    postponed: list[WatchedAction] = []
    while level or postponed:
        if not level:
            level, postponed = postponed, []
        wanting = sorted(
            (
                (_wanted_rows(run.children[action.name]), action)
                for action in level
                if action.name in run.children
            ),
            key=itemgetter(0),
        )
        opened: list[WatchedAction] = []
        for at, (wanted, action) in enumerate(wanting):
            children = run.children[action.name]
            shown = _first(run, children, min(wanted, rows // (len(wanting) - at)))
            hidden = children.counts.copy()
            hidden.subtract(child.phase for child in shown)
            below[action.name] = shown, phase_counts(hidden, ", ")
            rows -= len(shown) + (len(shown) < len(children.names) and bool(shown))
            opened += shown
        level = [action for action in opened if action.phase not in GOOD]
        postponed += [action for action in opened if action.phase in GOOD]
    return below


def _wanted_rows(children: Children) -> int:
    if len(children.names) <= MANY:
        return len(children.names)
    return len(children.active) + len(children.bad) + 1


def _first(run: WatchedRun, children: Children, rows: int) -> list[WatchedAction]:
    """The children shown in this many rows. If not all fit, one row is for the others."""
    if len(children.names) <= min(rows, MANY):
        return sorted((run.actions[name] for name in children.names), key=_PLACE)
    most = max(0, rows - 1)
    active = nsmallest(most, (run.actions[name] for name in children.active), key=_PLACE)
    bad = nsmallest(
        most - min(len(active), most // 2), (run.actions[name] for name in children.bad), key=_PLACE
    )
    return sorted([*bad, *active[: most - len(bad)]], key=_PLACE)


def _line(row: _Row, column: int, now: datetime) -> Text:
    guides = row.guides if len(row.guides) <= column // 2 else "…" + row.guides[1 - column // 2 :]
    line = Text().append(guides, "bright_black")
    action = row.action
    if action is None:
        return line.append(f"… {row.rest}", "dim")
    symbol, style = style_of(action.phase)
    line.append(f"{symbol} ", style)
    name = Text(printable(action.name))
    name.truncate(max(8, column - line.cell_len), overflow="ellipsis", pad=True)
    line.append_text(name).append("  ")
    line.append(phase_text(action.phase), style)
    seconds = action.seconds(now)
    line.append(" " * max(1, 10 - len(phase_text(action.phase))))
    line.append(f"{duration(seconds) if seconds is not None else '':>8}", "dim")
    if action.attempts > 1:
        line.append(f"  attempt {action.attempts}", "yellow")
    if row.rest:
        line.append(f"  {row.rest}", "dim")
    for text, colour in ((action.abort, "magenta"), (action.error, "red")):
        if text is not None:
            line.append(f"  {printable(text)}", colour)
    return line


def plain_line(action: WatchedAction) -> str:
    """A line about a changed action."""
    at = action.updated_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    parts = [at, printable(action.name), printable(action.phase.name), f"attempt {action.attempts}"]
    return "  ".join([*parts, *(printable(text) for text in (action.abort, action.error) if text)])


def plain_summary(run: WatchedRun, now: datetime) -> str:
    """A line about the state of the run."""
    root = run.root
    if root is None:
        return f"{printable(run.name)}: not read yet"
    lasted = duration(((root.ended_at or now) - root.created_at).total_seconds())
    words = phase_counts(run.counts, ", ")
    ended = f"{run.finished:,} of {len(run.actions):,} ended ({words})"
    return f"{printable(run.name)}: {printable(root.phase.name)} after {lasted}, {ended}"
