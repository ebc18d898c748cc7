"""The record of workflow runs: what is stored, and how it is read, written and watched.

async with open_repository("sqlite:///rungraph.db") as repository:
    run = await repository.get_run(RunIdentifier("etl", "production", "nightly-1"))

Names outside `repo.domain` are imported on first use, so that `import repo` loads no database driver.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from repo.domain.artifacts import (
    Artifact as Artifact,
    ArtifactKind as ArtifactKind,
    ArtifactLimits as ArtifactLimits,
    NewArtifact as NewArtifact,
    Upload as Upload,
)
from repo.domain.attempts import merge_attempts as merge_attempts
from repo.domain.authorization import (
    Access as Access,
    FULL_ACCESS as FULL_ACCESS,
    Grant as Grant,
    Permission as Permission,
    Role as Role,
    Scope as Scope,
)
from repo.domain.columns import (
    MAX_COLUMNS as MAX_COLUMNS,
    ActionColumn as ActionColumn,
    ColumnSource as ColumnSource,
    FoundColumn as FoundColumn,
    FoundColumns as FoundColumns,
)
from repo.domain.errors import (
    ActionNotFound as ActionNotFound,
    Conflict as Conflict,
    DatabaseReadOnly as DatabaseReadOnly,
    DatabaseUnavailable as DatabaseUnavailable,
    DeadlineExceeded as DeadlineExceeded,
    DigestMismatch as DigestMismatch,
    EventNotFound as EventNotFound,
    Forbidden as Forbidden,
    InvalidArgument as InvalidArgument,
    InvalidCursor as InvalidCursor,
    NotFound as NotFound,
    QuotaExceeded as QuotaExceeded,
    RepoError as RepoError,
    RunNotFound as RunNotFound,
    StoreUnavailable as StoreUnavailable,
)
from repo.domain.identifiers import ActionIdentifier as ActionIdentifier, RunIdentifier as RunIdentifier
from repo.domain.logs import (
    DEFAULT_LOG_QUOTA as DEFAULT_LOG_QUOTA,
    AppendResult as AppendResult,
    LogGap as LogGap,
    LogGapReason as LogGapReason,
    LogLevel as LogLevel,
    LogLine as LogLine,
    LogPage as LogPage,
    LogQuery as LogQuery,
    LogStream as LogStream,
    LogSummary as LogSummary,
    NewLogLine as NewLogLine,
)
from repo.domain.models import (
    Abort as Abort,
    AbortMetrics as AbortMetrics,
    AbortProgress as AbortProgress,
    Action as Action,
    ActionAttempt as ActionAttempt,
    ActionError as ActionError,
    ActionEvent as ActionEvent,
    EventKey as EventKey,
    ClusterEvent as ClusterEvent,
    Identity as Identity,
    Label as Label,
    LogLink as LogLink,
    NewAction as NewAction,
    NewEvent as NewEvent,
    Note as Note,
    PhaseCount as PhaseCount,
    PhaseTransition as PhaseTransition,
    Progress as Progress,
    RemovedRun as RemovedRun,
    Run as Run,
    SOURCE_FIELDS as SOURCE_FIELDS,
    TaskIdentifier as TaskIdentifier,
    TriggerIdentifier as TriggerIdentifier,
)
from repo.domain.notes import MAX_NOTE as MAX_NOTE, MAX_NOTES as MAX_NOTES
from repo.domain.pages import (
    DEFAULT_PAGE as DEFAULT_PAGE,
    MAX_PAGE as MAX_PAGE,
    AttemptRange as AttemptRange,
    Order as Order,
    OrderField as OrderField,
    Page as Page,
    PageRequest as PageRequest,
)
from repo.domain.phases import (
    AbortState as AbortState,
    ActionPhase as ActionPhase,
    ActionType as ActionType,
    CacheStatus as CacheStatus,
    CredentialKind as CredentialKind,
    ErrorKind as ErrorKind,
    IdentityKind as IdentityKind,
    PhaseUpdate as PhaseUpdate,
    PhaseUpdateResult as PhaseUpdateResult,
    RunSource as RunSource,
)
from repo.domain.reports import (
    MAX_METRICS as MAX_METRICS,
    MAX_POINTS as MAX_POINTS,
    Metric as Metric,
    MetricPoint as MetricPoint,
    NewMetric as NewMetric,
    Report as Report,
    ReportResult as ReportResult,
)

if TYPE_CHECKING:
    from repo.aborts.aborts import AbortRunsResult as AbortRunsResult
    from repo.aborts.claims import DueAborts as DueAborts
    from repo.actions.filters import (
        ActionFilter as ActionFilter,
        LabelFilter as LabelFilter,
        RunFilter as RunFilter,
    )
    from repo.actions.group_commit import MAX_BATCH as MAX_BATCH
    from repo.actions.lists import cursor_of_run as cursor_of_run
    from repo.actions.pruning import Pruned as Pruned
    from repo.actions.rows import Attributes as Attributes
    from repo.artifacts.stores import check_store_url as check_store_url
    from repo.credentials import Credential as Credential
    from repo.leases.leases import LeaseResult as LeaseResult, RunActivity as RunActivity
    from repo.health import (
        CheckResult as CheckResult,
        CheckStatus as CheckStatus,
        check_bus as check_bus,
        check_database as check_database,
        check_store as check_store,
    )
    from repo.migration import (
        SchemaOutdated as SchemaOutdated,
        UnsuitableDatabase as UnsuitableDatabase,
        migrate as migrate,
    )
    from repo.repository import open_repository as open_repository
    from repo.repository import ActionRepo as ActionRepo
    from repo.restore import mark_restored as mark_restored
    from repo.sql.database import DatabaseMetrics as DatabaseMetrics
    from repo.sql.rows import Column as Column, ColumnKind as ColumnKind, Layout as Layout, Rows as Rows
    from repo.sql.urls import check_database_url as check_database_url, without_password as without_password
    from repo.summaries.grid import (
        MAX_GRID_ERRORS as MAX_GRID_ERRORS,
        MAX_GRID_MESSAGE as MAX_GRID_MESSAGE,
        MAX_GRID_ROWS as MAX_GRID_ROWS,
        MAX_GRID_RUNS as MAX_GRID_RUNS,
        RunGrid as RunGrid,
    )
    from repo.summaries.grid_rows import (
        GridCell as GridCell,
        GridRow as GridRow,
        GridRowKind as GridRowKind,
    )
    from repo.summaries.counts import RunCount as RunCount, RunGrouping as RunGrouping
    from repo.summaries.histogram import RunHistogramBucket as RunHistogramBucket
    from repo.summaries.suggestions import SuggestedTask as SuggestedTask, Suggestions as Suggestions
    from repo.summaries.tasks import Durations as Durations, TaskKey as TaskKey, TaskSummary as TaskSummary
    from repo.summaries.typical import TypicalDuration as TypicalDuration, task_of as task_of
    from repo.supervision import Supervisor as Supervisor
    from repo.watch.bus import check_broadcast_url as check_broadcast_url
    from repo.watch.log_streams import LogFrame as LogFrame
    from repo.watch.stream import Frame as Frame, FrameKind as FrameKind, Stream as Stream
    from repo.watch.mailboxes import Related as Related
    from repo.watch.watches import Watches as Watches, WatchMetrics as WatchMetrics

_MODULES = {
    "repo.aborts.aborts": "AbortRunsResult",
    "repo.aborts.claims": "DueAborts",
    "repo.actions.filters": "ActionFilter LabelFilter RunFilter",
    "repo.actions.group_commit": "MAX_BATCH",
    "repo.actions.lists": "cursor_of_run",
    "repo.actions.pruning": "Pruned",
    "repo.actions.rows": "Attributes",
    "repo.artifacts.stores": "check_store_url",
    "repo.credentials": "Credential",
    "repo.health": "CheckResult CheckStatus check_bus check_database check_store",
    "repo.leases.leases": "LeaseResult RunActivity",
    "repo.migration": "SchemaOutdated UnsuitableDatabase migrate",
    "repo.repository": "ActionRepo open_repository",
    "repo.restore": "mark_restored",
    "repo.sql.database": "DatabaseMetrics",
    "repo.sql.rows": "Column ColumnKind Layout Rows",
    "repo.sql.urls": "check_database_url without_password",
    "repo.summaries.grid": "MAX_GRID_ERRORS MAX_GRID_MESSAGE MAX_GRID_ROWS MAX_GRID_RUNS RunGrid",
    "repo.summaries.grid_rows": "GridCell GridRow GridRowKind",
    "repo.summaries.counts": "RunCount RunGrouping",
    "repo.summaries.histogram": "RunHistogramBucket",
    "repo.summaries.suggestions": "SuggestedTask Suggestions",
    "repo.summaries.tasks": "Durations TaskKey TaskSummary",
    "repo.summaries.typical": "TypicalDuration task_of",
    "repo.supervision": "Supervisor",
    "repo.watch.bus": "check_broadcast_url",
    "repo.watch.log_streams": "LogFrame",
    "repo.watch.stream": "Frame FrameKind Stream",
    "repo.watch.mailboxes": "Related",
    "repo.watch.watches": "Watches WatchMetrics",
}
HOMES = {name: module for module, names in _MODULES.items() for name in names.split()}
"""The modules of the names that are imported on first use."""


def __getattr__(name: str) -> Any:
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(HOMES[name]), name)
    return value
