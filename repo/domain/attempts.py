"""Merges the events of an action into its attempts."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import groupby, pairwise
from typing import TypeVar

from repo.domain.models import ActionAttempt, ActionEvent, ClusterEvent, LogLink, PhaseTransition
from repo.domain.phases import ActionPhase

T = TypeVar("T")


def merge_attempts(events: Iterable[ActionEvent]) -> list[ActionAttempt]:
    """The attempts of an action, oldest first, from all its events in any order."""
    ordered = sorted(events, key=lambda event: event.attempt)
    by_attempt = groupby(ordered, key=lambda event: event.attempt)
    merged = (merge_attempt(list(group)) for _, group in by_attempt)
    return close_superseded([attempt for attempt in merged if attempt is not None])


def close_superseded(attempts: Iterable[ActionAttempt]) -> list[ActionAttempt]:
    """The attempts, oldest first: one without an end that was superseded ends at the start of the next."""
    closed = list(attempts)
    for index, (attempt, later) in enumerate(pairwise(closed)):
        if attempt.ended_at is None:
            closed[index] = _close(attempt, later.started_at)
    return closed


def _seen_at(event: ActionEvent) -> tuple[datetime, int, int]:
    return event.reported_at or event.occurred_at, event.phase, event.version


def _happened_at(event: ActionEvent) -> tuple[datetime, int, int]:
    return event.occurred_at, event.phase, event.version


def without_returns(events: Sequence[ActionEvent]) -> list[ActionEvent]:
    """The events of an attempt without the losses of its executor that were taken back. A loss has a negative
    version, which no executor uses; the event that takes it back has the same one."""
    returned = {event.version for event in events if event.version < 0 and not event.phase.is_terminal}
    return [event for event in events if event.version not in returned]


def merge_attempt(events: Sequence[ActionEvent]) -> ActionAttempt | None:
    """Merges one attempt; None if nothing was reported, and there was none to be lost. The terminal event
    that arrived first determines its final phase; without one its last transition does. Events of that phase
    complement each other: for a terminal phase the first with a value counts, otherwise the latest. Later
    events add their logs and cluster events."""
    events = sorted(without_returns(events), key=_seen_at)
    # What is lost before its first attempt is stored as number 0.
    if not any(event.version >= 0 or event.attempt for event in events):
        return None
    end = next((event for event in events if event.phase.is_terminal), None)
    lived = [event for event in events if _belongs(event, end)]
    transitions = _transitions(sorted(lived, key=_happened_at))
    if end is not None:
        ended_at = min(event.occurred_at for event in events if event.phase is end.phase)
        transitions = _ended(transitions, end.phase, ended_at)
    phase = transitions[-1].phase
    of_phase = [event for event in events if event.phase is phase]
    ordered = of_phase if end else of_phase[::-1]
    # Newer reports of the cluster replace older ones, except after the end.
    placed = [*reversed(lived), *of_phase]
    logs: dict[str, LogLink] = {}
    cluster_events: dict[ClusterEvent, None] = {}
    for event in events:
        logs.update((link.name, link) for link in event.logs)
        cluster_events.update(dict.fromkeys(event.cluster_events))
    return ActionAttempt(
        attempt=events[0].attempt,
        phase=phase,
        started_at=transitions[0].started_at,
        ended_at=transitions[-1].started_at if end else None,
        error=_first(event.error for event in ordered),
        logs=list(logs.values()),
        outputs=_first(event.outputs for event in ordered),
        cluster=_first(event.cluster for event in placed),
        cache_status=_first(event.cache_status for event in placed),
        cluster_events=sorted(cluster_events, key=lambda event: event.occurred_at),
        phase_transitions=transitions,
        action=events[0].action,
    )


def _first(values: Iterable[T | None]) -> T | None:
    return next((value for value in values if value is not None), None)


def _belongs(event: ActionEvent, end: ActionEvent | None) -> bool:
    """Whether the event occurred before the end, or is the end itself."""
    if end is None or event is end:
        return True
    if event.phase.is_terminal:
        return False
    return event.occurred_at <= end.occurred_at or _seen_at(event) < _seen_at(end)


def _transitions(events: Sequence[ActionEvent]) -> list[PhaseTransition]:
    """The phase transitions before the end, from events in order of occurrence; the last one is open. Phases
    only go forward, except from PAUSED to RUNNING."""
    transitions: list[PhaseTransition] = []
    for event in (event for event in events if not event.phase.is_terminal):
        if not transitions or _follows(transitions[-1].phase, event.phase):
            transitions = _close_last(transitions, event.occurred_at)
            transitions.append(PhaseTransition(event.phase, event.occurred_at, None))
    return transitions


def _ended(transitions: Sequence[PhaseTransition], phase: ActionPhase, at: datetime) -> list[PhaseTransition]:
    """The transitions with a final one into the terminal phase, not before the previous one."""
    closed = _close_last(transitions, at)
    ended_at = closed[-1].ended_at if closed else None
    return [*closed, PhaseTransition(phase, ended_at or at, None)]


def _close_last(transitions: Sequence[PhaseTransition], at: datetime) -> list[PhaseTransition]:
    if not transitions:
        return []
    *closed, last = transitions
    return [*closed, replace(last, ended_at=max(at, last.started_at))]


def _follows(before: ActionPhase, after: ActionPhase) -> bool:
    is_resume = before is ActionPhase.PAUSED and after is ActionPhase.RUNNING
    return after > before or is_resume


def _close(attempt: ActionAttempt, at: datetime) -> ActionAttempt:
    transitions = _close_last(attempt.phase_transitions, at)
    return replace(attempt, ended_at=transitions[-1].ended_at, phase_transitions=transitions)
