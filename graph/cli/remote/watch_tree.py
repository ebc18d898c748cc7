"""The model of `rungraph watch`: a run's actions, updated by frames."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from graph.cli.remote.phases import ACTIVE, BAD, GOOD, Phase, has_ended, phase_of
from graph.cli.remote.text import abort_text, error_text, read_time


@dataclass(frozen=True, slots=True)
class WatchedAction:
    """An action at one revision. Its texts are untrusted: output escapes them."""

    id: str
    name: str
    parent_name: str | None
    phase: Phase
    has_ended: bool
    attempts: int
    revision: int
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    updated_at: datetime
    error: str | None
    abort: str | None
    place: tuple[datetime, list[str | int]]
    """The sort key among siblings: by creation, then by name with 2 before 10."""

    @classmethod
    def read(cls, node: dict[str, Any]) -> Self:
        """Parses an action of the API."""
        created_at = datetime.fromisoformat(node["createdAt"])
        parts = re.split(r"(\d+)", node["name"])
        return cls(
            id=node["id"],
            name=node["name"],
            parent_name=node["parentName"],
            phase=phase_of(node["phase"]),
            has_ended=has_ended(node),
            attempts=node["attempts"],
            revision=int(node["revision"]),
            created_at=created_at,
            started_at=read_time(node["startedAt"]),
            ended_at=read_time(node["endedAt"]),
            updated_at=datetime.fromisoformat(node["updatedAt"]),
            error=error_text(node["error"]) or None,
            abort=abort_text(node["abort"]),
            place=(created_at, [int(part) if at % 2 else part for at, part in enumerate(parts)]),
        )

    def seconds(self, now: datetime) -> float | None:
        """The run time so far; None before the start."""
        if self.started_at is None:
            return None
        return max(0.0, ((self.ended_at or now) - self.started_at).total_seconds())


@dataclass(slots=True)
class Children:
    """The actions below one parent, with counts, so that rendering need not visit each."""

    names: set[str] = field(default_factory=set)
    active: set[str] = field(default_factory=set)
    bad: set[str] = field(default_factory=set)
    counts: Counter[Phase] = field(default_factory=Counter)

    def add(self, action: WatchedAction) -> None:
        self.names.add(action.name)
        self.counts[action.phase] += 1
        if action.phase in BAD:
            self.bad.add(action.name)
        elif action.phase in ACTIVE:
            self.active.add(action.name)

    def discard(self, action: WatchedAction) -> None:
        self.names.discard(action.name)
        self.active.discard(action.name)
        self.bad.discard(action.name)
        self.counts[action.phase] -= 1


class WatchedRun:
    """The newest known revision of each action of a run. Frames may be late, repeated, or restart the
    stream."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.cursor: str | None = None
        """The cursor of the last frame."""
        self.synced = False
        """Whether the snapshot is complete."""
        self._forget()

    def _forget(self) -> None:
        self.actions: dict[str, WatchedAction] = {}
        self.children: dict[str | None, Children] = {}
        self.counts: Counter[Phase] = Counter()
        self._names: dict[str, str] = {}
        self.synced = False

    @property
    def root(self) -> WatchedAction | None:
        """The root action, once known."""
        top_level = self.children.get(None)
        return self.actions[next(iter(top_level.names))] if top_level and top_level.names else None

    @property
    def ended(self) -> bool:
        """Whether the run has ended, as far as known."""
        return self.root is not None and self.root.has_ended

    @property
    def ended_well(self) -> bool:
        """Whether the run succeeded."""
        return self.root is not None and self.root.phase in GOOD

    @property
    def finished(self) -> int:
        """The number of ended actions."""
        return sum(count for phase, count in self.counts.items() if phase.is_terminal)

    def apply(self, frame: dict[str, Any]) -> list[WatchedAction]:
        """Applies a frame; returns the changed actions."""
        if frame["kind"] == "RESYNC":
            self._forget()
        elif frame["kind"] == "SYNCED":
            self.synced = True
        for action_id in frame["removed"]:
            self._remove(action_id)
        changed = self._update(WatchedAction.read(node) for node in frame["actions"])
        self.cursor = frame["cursor"]
        return changed

    def _update(self, actions: Iterable[WatchedAction]) -> list[WatchedAction]:
        changed = []
        for action in actions:
            known = self.actions.get(action.name)
            if known is not None and known.revision > action.revision or known == action:
                continue
            if known is not None:
                self._remove(known.id)
            self.actions[action.name] = action
            self._names[action.id] = action.name
            self.counts[action.phase] += 1
            self.children.setdefault(action.parent_name, Children()).add(action)
            changed.append(action)
        return changed

    def _remove(self, action_id: str) -> None:
        name = self._names.pop(action_id, None)
        if name is not None:
            action = self.actions.pop(name)
            self.counts[action.phase] -= 1
            self.children[action.parent_name].discard(action)
