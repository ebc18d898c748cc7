"""Filters of runs and actions, with the fields of the API in snake case, as keyword arguments."""

# Annotations are evaluated, also by Python 3.9.

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Optional, TypedDict

from .decoding import camel_case
from .enums import ActionPhase, ActionType, RunSource
from .values import RunIdentifier


class RunFilter(TypedDict, total=False):
    """Each that is set must match. Labels have None for any value; `labels` are those of which a run has one,
    `all_labels` those that it has all. schema.graphql describes the others."""

    ids: Optional[Iterable[RunIdentifier]]
    project: Optional[str]
    domain: Optional[str]
    phases: Optional[Iterable[ActionPhase]]
    exclude_phases: Optional[Iterable[ActionPhase]]
    search: Optional[str]
    task_name: Optional[str]
    task_version: Optional[str]
    function_name: Optional[str]
    trigger_task_name: Optional[str]
    trigger_name: Optional[str]
    sources: Optional[Iterable[RunSource]]
    created_by_subject: Optional[str]
    created_by: Optional[str]
    has_task: Optional[bool]
    has_function: Optional[bool]
    labels: Optional[Mapping[str, Optional[str]]]
    all_labels: Optional[Mapping[str, Optional[str]]]
    start_date: Optional[datetime]
    end_date: Optional[datetime]
    min_duration_ms: Optional[int]
    min_duration_as_of: Optional[datetime]
    max_duration_ms: Optional[int]
    has_paused_actions: Optional[bool]
    abort_pending: Optional[bool]
    executor: Optional[str]
    silent_since: Optional[datetime]


class ActionFilter(TypedDict, total=False):
    """Each that is set must match; schema.graphql describes them."""

    phases: Optional[Iterable[ActionPhase]]
    exclude_phases: Optional[Iterable[ActionPhase]]
    search: Optional[str]
    types: Optional[Iterable[ActionType]]
    group: Optional[str]
    parent_name: Optional[str]


def variable(filter: Mapping[str, Any], kind: type) -> dict[str, Any]:
    """The filter as a variable. Raises TypeError for an unknown field, ValueError for a time without zone."""
    known = kind.__annotations__
    for name in filter:
        if name not in known:
            raise TypeError(f"there is no filter {name!r}; filters are {', '.join(known)}")
    return {camel_case(name): _json(name, value) for name, value in filter.items()}


def _json(name: str, value: Any) -> Any:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError(f"{name} has no time zone: use datetime.now(timezone.utc), or astimezone()")
        return value.isoformat()
    if isinstance(value, Mapping):
        return [{"key": str(key), "value": text} for key, text in value.items()]
    if value is None or isinstance(value, (str, int)):
        return value
    return [_run(each) if isinstance(each, RunIdentifier) else str(each) for each in value]


def _run(run: RunIdentifier) -> dict[str, str]:
    return {"project": run.project, "domain": run.domain, "name": run.name}
