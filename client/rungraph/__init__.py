"""Records the runs of Python scripts in Rungraph, and reads them.

from rungraph import track

main = track(main)      # the outermost call is the run, inner ones are its actions
"""

from typing import TYPE_CHECKING

from .errors import Aborted
from .explicit import begin
from .steps import Step
from .tracking import current_step, flush, next_attempt, track

if TYPE_CHECKING:  # imported when first used
    from .reading import (
        Abort,
        AbortActionPayload,
        AbortRunPayload,
        AbortState,
        Action,
        ActionError,
        ActionEvent,
        ActionIdentifier,
        ActionOrderField,
        ActionPhase,
        ActionType,
        ApiError,
        Artifact,
        ArtifactKind,
        CacheStatus,
        Change,
        Client,
        ClusterEvent,
        ErrorKind,
        Identity,
        IdentityKind,
        Label,
        LogLevel,
        LogLine,
        LogLink,
        Metric,
        PhaseCount,
        Progress,
        Run,
        RunIdentifier,
        RunSource,
        TaskIdentifier,
        TriggerIdentifier,
    )
    from .reading.asynchronous import AsyncClient

__all__ = [
    "Abort",
    "AbortActionPayload",
    "AbortRunPayload",
    "AbortState",
    "Aborted",
    "Action",
    "ActionError",
    "ActionEvent",
    "ActionIdentifier",
    "ActionOrderField",
    "ActionPhase",
    "ActionType",
    "ApiError",
    "Artifact",
    "ArtifactKind",
    "AsyncClient",
    "CacheStatus",
    "Change",
    "Client",
    "ClusterEvent",
    "ErrorKind",
    "Identity",
    "IdentityKind",
    "Label",
    "LogLevel",
    "LogLine",
    "LogLink",
    "Metric",
    "PhaseCount",
    "Progress",
    "Run",
    "RunIdentifier",
    "RunSource",
    "Step",
    "TaskIdentifier",
    "TriggerIdentifier",
    "begin",
    "current_step",
    "flush",
    "next_attempt",
    "track",
]

if not TYPE_CHECKING:  # type checkers would accept any name

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module 'rungraph' has no attribute {name!r}")
        from importlib import import_module

        place = "rungraph.reading.asynchronous" if name == "AsyncClient" else "rungraph.reading"
        value = getattr(import_module(place), name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
