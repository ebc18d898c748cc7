"""The filters of runs and actions as GraphQL inputs: one field for each field of the repository's filters."""

from dataclasses import fields
from datetime import datetime
from typing import Annotated, Any, TypeVar

import strawberry

import repo
from graph.schema.fields import described, optional
from graph.schema.inputs.checks import optional_time
from graph.schema.inputs.identifiers import RunIdentifierInput
from graph.schema.types.scalars import BigInt

F = TypeVar("F", repo.RunFilter, repo.ActionFilter)


@strawberry.input(description="Matches runs with this label.")
class LabelFilter:
    key: str = described("The key of the label.")
    value: str | None = optional("The value; any value if omitted.")


@strawberry.input(description="Every field that is set must match; a list matches any of its members.")
class RunFilter:
    ids: list[RunIdentifierInput] | None = optional("These runs, 1000 at most.")
    project: str | None = optional("Runs of this project.")
    domain: str | None = optional("Runs of this domain.")
    phases: list[repo.ActionPhase] | None = optional("Runs in one of these phases.")
    exclude_phases: list[repo.ActionPhase] | None = optional("Runs in none of these phases.")
    search: str | None = optional(
        "Case-insensitive substring of the run's name, task name or function name. Also matches a substring "
        "of an error code, as written or in upper or lower case, and `project/domain/name` as written."
    )
    task_name: str | None = optional("Runs of this task.")
    task_version: str | None = optional("Runs of this task version.")
    function_name: str | None = optional("Runs of this function.")
    trigger_task_name: str | None = optional("Runs started by a trigger of this task.")
    trigger_name: str | None = optional("Runs started by the trigger of this name.")
    sources: list[repo.RunSource] | None = optional("Runs started by one of these sources.")
    created_by_subject: str | None = optional("Runs created by the identity with this subject.")
    created_by: str | None = optional("Runs created by the identity with this subject, or with this name.")
    has_task: bool | None = optional("True: only runs that name a task. False: only runs that do not.")
    has_function: bool | None = optional(
        "True: only runs that name a function. False: only runs that do not."
    )
    labels: list[LabelFilter] | None = optional("Runs that have one of these labels, 100 at most.")
    all_labels: list[LabelFilter] | None = optional(
        "Runs that have every one of these labels, 100 at most, together with `labels`."
    )
    start_date: datetime | None = optional(
        "Inclusive. Compared with triggeredAt, or with createdAt if the run was never triggered."
    )
    end_date: datetime | None = optional(
        "Inclusive. Compared with triggeredAt, or with createdAt if the run was never triggered."
    )
    min_duration_ms: BigInt | None = optional(
        "Ended runs whose durationMs, from creation to end, is at least this many milliseconds."
    )
    min_duration_as_of: datetime | None = optional(
        "With minDurationMs: also matches unfinished runs that were created at least that many "
        "milliseconds before this time, usually now."
    )
    max_duration_ms: BigInt | None = optional(
        "Ended runs whose durationMs, from creation to end, is at most this many milliseconds."
    )
    has_paused_actions: bool | None = optional(
        "True: only runs with at least one PAUSED action. False: only runs without."
    )
    abort_pending: bool | None = optional(
        "True: only runs with an abort that is neither CONFIRMED nor FAILED. False: only runs without."
    )

    executor: str | None = optional("Runs whose lease was last renewed by this executor.")
    silent_since: datetime | None = optional(
        "Unfinished runs of which nothing was reported since this time: see lastReportedAt. In subscriptions "
        "use a time at least a minute ago."
    )

    def to_repo(self) -> repo.RunFilter:
        """The same filter for the repository. Raises InvalidArgument."""
        return _to_repo(self, repo.RunFilter)


@strawberry.input(description="Every field that is set must match; a list matches any of its members.")
class ActionFilter:
    phases: list[repo.ActionPhase] | None = optional("Actions in one of these phases.")
    exclude_phases: list[repo.ActionPhase] | None = optional("Actions in none of these phases.")
    search: str | None = optional(
        "Case-insensitive substring of the action's name, task name or function name."
    )
    types: list[repo.ActionType] | None = optional("Actions of one of these types.")
    group: str | None = optional("Actions of this group.")
    parent_name: str | None = optional("Children of this action.")

    def to_repo(self) -> repo.ActionFilter:
        """The same filter for the repository."""
        return _to_repo(self, repo.ActionFilter)


RunFilterArgument = Annotated[RunFilter | None, strawberry.argument("Only runs that match.")]
Filter = Annotated[ActionFilter | None, strawberry.argument("Only actions that match.")]


def _to_repo(source: object, kind: type[F]) -> F:
    """The fields of an input that are set, as a filter of the repository."""
    named = ((each.name, getattr(source, each.name)) for each in fields(kind))
    return kind(**{name: _value(value) for name, value in named if value is not None})


def _value(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(map(_value, value))
    if isinstance(value, LabelFilter):
        return repo.LabelFilter(value.key, value.value)
    if isinstance(value, RunIdentifierInput):
        return value.to_repo()
    return optional_time(value) if isinstance(value, datetime) else value


def filter_of_actions(source: ActionFilter | None) -> repo.ActionFilter | None:
    """The same filter for the repository."""
    return None if source is None else source.to_repo()
