"""The rows of a grid of runs: which actions of different runs are the same step."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import NamedTuple

from repo.domain.models import ActionError
from repo.domain.phases import ActionPhase

FEW = 5
"""Actions that only one run has are rows of their own if what they share has at most so many of them."""


class GridRowKind(Enum):
    """What the actions of a row have in common."""

    ROOT = "ROOT"
    ACTION = "ACTION"
    GROUP = "GROUP"
    TASK = "TASK"
    FUNCTION = "FUNCTION"
    PATTERN = "PATTERN"


class GridAction(NamedTuple):
    """What is read of an action."""

    key: bytes
    name: str
    parent_name: str | None
    depth: int
    group: str | None
    task_name: str | None
    function_name: str | None
    phase: ActionPhase
    started_at: datetime | None
    ended_at: datetime | None


@dataclass(slots=True)
class GridCell:
    """The actions of a row in one run."""

    run: int
    """The place of the run among those of the grid."""
    key: bytes
    """The key of the action that stands for all of them."""
    name: str
    phase: ActionPhase
    actions: int
    failed: int
    started_at: datetime | None
    ended_at: datetime | None
    error: ActionError | None = None


@dataclass(slots=True)
class GridRow:
    """A step of the runs. `depth` is the number of rows above it in the tree."""

    kind: GridRowKind
    name: str
    depth: int
    cells: list[GridCell]


@dataclass(slots=True, eq=False)
class _Step:
    """The actions that are the same step, by run."""

    kind: GridRowKind
    name: str
    parent: "_Step | None"
    members: dict[int, list[GridAction]] = field(default_factory=dict)


_Identity = tuple[GridRowKind, str, _Step | None]

_BY_NAME = (GridRowKind.ROOT, GridRowKind.ACTION)
FAILED = frozenset({ActionPhase.FAILED, ActionPhase.TIMED_OUT})
_SUCCEEDED = frozenset({ActionPhase.SUCCEEDED, ActionPhase.RECOVERED})
_VARIABLE = re.compile(r"(?<![^\W_])[0-9a-f]*\d[0-9a-f]*(?![^\W_])|\d+", re.IGNORECASE)
"""The parts of a name that differ from run to run: words of hexadecimal digits with a number, and numbers."""
_SEVERAL = re.compile(r"\*(?:[-_]\*)+")


def grid_rows(runs: Sequence[Sequence[GridAction]]) -> list[GridRow]:
    """The rows of these runs, the newest first, whose actions are in the order of the tree: parents before
    what is below them, as in the newest run that has them.

    Actions of the same name are the same step. Names that only one run has may be generated for each run:
    these are the same step if they have the same parent and group; without a group, the same task, function
    or name without numbers.
    """
    below: dict[_Step | None, list[_Step]] = {}
    for step in _split(_collect(runs)) if len(runs) > 1 else _collect(runs):
        below.setdefault(step.parent, []).append(step)
    rows: list[GridRow] = []
    waiting = [(step, 0) for step in reversed(below.get(None, []))]
    while waiting:
        step, depth = waiting.pop()
        cells = [_cell(run, members) for run, members in sorted(step.members.items())]
        rows.append(GridRow(step.kind, step.name, depth, cells))
        waiting += [(each, depth + 1) for each in reversed(below.get(step, []))]
    return rows


def _collect(runs: Sequence[Sequence[GridAction]]) -> list[_Step]:
    """The steps in the order in which they are first seen, parents first."""
    runs_with = Counter(each.name for actions in runs for each in actions)
    steps: dict[_Identity, _Step] = {}
    for run, actions in enumerate(runs):
        of_name: dict[str, _Step] = {}
        for each in actions:
            parent = None if each.parent_name is None else of_name.get(each.parent_name)
            identity: _Identity
            if not each.depth:
                identity = GridRowKind.ROOT, "", None
            elif runs_with[each.name] > 1 or len(runs) == 1:
                identity = GridRowKind.ACTION, each.name, None
            else:
                identity = *_shared(each), parent
            step = steps.get(identity)
            if step is None:
                step = steps[identity] = _Step(identity[0], identity[1] or each.name, parent)
            step.members.setdefault(run, []).append(each)
            of_name[each.name] = step
    return list(steps.values())


def _split(steps: Sequence[_Step]) -> list[_Step]:
    """The steps, but a row for each action where only one run has a few: these are new, or were removed."""
    result: list[_Step] = []
    parts: dict[_Step, dict[str, _Step]] = {}
    for step in steps:
        first = next(iter(step.members.values()))
        if step.parent in parts:
            step.parent = parts[step.parent][first[0].parent_name or ""]
        if step.kind in _BY_NAME or len(step.members) > 1 or len(first) > FEW:
            result.append(step)
            continue
        run = next(iter(step.members))
        named = {
            each.name: _Step(GridRowKind.ACTION, each.name, step.parent, {run: [each]}) for each in first
        }
        parts[step] = named
        result += named.values()
    return result


def _shared(action: GridAction) -> tuple[GridRowKind, str]:
    """What an action with a generated name has in common with others."""
    for kind, name in (
        (GridRowKind.GROUP, action.group),
        (GridRowKind.TASK, action.task_name),
        (GridRowKind.FUNCTION, action.function_name),
    ):
        if name:
            return kind, name
    return GridRowKind.PATTERN, _SEVERAL.sub("*", _VARIABLE.sub("*", action.name))


def _cell(run: int, members: Sequence[GridAction]) -> GridCell:
    """The cell of these actions: one that failed stands for all of them, else one in progress, else one
    that did not succeed."""
    first = min(members, key=_rank)
    ends = [each.ended_at for each in members]
    return GridCell(
        run=run,
        key=first.key,
        name=first.name,
        phase=first.phase,
        actions=len(members),
        failed=sum(each.phase in FAILED for each in members),
        started_at=min((each.started_at for each in members if each.started_at is not None), default=None),
        ended_at=None if None in ends else max(end for end in ends if end is not None),
    )


def _rank(action: GridAction) -> int:
    """Lower for an action that says more about its cell."""
    if action.phase in FAILED:
        return 0
    if not action.phase.is_terminal:
        return 1
    return 3 if action.phase in _SUCCEEDED else 2


def failed_cells(rows: Sequence[GridRow]) -> Iterator[GridCell]:
    """The cells whose action failed, those of the newest run first."""
    failed = [cell for row in rows for cell in row.cells if cell.phase in FAILED]
    return iter(sorted(failed, key=lambda cell: cell.run))
