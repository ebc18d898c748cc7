"""Phases as a server names them. One that only a newer server knows is shown as it is."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from repo.domain.phases import ActionPhase


@dataclass(frozen=True, slots=True, order=True)
class UnknownPhase:
    """A phase of a newer server. Only an end time tells whether it is terminal."""

    name: str
    is_terminal = False


Phase = ActionPhase | UnknownPhase

ACTIVE: frozenset[Phase] = frozenset({ActionPhase.RUNNING, ActionPhase.INITIALIZING, ActionPhase.PAUSED})
BAD: frozenset[Phase] = frozenset({ActionPhase.FAILED, ActionPhase.TIMED_OUT})
GOOD: frozenset[Phase] = frozenset({ActionPhase.SUCCEEDED, ActionPhase.RECOVERED})
_ORDER: list[Phase] = sorted(ActionPhase, key=lambda phase: (phase not in BAD, phase not in ACTIVE, phase))
_STYLES = {
    ActionPhase.QUEUED: ("○", "bright_black"),
    ActionPhase.WAITING_FOR_RESOURCES: ("○", "bright_black"),
    ActionPhase.INITIALIZING: ("◌", "cyan"),
    ActionPhase.RUNNING: ("●", "blue"),
    ActionPhase.PAUSED: ("‖", "yellow"),
    ActionPhase.SUCCEEDED: ("✓", "green"),
    ActionPhase.FAILED: ("✗", "red"),
    ActionPhase.ABORTED: ("■", "magenta"),
    ActionPhase.TIMED_OUT: ("✗", "red"),
    ActionPhase.RECOVERED: ("✓", "green"),
    ActionPhase.SKIPPED: ("⇥", "bright_black"),
}


def phase_of(name: str) -> Phase:
    """The phase of this name in the API."""
    found = ActionPhase.__members__.get(name)
    return UnknownPhase(name) if found is None else found


def has_ended(node: dict[str, Any]) -> bool:
    """Whether a run, an action or an attempt with `phase` and `endedAt` has ended."""
    phase = phase_of(node["phase"])
    return phase.is_terminal or (isinstance(phase, UnknownPhase) and node["endedAt"] is not None)


def style_of(phase: Phase) -> tuple[str, str]:
    """Its symbol and colour."""
    return ("?", "default") if isinstance(phase, UnknownPhase) else _STYLES[phase]


def in_order(phases: Collection[Phase]) -> list[Phase]:
    """The phases, the bad ones first, then those that run."""
    unknown = sorted(phase for phase in phases if isinstance(phase, UnknownPhase))
    return [*(phase for phase in _ORDER if phase in phases), *unknown]
