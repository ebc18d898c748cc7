"""The record of workflow runs: what is stored, and how it is read, written and watched.

async with open_repository("sqlite:///rungraph.db") as repository:
    run = await repository.get_run(RunIdentifier("etl", "production", "nightly-1"))
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from repo.aborts.leases import Taken
from repo.aborts.methods import AbortedRuns
from repo.actions.attempt_pages import AttemptRange
from repo.actions.filters import ActionFilter, LabelFilter, RunFilter
from repo.actions.pruning import Pruned
from repo.actions.rows import Attributes
from repo.credentials import Credential
from repo.domain.attempts import merge_attempts
from repo.domain.authorization import FULL_ACCESS, Access, Grant, Permission, Role, Scope
from repo.domain.errors import (
    ActionNotFound,
    Conflict,
    DatabaseReadOnly,
    DatabaseUnavailable,
    DeadlineExceeded,
    EventNotFound,
    Forbidden,
    InvalidArgument,
    InvalidCursor,
    NotFound,
    RepoError,
    RunNotFound,
)
from repo.domain.identifiers import ActionIdentifier, RunIdentifier
from repo.domain.models import (
    COMPOSITES,
    SOURCE_FIELDS,
    Abort,
    AbortMetrics,
    AbortProgress,
    Action,
    ActionAttempt,
    ActionError,
    ActionEvent,
    ClusterEvent,
    Composite,
    Identity,
    Label,
    LogLink,
    NewAction,
    NewEvent,
    PhaseCount,
    PhaseTransition,
    RemovedRun,
    Run,
    TaskIdentifier,
    TriggerIdentifier,
)
from repo.domain.pages import DEFAULT_PAGE, MAX_PAGE, Order, OrderField, Page, PageRequest
from repo.domain.phases import (
    AbortState,
    ActionPhase,
    ActionType,
    CacheStatus,
    CredentialKind,
    ErrorKind,
    IdentityKind,
    PhaseUpdate,
    PhaseUpdateResult,
    RunSource,
)
from repo.health import CheckResult, CheckStatus, check_bus, check_database
from repo.migrate import SchemaOutdated, UnsuitableDatabase, migrate
from repo.repository import MAX_BATCH, ActionRepo
from repo.restore import mark_restored
from repo.sql.database import Database, DatabaseMetrics
from repo.sql.rows import Column, ColumnKind, Layout, Rows
from repo.sql.urls import parse_url, without_password
from repo.summaries.histogram import RunHistogramBucket
from repo.summaries.tasks import Durations, TaskKey, TaskSummary
from repo.supervision import Supervisor
from repo.watch.bus import Bus, check_broadcast_url
from repo.watch.hub import Hub
from repo.watch.streams import (
    Frame,
    FrameKind,
    Progress,
    Shown,
    WatchFigures,
)

__all__ = [
    "Frame",
    "FrameKind",
    "Shown",
    "check_broadcast_url",
    "DEFAULT_PAGE",
    "SOURCE_FIELDS",
    "MAX_BATCH",
    "MAX_PAGE",
    "COMPOSITES",
    "FULL_ACCESS",
    "Access",
    "Forbidden",
    "Grant",
    "Permission",
    "Role",
    "DeadlineExceeded",
    "Abort",
    "AbortMetrics",
    "AbortProgress",
    "AbortedRuns",
    "Scope",
    "Taken",
    "AbortState",
    "Action",
    "ActionAttempt",
    "ActionError",
    "ActionEvent",
    "ActionFilter",
    "ActionIdentifier",
    "ActionNotFound",
    "ActionPhase",
    "ActionRepo",
    "ActionType",
    "PhaseUpdateResult",
    "AttemptRange",
    "Attributes",
    "CacheStatus",
    "ClusterEvent",
    "Column",
    "Conflict",
    "Credential",
    "CredentialKind",
    "DatabaseMetrics",
    "DatabaseReadOnly",
    "DatabaseUnavailable",
    "Durations",
    "ErrorKind",
    "EventNotFound",
    "CheckResult",
    "ColumnKind",
    "Identity",
    "IdentityKind",
    "InvalidArgument",
    "InvalidCursor",
    "Label",
    "LabelFilter",
    "Layout",
    "LogLink",
    "NewAction",
    "NewEvent",
    "NotFound",
    "Order",
    "OrderField",
    "Page",
    "PageRequest",
    "Composite",
    "PhaseCount",
    "PhaseTransition",
    "PhaseUpdate",
    "Progress",
    "Pruned",
    "RemovedRun",
    "RepoError",
    "Rows",
    "Run",
    "RunFilter",
    "RunHistogramBucket",
    "RunIdentifier",
    "RunNotFound",
    "RunSource",
    "SchemaOutdated",
    "Supervisor",
    "TaskIdentifier",
    "TaskKey",
    "TaskSummary",
    "TriggerIdentifier",
    "UnsuitableDatabase",
    "CheckStatus",
    "WatchFigures",
    "check_database_url",
    "check_bus",
    "check_database",
    "mark_restored",
    "merge_attempts",
    "migrate",
    "open_repository",
    "without_password",
]


@asynccontextmanager
async def open_repository(
    url: str,
    pool_size: int = 10,
    broadcast_url: str = "memory://",
    on_commit: Callable[[], None] = lambda: None,
    statement_timeout: float = 0,
    connection_timeout: float = 10,
    supervisor: Supervisor | None = None,
) -> AsyncIterator[ActionRepo]:
    """The repository over a database that `migrate` has brought to this version's schema.

    Over `broadcast_url` replicas notify each other of writes. `on_commit` is called after every committed
    write. A statement that takes longer than `statement_timeout` seconds is cancelled, and its call raises
    DeadlineExceeded; 0 means no limit. A call waits at most `connection_timeout` seconds for a connection.
    `supervisor` runs the background loops. Raises InvalidArgument for a URL that is not supported.
    """

    def committed() -> None:
        hub.ring()
        bus.ring()
        on_commit()

    database = Database(url, pool_size, committed, statement_timeout, connection_timeout)
    hub = Hub(database, supervisor)
    bus = Bus(broadcast_url, hub.ring, supervisor)
    try:
        async with bus.open():
            yield ActionRepo(database, hub, bus)
    finally:
        await hub.close()
        await database.close()


def check_database_url(url: str) -> None:
    """Raise InvalidArgument for a URL that is neither PostgreSQL nor a SQLite file."""
    parse_url(url)
