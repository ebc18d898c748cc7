"""Owns filters of runs and actions as Python: whether a row that changed belongs to a watch.

`repo.actions.lists` says the same as SQL; a test holds the two together.
"""

from enum import Enum, auto

from repo.actions.lists import (
    ActionFilter,
    RunFilter,
    created_until,
    spellings,
)
from repo.domain.identifiers import compositions, folded
from repo.domain.models import Action, Run
from repo.domain.phases import AbortState, ActionPhase


class Verdict(Enum):
    """What a changed row is to a filter."""

    IN = auto()
    """It matches."""
    OUT = auto()
    """It does not match, but may have matched before: what it lacks can change."""
    NEVER = auto()
    """It never matched: what it lacks cannot change."""


def judge_run(run: Run, wanted: RunFilter | None, has_paused_actions: bool) -> Verdict:
    """What the run is to the filter."""
    if wanted is None:
        return Verdict.IN
    labels = run.labels_document
    run_time = run.triggered_at or run.created_at
    by = (run.created_by.subject, run.created_by.name) if run.created_by else ()
    fixed = (
        _same(wanted.project, run.project),
        _same(wanted.domain, run.domain),
        _same(wanted.task_name, run.task_name),
        _same(wanted.task_version, run.task_version),
        _same(wanted.function_name, run.function_name),
        _same(wanted.trigger_task_name, run.trigger_task_name),
        _same(wanted.trigger_name, run.trigger_name),
        _same(wanted.created_by_subject, run.created_by.subject if run.created_by else None),
        wanted.created_by is None or wanted.created_by in by,
        wanted.has_task in (None, run.task_name is not None),
        wanted.has_function in (None, run.function_name is not None),
        wanted.sources is None or run.source in wanted.sources,
        wanted.labels is None
        or any(label.key in labels and label.value in (None, labels[label.key]) for label in wanted.labels),
        all(
            label.key in labels and label.value in (None, labels[label.key])
            for label in wanted.all_labels or ()
        ),
    )
    if not all(fixed):
        return Verdict.NEVER
    duration = run.duration_ms
    pending = run.abort_state in _PENDING
    moving = (
        # A creation that is reported to be earlier moves.
        wanted.start_date is None or run_time >= wanted.start_date,
        wanted.end_date is None or run_time <= wanted.end_date,
        _in_phase(run.phase, wanted.phases, wanted.exclude_phases),
        _is_found(run, wanted.search),
        _has_lasted(run, wanted),
        wanted.max_duration_ms is None or (duration is not None and duration <= wanted.max_duration_ms),
        wanted.has_paused_actions in (None, has_paused_actions),
        wanted.abort_pending in (None, pending),
    )
    return Verdict.IN if all(moving) else Verdict.OUT


def judge_action(action: Action, wanted: ActionFilter | None) -> Verdict:
    """What the action is to the filter."""
    if wanted is None:
        return Verdict.IN
    fixed = (
        _found(wanted.search, (action.name, action.task_name, action.function_name)),
        wanted.types is None or action.type in wanted.types,
        _same(wanted.group, action.group),
        _same(wanted.parent_name, action.parent_name),
    )
    if not all(fixed):
        return Verdict.NEVER
    matches = _in_phase(action.phase, wanted.phases, wanted.exclude_phases)
    return Verdict.IN if matches else Verdict.OUT


def judge_abort(action: Action) -> Verdict:
    """What the action is to who waits for abort requests."""
    if action.abort_state is None:
        return Verdict.NEVER
    return Verdict.IN if action.abort_state in _PENDING else Verdict.OUT


_PENDING = (AbortState.REQUESTED, AbortState.RETRYING)


def _same(wanted: str | None, value: str | None) -> bool:
    return wanted is None or value == wanted


def _has_lasted(run: Run, wanted: RunFilter) -> bool:
    """Whether the run took at least as long as is wanted."""
    if wanted.min_duration_ms is None:
        return True
    if run.duration_ms is not None:
        return run.duration_ms >= wanted.min_duration_ms
    latest = created_until(wanted)
    return latest is not None and run.created_at <= latest


def _is_found(run: Run, term: str | None) -> bool:
    """Whether a search finds the run: by its names, its path or the code of its error."""
    if _found(term, (run.name, run.task_name, run.function_name)) or term is None:
        return True
    path = f"{run.project}/{run.domain}/{run.name}"
    if "/" in term and any(each in path for each in compositions(term)):
        return True
    code = run.error.code if run.error else None
    return code is not None and any(spelling in code for spelling in spellings(term))


def _found(term: str | None, names: tuple[str | None, ...]) -> bool:
    if not term:
        return True
    wanted = folded(term)
    return any(wanted in folded(name) for name in names if name)


def _in_phase(
    phase: ActionPhase,
    phases: tuple[ActionPhase, ...] | None,
    excluded: tuple[ActionPhase, ...] | None,
) -> bool:
    return (phases is None or phase in phases) and phase not in (excluded or ())
