"""The record of workflow runs: what is stored, and how it is read, written and watched.

async with open_repository("sqlite:///rungraph.db") as repository:
    run = await repository.get_run(RunIdentifier("etl", "production", "nightly-1"))
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from repo.actions import MAX_BATCH, ActionRepo
from repo.attempts import merge_attempts
from repo.database import Database, parse_url, without_password
from repo.errors import (
    ActionNotFound,
    Conflict,
    DatabaseUnavailable,
    EventNotFound,
    InvalidArgument,
    InvalidCursor,
    NotFound,
    RepoError,
    RunNotFound,
)
from repo.identifiers import ActionIdentifier, RunIdentifier
from repo.listing import ActionFilter, LabelFilter, RunFilter
from repo.migrate import migrate
from repo.models import (
    Abort,
    Action,
    ActionAttempt,
    ActionError,
    ActionEvent,
    ClusterEvent,
    Identity,
    Label,
    LogLink,
    NewAction,
    NewEvent,
    PhaseCount,
    PhaseTransition,
    Run,
    TaskIdentifier,
    TriggerIdentifier,
)
from repo.paging import DEFAULT_PAGE, MAX_PAGE, Order, OrderField, Page, PageRequest
from repo.phases import (
    AbortState,
    ActionPhase,
    ActionType,
    CacheStatus,
    ErrorKind,
    IdentityKind,
    PhaseUpdate,
    RunSource,
)

__all__ = [
    "DEFAULT_PAGE",
    "MAX_BATCH",
    "MAX_PAGE",
    "Abort",
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
    "CacheStatus",
    "ClusterEvent",
    "Conflict",
    "DatabaseUnavailable",
    "ErrorKind",
    "EventNotFound",
    "Identity",
    "IdentityKind",
    "InvalidArgument",
    "InvalidCursor",
    "Label",
    "LabelFilter",
    "LogLink",
    "NewAction",
    "NewEvent",
    "NotFound",
    "Order",
    "OrderField",
    "Page",
    "PageRequest",
    "PhaseCount",
    "PhaseTransition",
    "PhaseUpdate",
    "RepoError",
    "Run",
    "RunFilter",
    "RunIdentifier",
    "RunNotFound",
    "RunSource",
    "TaskIdentifier",
    "TriggerIdentifier",
    "check_database_url",
    "merge_attempts",
    "migrate",
    "open_repository",
    "without_password",
]


@asynccontextmanager
async def open_repository(
    url: str, pool_size: int = 10, on_commit: Callable[[], None] = lambda: None
) -> AsyncIterator[ActionRepo]:
    """The repository over a database that `migrate` has brought to this version's schema.

    `on_commit` is called after every committed write. Raises InvalidArgument for a URL that is
    neither PostgreSQL nor a SQLite file.
    """
    database = Database(url, pool_size, on_commit)
    try:
        yield ActionRepo(database)
    finally:
        await database.close()


def check_database_url(url: str) -> None:
    """Raise InvalidArgument for a URL that is neither PostgreSQL nor a SQLite file."""
    parse_url(url)
