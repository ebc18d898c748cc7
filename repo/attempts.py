"""Owns how the events of an action are merged into its attempts."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import groupby

from repo.models import ActionAttempt, ActionEvent, ClusterEvent, LogLink, PhaseTransition
from repo.phases import ActionPhase


def merge_attempts(events: Iterable[ActionEvent]) -> list[ActionAttempt]:
    """The attempts of one action, oldest first, from all of its events in any order.

    An attempt without an end that a later one superseded is closed at the later one's start.
    """
    ordered = sorted(events, key=lambda event: event.attempt)
    attempts = [_merge(list(group)) for _, group in groupby(ordered, key=lambda event: event.attempt)]
    for index, (attempt, later) in enumerate(zip(attempts, attempts[1:], strict=False)):
        if attempt.ended_at is None:
            attempts[index] = _close(attempt, later.started_at)
    return attempts


def _seen_at(event: ActionEvent) -> tuple[datetime, int, int]:
    return event.reported_at or event.occurred_at, event.phase, event.version


def _merge(events: Sequence[ActionEvent]) -> ActionAttempt:
    """One attempt: the earliest terminal event decides how it ended, otherwise the last event where
    it stands; what came after the deciding event still adds its logs and cluster events."""
    events = sorted(events, key=_seen_at)
    end = next((index for index, event in enumerate(events) if event.phase.is_terminal), None)
    decider = events[-1] if end is None else events[end]
    lived = events if end is None else events[: end + 1]
    logs: dict[str, LogLink] = {}
    cluster_events: dict[ClusterEvent, None] = {}
    for event in events:
        logs.update((link.name, link) for link in event.logs)
        cluster_events.update(dict.fromkeys(event.cluster_events))
    return ActionAttempt(
        attempt=decider.attempt,
        phase=decider.phase,
        started_at=min(event.occurred_at for event in lived),
        ended_at=decider.occurred_at if decider.phase.is_terminal else None,
        error=decider.error,
        logs=list(logs.values()),
        outputs=decider.outputs,
        cluster=next((event.cluster for event in reversed(lived) if event.cluster is not None), None),
        cache_status=next(
            (event.cache_status for event in reversed(lived) if event.cache_status is not None), None
        ),
        cluster_events=sorted(cluster_events, key=lambda event: event.occurred_at),
        phase_transitions=_transitions(lived),
    )


def _transitions(events: Sequence[ActionEvent]) -> list[PhaseTransition]:
    """Each phase from where it was first seen to where the next one was; the last one is open."""
    first: dict[ActionPhase, datetime] = {}
    for event in events:
        first.setdefault(event.phase, event.occurred_at)
    starts = list(first.items())
    ends = [start for _, start in starts[1:]] + [None]
    return [PhaseTransition(phase, start, end) for (phase, start), end in zip(starts, ends, strict=True)]


def _close(attempt: ActionAttempt, at: datetime) -> ActionAttempt:
    *closed, last = attempt.phase_transitions
    return replace(attempt, ended_at=at, phase_transitions=[*closed, replace(last, ended_at=at)])
