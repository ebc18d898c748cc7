"""Makes the enums of the repository GraphQL enums, with descriptions."""

from enum import Enum
from typing import Any

import strawberry

import repo

NAMES: dict[type[Enum], str] = {repo.OrderField: "ActionOrderField"}


def _describe(enumeration: type[Enum], description: str, **values: str) -> None:
    """Make `enumeration` a GraphQL enum with a description for each of its values."""
    strawberry.enum(enumeration, name=NAMES.get(enumeration), description=description)
    definition: Any = enumeration.__strawberry_definition__  # type: ignore[attr-defined]
    for value in definition.values:
        value.description = values[value.name]


_describe(
    repo.ActionPhase,
    "The phase of an action or a run. Within an attempt it only moves forward, in the order queued, waiting, "
    "initializing, running, paused, and then one of the terminal phases; only PAUSED may go back to RUNNING. "
    "Only a higher attempt reopens FAILED, TIMED_OUT or SKIPPED; SUCCEEDED, ABORTED and RECOVERED are final.",
    QUEUED="Accepted, not started.",
    WAITING_FOR_RESOURCES="Waiting for machines, quota or a slot.",
    INITIALIZING="Has its resources and is being set up.",
    RUNNING="Running.",
    SUCCEEDED="Completed successfully. Final.",
    FAILED="Ended with an error. A higher attempt can reopen it.",
    ABORTED="Stopped on request. Final.",
    TIMED_OUT="Exceeded its time limit. A higher attempt can reopen it.",
    PAUSED="Waiting for an external decision or signal.",
    RECOVERED="Not executed: the result of an earlier run was reused. Final.",
    SKIPPED="Not executed: the executor left it out, for example since a step before it failed or a "
    "condition did not hold. A higher attempt can reopen it.",
)
_describe(
    repo.CacheStatus,
    "The result of caching the outputs of an action.",
    DISABLED="Caching is off for this action.",
    MISS="No outputs were stored for these inputs.",
    HIT="The stored outputs were used; nothing was executed.",
    POPULATED="The outputs were stored for later runs.",
    LOOKUP_FAILURE="The cache could not be read.",
    PUT_FAILURE="The outputs could not be stored.",
    SKIPPED="The lookup was skipped on request.",
    EVICTED="The stored outputs were removed.",
)
_describe(
    repo.ActionType,
    "What kind of step an action is.",
    TASK="Work that is executed on its own: a container, a query, a job.",
    TRACE="A traced call within another action.",
    CONDITION="A point that waits for a condition, such as an approval.",
)
_describe(
    repo.GridRowKind,
    "What the actions of a row in a grid of runs have in common.",
    ROOT="They are the roots.",
    ACTION="Their name.",
    GROUP="Their parent and group; their names are generated for each run.",
    TASK="Their parent and task; their names are generated for each run, and they have no group.",
    FUNCTION="Their parent and function; they have neither group nor task.",
    PATTERN="Their parent and name, but for the numbers and ids in it.",
)
_describe(
    repo.ColumnSource,
    "Where the values of a column of actions come from.",
    SPEC="The specification of the action.",
    OUTPUTS="The outputs of its latest attempt.",
    METRICS="The last value of a metric.",
)
_describe(
    repo.ArtifactKind,
    "What an artifact is of an attempt.",
    INPUTS="What the attempt got.",
    OUTPUTS="What the attempt returned.",
    REPORT="A report about it for people, such as an HTML page.",
    FILE="Any other file.",
)
_describe(
    repo.RunSource,
    "Who or what started a run.",
    WEB="A person in a web UI.",
    CLI="A person or a script, on the command line.",
    SCHEDULE_TRIGGER="A schedule.",
    TRACKED="An external system that reports its own runs.",
    ARTIFACT_TRIGGER="A new artifact.",
)
_describe(
    repo.ErrorKind,
    "The origin of an error.",
    USER="The code or the input of the task.",
    SYSTEM="The platform.",
    UNKNOWN="Not specified.",
)
_describe(repo.IdentityKind, "The kind of an identity.", USER="A person.", APPLICATION="A program.")
_describe(
    repo.AbortState,
    "The state of an abort request.",
    REQUESTED="The executor has not been notified yet.",
    RETRYING="The executor was notified and has not confirmed.",
    CONFIRMED="The executor confirmed that the work has stopped, or is lost.",
    FAILED="Not confirmed after the last attempt; needs attention.",
)
_describe(
    repo.OrderField,
    "The fields that a list can be sorted by. Rows without a value come last in both directions; rows with "
    "equal values have a fixed order.",
    CREATED_AT="When it was created.",
    UPDATED_AT="When it last changed.",
    ENDED_AT="When it ended; unfinished rows come last.",
    DURATION="Its duration; unfinished rows come last.",
    PHASE="The phase, in the order of the lifecycle.",
    NAME="The name, by Unicode code point.",
)
_describe(
    repo.RunGrouping,
    "What runs are counted by.",
    PROJECT="Their project.",
    CREATOR="Who created them, by subject.",
)


_describe(
    repo.LogLevel,
    "How severe a line of a log is.",
    DEBUG="Details for the author of the code.",
    INFO="What happens.",
    WARNING="Something unexpected that needs no action yet.",
    ERROR="Something failed.",
    CRITICAL="The program cannot go on.",
)
_describe(
    repo.LogGapReason,
    "Why lines of a log are missing.",
    QUOTA="The log was longer than the quota: its middle was removed.",
    NOT_RECEIVED="The server never received them.",
)
_describe(
    repo.FrameKind,
    "The kind of a frame.",
    SNAPSHOT="A page of the current items.",
    SYNCED="The snapshot is complete; the frame has no items.",
    CHANGE="New and changed items, and ids that no longer match the filter.",
    RESYNC="Discard everything received so far: a new SNAPSHOT follows. The frame has no items.",
)


@strawberry.enum(description="A sort direction.")
class SortDirection(Enum):
    """The direction of an order."""

    ASC = strawberry.enum_value("asc", description="Ascending: smallest or oldest first.")
    DESC = strawberry.enum_value("desc", description="Descending: largest or newest first.")


_describe(
    repo.Role,
    "What a caller may do in a project and domain. Every role includes reading.",
    VIEWER="Only read.",
    OPERATOR="Read, request aborts, and write notes.",
    WRITER="Read, write notes, create, report and confirm aborts, as executors do; not request aborts.",
    ADMIN="Everything.",
)
