"""Owns the GraphQL types of the small values inside runs, actions and events."""

import re
from datetime import datetime
from typing import Annotated

import strawberry

import repo
from graph.execution import PURE
from graph.schema.types.enums import (
    AbortState,
    ActionPhase,
    CacheStatus,
    ErrorKind,
    IdentityKind,
)
from graph.schema.types.scalars import JSON, BigInt

SUMMARY_LENGTH = 300
"""Characters that the summary of an error has at the most."""

_TRACEBACK = "Traceback (most recent call last):"
_FIRST_LINE = re.compile(rf"\S.{{0,{SUMMARY_LENGTH}}}")
_BEGINNING = re.compile(rf"^([ \t]*)(?:([|+]) )?(?:Exception Group )?{re.escape(_TRACEBACK)}", re.MULTILINE)
"""Where a traceback begins: it may be indented, and be one of a group of exceptions."""
_CUT = " … "
"""What stands for the characters that are left out."""


def summary_of(message: str) -> str:
    """The line of an error's message that says most, cut: of a Python traceback the one that names the
    exception, else the first one that is not empty."""
    text = _exception_in(message) if _TRACEBACK in message else None
    if text is None:
        line = _FIRST_LINE.search(message)
        text = "" if line is None else line[0]
    text = text.rstrip()
    return text if len(text) <= SUMMARY_LENGTH else text[: SUMMARY_LENGTH - 1] + "…"


def _exception_in(message: str) -> str | None:
    """The line that names the exception of the last traceback; of nested ones, of the outermost."""
    found = list(_BEGINNING.finditer(message))
    if not found:
        return None
    indented = min(len(each[1]) for each in found)
    last = next(each for each in reversed(found) if len(each[1]) == indented)
    before = last[1] + ("| " if last[2] else "")
    line = re.compile(rf"^{re.escape(before)}(\S.{{0,{SUMMARY_LENGTH}}})", re.MULTILINE).search(
        message, last.end()
    )
    return None if line is None else line[1]


def shortened(text: str, most: int | None) -> str:
    """Not more than so many characters of a text, from its beginning and its end. Raises InvalidArgument."""
    if most is None:
        return text
    if most < 1:
        raise repo.InvalidArgument(f"maxLength must be at least 1, not {most}")
    if len(text) <= most:
        return text
    kept = most - len(_CUT)
    if kept < 2:
        return text[: most - 1] + "…"
    end = kept // 2
    return text[: kept - end] + _CUT + text[-end:]


@strawberry.type(description="Names a run.")
class RunIdentifier:
    project: str = strawberry.field(description="The project that the run belongs to.")
    domain: str = strawberry.field(description="The domain within the project, such as production.")
    name: str = strawberry.field(description="The name of the run, unique within project and domain.")


@strawberry.type(description="Names an action within its run.")
class ActionIdentifier:
    project: str = strawberry.field(description="The project that the run belongs to.")
    domain: str = strawberry.field(description="The domain within the project, such as production.")
    run_name: str = strawberry.field(description="The name of the run.")
    name: str = strawberry.field(description="The name of the action, unique within the run.")


@strawberry.type(description="The version of a task that an action executes.")
class TaskIdentifier:
    project: str = strawberry.field(description="The project that the task is registered in.")
    domain: str = strawberry.field(description="The domain that the task is registered in.")
    name: str = strawberry.field(description="The name of the task.")
    version: str = strawberry.field(description="The version of the task.")


@strawberry.type(description="The trigger that started a run.")
class TriggerIdentifier:
    task_name: str = strawberry.field(description="The task that the trigger starts.")
    name: str = strawberry.field(description="The name of the trigger.")
    revision: BigInt | None = strawberry.field(description="Which revision of the trigger it was.")


@strawberry.type(description="A person or a program.")
class Identity:
    kind: IdentityKind = strawberry.field(description="Whether it is a person or a program.")
    subject: str = strawberry.field(description="What identifies it: the subject of its token.")
    name: str | None = strawberry.field(description="What to call it.")
    email: str | None = strawberry.field(description="Where to write to it.")


@strawberry.type(description="A key and a value that a run is found by.")
class Label:
    key: str = strawberry.field(description="The key, once per run.")
    value: str = strawberry.field(description="The value.")


@strawberry.type(description="How many actions, or runs, are in a phase.")
class PhaseCount:
    phase: ActionPhase = strawberry.field(description="The phase.")
    count: int = strawberry.field(description="How many are in it now; never 0.")


@strawberry.type(description="Why an attempt did not succeed.")
class ActionError:
    kind: ErrorKind = strawberry.field(description="Whose fault it is.")
    code: str | None = strawberry.field(description="What happened, for a program to compare.")

    @strawberry.field(
        description="What happened, for a person to read. It may be as long as a traceback: lists that show "
        "many errors ask for `summary`, or give `maxLength`.",
        metadata=PURE,
    )
    def message(
        root: strawberry.Parent[repo.ActionError],
        max_length: Annotated[
            int | None,
            strawberry.argument(
                description="Characters to return at the most. A longer message keeps its beginning and its "
                "end, with ` … ` between them."
            ),
        ] = None,
    ) -> str:
        return shortened(root.message, max_length)

    @strawberry.field(
        description=f"The line of the message that says most, at most {SUMMARY_LENGTH} characters: of a "
        "Python traceback the line that names the exception, else the first line that is not empty.",
        metadata=PURE,
    )
    def summary(root: strawberry.Parent[repo.ActionError]) -> str:
        return summary_of(root.message)


@strawberry.type(description="Where a log of an attempt can be read.")
class LogLink:
    name: str = strawberry.field(description="What to call the log.")
    uri: str = strawberry.field(description="Where it is.")


@strawberry.type(description="Something the cluster said about an attempt.")
class ClusterEvent:
    occurred_at: datetime = strawberry.field(description="When it happened.")
    message: str = strawberry.field(description="What the cluster said.")
    reason: str | None = strawberry.field(description="The cluster's short word for it.")
    warning: bool = strawberry.field(description="Whether the cluster meant it as a warning.")


@strawberry.type(description="When an attempt was in a phase.")
class PhaseTransition:
    phase: ActionPhase = strawberry.field(description="The phase.")
    started_at: datetime = strawberry.field(description="When it was first seen in this attempt.")
    ended_at: datetime | None = strawberry.field(
        description="When the next phase was seen; null for the last one, unless a later attempt "
        "superseded it."
    )


@strawberry.type(description="An abort request: who asked, why, and how far it has come.")
class Abort:
    state: AbortState = strawberry.field(description="How far the request has come.")
    reason: str | None = strawberry.field(description="Why, in the words of who asked.")
    requested_by: Identity | None = strawberry.field(description="Who asked first.")
    requested_at: datetime = strawberry.field(description="When it was asked first.")
    attempt_count: int = strawberry.field(description="How often the executor has been told.")
    next_attempt_at: datetime | None = strawberry.field(
        description="When the executor is told again; null where nothing is planned."
    )
    last_error: str | None = strawberry.field(description="Why telling the executor did not work last time.")
    confirmed_at: datetime | None = strawberry.field(
        description="When the executor confirmed that it is gone."
    )


@strawberry.type(description="How far the aborts of runs have come that were asked for together.")
class AbortProgress:
    requested: int = strawberry.field(description="How many there are.")
    pending: int = strawberry.field(description="How many the executor has not confirmed yet.")
    confirmed: int = strawberry.field(description="How many it has.")
    failed: int = strawberry.field(description="How many were given up; a person must look.")


@strawberry.type(description="All events of one attempt, merged.")
class ActionAttempt:
    attempt: int = strawberry.field(description="The number of the attempt.")
    phase: ActionPhase = strawberry.field(
        description="How it ended, by its earliest terminal event; where it stands, by its last event, if "
        "it has not ended."
    )
    started_at: datetime = strawberry.field(description="When its first event occurred.")
    ended_at: datetime | None = strawberry.field(
        description="When its terminal event occurred, or the next attempt started; null while it runs."
    )
    error: ActionError | None = strawberry.field(description="Why it did not succeed.")
    logs: list[LogLink] = strawberry.field(description="Every log, by name; the latest link wins.")
    outputs: JSON | None = strawberry.field(description="What it produced.")
    cluster: str | None = strawberry.field(description="Where it was executed.")
    cache_status: CacheStatus | None = strawberry.field(description="What the catalog did.")
    cluster_events: list[ClusterEvent] = strawberry.field(description="What the cluster said, oldest first.")
    phase_transitions: list[PhaseTransition] = strawberry.field(
        description="Each phase, from where it was first seen."
    )


@strawberry.type(description="A project that has runs.")
class Project:
    name: str = strawberry.field(description="The name of the project.")
    domains: list[str] = strawberry.field(description="Its domains that have runs, by name.")
