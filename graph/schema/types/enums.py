"""Owns the GraphQL form of the repository's enumerations: what each value means."""

from enum import Enum
from typing import Any

import strawberry

from repo import (
    AbortState,
    ActionPhase,
    ActionType,
    CacheStatus,
    ErrorKind,
    FrameKind,
    IdentityKind,
    OrderField,
    Role,
    RunSource,
)

NAMES: dict[type[Enum], str] = {OrderField: "ActionOrderField"}


def _describe(enumeration: type[Enum], description: str, **values: str) -> None:
    """Make `enumeration` a GraphQL enum with a description for each of its values."""
    strawberry.enum(enumeration, name=NAMES.get(enumeration), description=description)
    definition: Any = enumeration.__strawberry_definition__  # type: ignore[attr-defined]
    for value in definition.values:
        value.description = values[value.name]


_describe(
    ActionPhase,
    "Where an action or a run is. Within an attempt it only moves forward, in the order queued, waiting, "
    "initializing, running, paused, and then one of the terminal phases; only PAUSED may go back to RUNNING. "
    "Only a higher attempt reopens FAILED or TIMED_OUT; SUCCEEDED, ABORTED and RECOVERED never change again.",
    QUEUED="Accepted; nothing has been done yet.",
    WAITING_FOR_RESOURCES="Wants machines, quota or a slot that are not free yet.",
    INITIALIZING="Has its resources and is being set up.",
    RUNNING="Does its work.",
    SUCCEEDED="Ended well. Final.",
    FAILED="Ended with an error. A higher attempt can reopen it.",
    ABORTED="Ended because somebody asked for it. Final.",
    TIMED_OUT="Ended because it took too long. A higher attempt can reopen it.",
    PAUSED="Waits for a decision or a signal from outside.",
    RECOVERED="Was not executed: the result of an earlier run was taken over. Final.",
)
_describe(
    CacheStatus,
    "What the catalog of outputs did for an action.",
    DISABLED="Caching is off for this action.",
    MISS="Nothing was stored for these inputs.",
    HIT="The stored outputs were used; nothing was executed.",
    POPULATED="The outputs were stored for the next time.",
    LOOKUP_FAILURE="The catalog could not be asked.",
    PUT_FAILURE="The outputs could not be stored.",
    SKIPPED="The lookup was left out on request.",
    EVICTED="The stored outputs were removed.",
)
_describe(
    ActionType,
    "What kind of step an action is.",
    TASK="Work that is executed on its own: a container, a query, a job.",
    TRACE="A traced call within another action.",
    CONDITION="A point that waits for a condition, such as an approval.",
)
_describe(
    RunSource,
    "Who or what started a run.",
    WEB="A person, on a web page.",
    CLI="A person or a script, on the command line.",
    SCHEDULE_TRIGGER="A schedule.",
    TRACKED="Another system that only reports here what it runs itself.",
    ARTIFACT_TRIGGER="An artifact that appeared.",
)
_describe(
    ErrorKind,
    "Whose fault an error is.",
    USER="The code or the input of the task.",
    SYSTEM="The platform underneath.",
    UNKNOWN="Not said.",
)
_describe(
    IdentityKind,
    "Whether an identity is a person's or a program's.",
    USER="A person.",
    APPLICATION="A program.",
)
_describe(
    AbortState,
    "How far an abort request has come.",
    REQUESTED="Nobody has been told yet.",
    RETRYING="The executor was told and did not confirm.",
    CONFIRMED="It is gone.",
    FAILED="Given up; a person must look.",
)
_describe(
    OrderField,
    "What a list can be ordered by. Rows without a value come last in both directions; rows with the same "
    "value keep one fixed order.",
    CREATED_AT="When it was created.",
    UPDATED_AT="When it last changed.",
    ENDED_AT="When it ended; what has not ended comes last.",
    DURATION="How long it took; what has not ended comes last.",
    PHASE="The phase, in the order in which an action goes through them.",
    NAME="The name, by Unicode code point.",
)


_describe(
    FrameKind,
    "What a frame of a stream says.",
    SNAPSHOT="A page of what exists now.",
    SYNCED="The snapshot is complete; the frame holds no items.",
    CHANGE="Items that are new or changed, and ids that left the filter.",
    RESYNC="Forget what you hold: a fresh SNAPSHOT follows. The frame holds no items.",
)


@strawberry.enum(description="Whether the smallest or the largest comes first.")
class SortDirection(Enum):
    """The direction of an order."""

    ASC = strawberry.enum_value("asc", description="The smallest, oldest or first in the alphabet first.")
    DESC = strawberry.enum_value("desc", description="The largest, newest or last in the alphabet first.")


_describe(
    Role,
    "What somebody may do in a project and domain. Everybody with a role may read there.",
    VIEWER="Only read.",
    OPERATOR="Also ask for aborts.",
    WRITER="Also what executors do: create, report, and confirm aborts; but not ask for them.",
    ADMIN="Everything.",
)

__all__ = [
    "AbortState",
    "ActionPhase",
    "ActionType",
    "CacheStatus",
    "ErrorKind",
    "FrameKind",
    "IdentityKind",
    "OrderField",
    "Role",
    "RunSource",
    "SortDirection",
]
