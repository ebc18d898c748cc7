"""The enums of the API. A value that this version does not know is a member too, named by its value."""

from __future__ import annotations

from enum import Enum


class OpenEnum(str, Enum):
    """Members are equal to their text, and formatted as it."""

    @classmethod
    def _missing_(cls, value: object) -> OpenEnum | None:
        if not isinstance(value, str):
            return None
        member = str.__new__(cls, value)
        member._name_ = member._value_ = value
        return member

    def __str__(self) -> str:
        return str(self.value)

    def __format__(self, form: str) -> str:
        return format(str(self.value), form)


class ActionPhase(OpenEnum):
    """The phase of an action or a run."""

    QUEUED = "QUEUED"
    WAITING_FOR_RESOURCES = "WAITING_FOR_RESOURCES"
    INITIALIZING = "INITIALIZING"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    ABORTED = "ABORTED"
    TIMED_OUT = "TIMED_OUT"
    RECOVERED = "RECOVERED"
    SKIPPED = "SKIPPED"

    @property
    def is_success(self) -> bool:
        """Whether it has ended well."""
        return self in (ActionPhase.SUCCEEDED, ActionPhase.RECOVERED)


class ActionType(OpenEnum):
    """What kind of step an action is."""

    TASK = "TASK"
    TRACE = "TRACE"
    CONDITION = "CONDITION"


class ActionOrderField(OpenEnum):
    """What lists can be sorted by."""

    CREATED_AT = "CREATED_AT"
    UPDATED_AT = "UPDATED_AT"
    ENDED_AT = "ENDED_AT"
    DURATION = "DURATION"
    PHASE = "PHASE"
    NAME = "NAME"


class AbortState(OpenEnum):
    """The state of an abort request."""

    REQUESTED = "REQUESTED"
    RETRYING = "RETRYING"
    CONFIRMED = "CONFIRMED"
    FAILED = "FAILED"


class ArtifactKind(OpenEnum):
    """What an artifact is of an attempt."""

    INPUTS = "INPUTS"
    OUTPUTS = "OUTPUTS"
    REPORT = "REPORT"
    FILE = "FILE"


class CacheStatus(OpenEnum):
    """The result of caching the outputs of an action."""

    DISABLED = "DISABLED"
    MISS = "MISS"
    HIT = "HIT"
    POPULATED = "POPULATED"
    LOOKUP_FAILURE = "LOOKUP_FAILURE"
    PUT_FAILURE = "PUT_FAILURE"
    SKIPPED = "SKIPPED"
    EVICTED = "EVICTED"


class ErrorKind(OpenEnum):
    """The origin of an error."""

    USER = "USER"
    SYSTEM = "SYSTEM"
    UNKNOWN = "UNKNOWN"


class IdentityKind(OpenEnum):
    """Whether an identity is a person or a program."""

    USER = "USER"
    APPLICATION = "APPLICATION"


class LogLevel(OpenEnum):
    """How severe a line of a log is."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"
    CRITICAL = "CRITICAL"


class RunSource(OpenEnum):
    """Who or what started a run."""

    WEB = "WEB"
    CLI = "CLI"
    SCHEDULE_TRIGGER = "SCHEDULE_TRIGGER"
    TRACKED = "TRACKED"
    ARTIFACT_TRIGGER = "ARTIFACT_TRIGGER"
