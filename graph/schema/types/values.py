"""GraphQL types of the values inside runs, actions and events."""

import re
from datetime import datetime
from typing import Annotated

import strawberry

import repo
from graph.context import Call
from graph.execution import PURE
from graph.limits.cost import SHORT_LIST
from graph.schema.fields import described
from graph.schema.types.logs import log_summary_field
from graph.schema.types.scalars import JSON, BigInt

SUMMARY_LENGTH = 300
"""The maximum number of characters in the summary of an error."""

_TRACEBACK = "Traceback (most recent call last):"
_FIRST_LINE = re.compile(rf"\S.{{0,{SUMMARY_LENGTH}}}")
_TRACEBACK_START = re.compile(
    rf"^([ \t]*)(?:([|+]) )?(?:Exception Group )?{re.escape(_TRACEBACK)}", re.MULTILINE
)
"""The start of a traceback, which may be indented and belong to an exception group."""
_ELLIPSIS = " … "
"""Replaces the characters that are left out."""


def summary_of(message: str) -> str:
    """The most informative line of an error's message, shortened: of a Python traceback the one that names
    the exception, otherwise the first non-empty one."""
    text = _exception_in(message) if _TRACEBACK in message else None
    if text is None:
        line = _FIRST_LINE.search(message)
        text = "" if line is None else line[0]
    text = text.rstrip()
    return text if len(text) <= SUMMARY_LENGTH else text[: SUMMARY_LENGTH - 1] + "…"


def _exception_in(message: str) -> str | None:
    """The line that names the exception of the last traceback, or of the outermost if they are nested."""
    found = list(_TRACEBACK_START.finditer(message))
    if not found:
        return None
    indented = min(len(each[1]) for each in found)
    last = next(each for each in reversed(found) if len(each[1]) == indented)
    before = last[1] + ("| " if last[2] else "")
    line = re.compile(rf"^{re.escape(before)}(\S.{{0,{SUMMARY_LENGTH}}})", re.MULTILINE).search(
        message, last.end()
    )
    return None if line is None else line[1]


def shortened(text: str, limit: int | None) -> str:
    """The start and the end of a text, with at most `limit` characters. Raises InvalidArgument."""
    if limit is None:
        return text
    if limit < 1:
        raise repo.InvalidArgument(f"maxLength must be at least 1, not {limit}")
    if len(text) <= limit:
        return text
    kept = limit - len(_ELLIPSIS)
    if kept < 2:
        return text[: limit - 1] + "…"
    end = kept // 2
    return text[: kept - end] + _ELLIPSIS + text[-end:]


@strawberry.type(description="Identifies a run.")
class RunIdentifier:
    project: str = described("The project that the run belongs to.")
    domain: str = described("The domain within the project, such as production.")
    name: str = described("The name of the run, unique within project and domain.")


@strawberry.type(description="Identifies an action.")
class ActionIdentifier:
    project: str = described("The project that the run belongs to.")
    domain: str = described("The domain within the project, such as production.")
    run_name: str = described("The name of the run.")
    name: str = described("The name of the action, unique within the run.")


@strawberry.type(description="The version of a task that an action executes.")
class TaskIdentifier:
    project: str = described("The project that the task is registered in.")
    domain: str = described("The domain that the task is registered in.")
    name: str = described("The name of the task.")
    version: str = described("The version of the task.")


@strawberry.type(description="The trigger that started a run.")
class TriggerIdentifier:
    task_name: str = described("The task that the trigger starts.")
    name: str = described("The name of the trigger.")
    revision: BigInt | None = described("The revision of the trigger.")


@strawberry.type(description="A person or a program.")
class Identity:
    kind: repo.IdentityKind = described("Whether it is a person or a program.")
    subject: str = described("Its unique subject, as in its token.")
    name: str | None = described("Its display name.")
    email: str | None = described("Its email address.")


@strawberry.type(
    description="Percentiles (nearest rank) of the durations, from creation to end, of the runs that "
    "succeeded among the newest 200 of a task."
)
class TypicalDuration:
    runs: int = described("How many succeeded, at least one.")
    p50_ms: BigInt = described("The median in milliseconds.")
    p95_ms: BigInt = described("The 95th percentile in milliseconds.")


@strawberry.type(description="A label of a run.")
class Label:
    key: str = described("The key, once per run.")
    value: str = described("The value.")


@strawberry.type(description="A link to another system.")
class Link:
    name: str = described("Its text, such as Grafana.")
    url: str = described("Where it leads: an http, https or mailto address.")


@strawberry.type(description="The number of actions or runs in a phase.")
class PhaseCount:
    phase: repo.ActionPhase = described("The phase.")
    count: int = described("The current number; never 0.")


@strawberry.type(description="Why an attempt did not succeed.")
class ActionError:
    kind: repo.ErrorKind = described("The origin of the error.")
    code: str | None = described("A code for programs.")

    @strawberry.field(
        description="A message for people, possibly as long as a traceback. Lists of many errors should "
        "select `summary` or set `maxLength`.",
        metadata=PURE,
    )
    def message(
        root: strawberry.Parent[repo.ActionError],
        max_length: Annotated[
            int | None,
            strawberry.argument(
                "The maximum number of characters. A longer message is cut in the middle, "
                "which is replaced by ` … `."
            ),
        ] = None,
    ) -> str:
        return shortened(root.message, max_length)

    @strawberry.field(
        description=f"The most informative line of the message, at most {SUMMARY_LENGTH} characters: of a "
        "Python traceback the line that names the exception, otherwise the first non-empty "
        "line.",
        metadata=PURE,
    )
    def summary(root: strawberry.Parent[repo.ActionError]) -> str:
        return summary_of(root.message)


@strawberry.type(description="A link to a log of an attempt.")
class LogLink:
    name: str = described("The display name of the log.")
    uri: str = described("The URL of the log.")

    @strawberry.field(
        description="Whether this server reads the log for its users, at `/log-links`: its address is among "
        "`RUNGRAPH_LOG_LINK_HOSTS`. Any other log has to be opened by its URL."
    )
    def is_readable(root: strawberry.Parent[repo.LogLink], info: Call) -> bool:
        return info.context.log_links.allow_text(root.uri)


@strawberry.type(description="A message from the cluster about an attempt.")
class ClusterEvent:
    occurred_at: datetime = described("When it happened.")
    message: str = described("The text of the message.")
    reason: str | None = described("The cluster's reason code.")
    warning: bool = described("Whether it is a warning.")


@strawberry.type(description="When an attempt was in a phase.")
class PhaseTransition:
    phase: repo.ActionPhase = described("The phase.")
    started_at: datetime = described("When it was first seen in this attempt.")
    ended_at: datetime | None = described(
        "When the next phase was seen; null for the last one, unless a later attempt superseded it."
    )


@strawberry.type(description="A request to abort an action: its requester, reason and progress.")
class Abort:
    state: repo.AbortState = described("The state of the request.")
    reason: str | None = described("The reason, as given by the requester.")
    requested_by: Identity | None = described("Who requested the abort first.")
    requested_at: datetime = described("When the abort was first requested.")
    attempt_count: int = described("How many times the executor has been notified.")
    next_attempt_at: datetime | None = described(
        "When the executor will be notified again; null if no attempt is scheduled."
    )
    last_error: str | None = described(
        "Why the last attempt to notify the executor failed. Of an abort that the loss of its executor "
        "confirmed, EXECUTOR_LOST and since when it has been silent."
    )
    confirmed_at: datetime | None = described(
        "When the executor confirmed that the work has stopped, or was lost."
    )


@strawberry.type(description="The progress of the aborts that one `abortRuns` requested.")
class AbortProgress:
    requested: int = described("How many there are.")
    pending: int = described("How many are not confirmed yet.")
    confirmed: int = described("How many are confirmed.")
    failed: int = described("How many failed after their last attempt; these need attention.")


@strawberry.type(description="All events of one attempt, merged.")
class ActionAttempt:
    attempt: int = described("The number of the attempt.")
    phase: repo.ActionPhase = described(
        "The phase of its earliest terminal event, or of its last event if it has not ended."
    )
    started_at: datetime = described("When its first event occurred.")
    ended_at: datetime | None = described(
        "When its terminal event occurred, or the next attempt started; null while it runs."
    )
    error: ActionError | None = described("Why it did not succeed.")
    logs: list[LogLink] = described(
        "Its logs, by name; the latest link of a name is kept.", metadata=SHORT_LIST
    )
    outputs: JSON | None = described("Its outputs.")
    cluster: str | None = described("The cluster that executed it.")
    cache_status: repo.CacheStatus | None = described("The result of the cache.")
    cluster_events: list[ClusterEvent] = described(
        "Messages from the cluster, oldest first.", metadata=SHORT_LIST
    )
    phase_transitions: list[PhaseTransition] = described(
        "Each phase, from when it was first seen.", metadata=SHORT_LIST
    )
    log_summary = log_summary_field


@strawberry.type(description="How much of an action is done.")
class Progress:
    done: float = described("How much is done.")
    total: float | None = described("How much there is to do, in the same unit; null if it is not known.")
    message: str | None = described("What is being done.")
    reported_at: datetime = described("When it was reported, by the clock of the executor.")


@strawberry.type(description="A value of a metric at a time.")
class MetricPoint:
    at: datetime = described("The time, by the clock of the executor.")
    value: float = described("The value.")


@strawberry.type(description="The values of a metric that an executor reported about an action.")
class Metric:
    name: str = described("The name, such as `rows` or `loss`.")
    unit: str | None = described("The unit, such as `1`, `s` or `By`.")
    last: float = described("The value with the latest time.")
    last_at: datetime = described("The time of that value.")
    minimum: float = described("The least of all values.")
    maximum: float = described("The greatest of all values.")
    series: list[MetricPoint] = described(
        f"All values, oldest first, or a sample of {repo.MAX_POINTS} that is spread over time, and the last.",
        metadata=SHORT_LIST,
    )


@strawberry.type(description="A project that has runs.")
class Project:
    name: str = described("The name of the project.")
    domains: list[str] = described("Its domains that have runs, by name.")
