"""Shared fixtures: a fresh database for each test on SQLite and PostgreSQL, and a repository, application
and client on it."""

import gc
import os
import signal
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx2
import pytest
import structlog
from hypothesis import HealthCheck, settings
from starlette.applications import Starlette

from graph.app import create_app
from graph.settings import Settings
from repo import ActionRepo, open_repository
from repo.sql import database as database_module
from repo.sql import postgres as postgres_module
from repo.watch import bus as bus_module
from tests import ROOT
from tests.support.attacking import Target, attacked, checked
from tests.support.client import GraphQLClient
from tests.support.clock import Clock, movable_clock
from tests.support.databases import (
    Databases,
    PostgresDatabases,
    SqliteDatabases,
    create_migrated,
)
from tests.support.postgres import migrated_data, running_postgres
from tests.support.redis_server import RedisServer, running_redis
from tests.support.statement_cache import SharedStatements
from tests.support.workers import (
    automatic_workers,
    pytest_addoption,
    pytest_runtestloop,
    worker_count,
)

__all__ = ["pytest_addoption", "pytest_runtestloop"]  # hooks of pytest

STARTED_FIRST = [
    "tests/faults/test_faults.py",
    "tests/graph/execution/test_compiled_execution.py",
    "tests/ingest/test_demo.py",
    "tests/graph/auth/test_tenants.py",
    "tests/graph/cli/test_cli.py",
    "tests/graph/cli/test_workers.py",
    "tests/graph/transport/test_attacks.py",
    "tests/graph/transport/test_attacks_http.py",
    "tests/graph/transport/test_server.py",
    "tests/graph/cli/test_doctor.py",
    "tests/graph/cli/remote/test_watch_command.py",
    "tests/graph/aborts/test_reconciler.py",
    "tests/repo/sql/test_failover.py",
    "tests/repo/aborts/test_abort_faults.py",
    "tests/graph/transport/test_websocket_machine.py",
    "tests/graph/observability/test_unwritable_log.py",
]
"""The slowest files: a worker that starts one of them last would finish long after the others."""


ON_ONE_DATABASE = (
    "tests/graph/",
    "tests/ingest/",
    "tests/repo/aborts/test_abort_claims.py",
    "tests/repo/aborts/test_abort_watches.py",
    "tests/repo/aborts/test_below_aborts.py",
    "tests/repo/actions/test_bad_items.py",
    "tests/repo/actions/test_full_batches.py",
    "tests/repo/actions/test_lengths.py",
    "tests/repo/actions/test_on_behalf.py",
    "tests/repo/actions/test_removed_runs.py",
    "tests/repo/actions/test_reporting.py",
    "tests/repo/artifacts/test_uploads.py",
    "tests/repo/logs/",
    "tests/repo/test_credentials.py",
    "tests/repo/watch/test_filtered_watches.py",
    "tests/repo/watch/test_frame_sizes.py",
    "tests/repo/watch/test_log_watches.py",
    "tests/repo/watch/test_mailboxes.py",
)
"""Tests of what is above the repository, and of rules that it has in Python: `make test` runs them on SQLite
and on PostgreSQL in turn, and `make soak` each on the other database. Every statement is still executed on
both."""
ON_BOTH_DATABASES = {
    "tests/graph/aborts/test_reconciler.py",
    "tests/graph/cli/test_doctor.py",
    "tests/graph/schema/test_errors.py",
    "tests/graph/schema/test_graphql.py",
    "tests/graph/schema/test_statements.py",
    "tests/graph/schema/test_subscriptions.py",
    "tests/graph/transport/test_read_only.py",
    "tests/graph/transport/test_shared_subscriptions.py",
    "tests/graph/transport/test_unavailable.py",
}
"""Files in these folders that `make test` runs on both."""


def pytest_xdist_auto_num_workers() -> int:
    """The number of processes of `-n auto`."""
    return automatic_workers()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Starts with the slowest files, and marks what `make test` leaves to `make soak`."""
    ranks = {str(ROOT / path): rank for rank, path in enumerate(STARTED_FIRST)}
    items.sort(key=lambda item: ranks.get(str(item.path), len(ranks)))
    leave_one_database(items)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Makes garbage collections rare, as in a server, and spares them what lives until the end: modules and
    thousands of tests. They took a sixth of the CPU time."""
    if worker_count(session.config) and any("postgresql" in item.name for item in session.items):
        migrated_data()  # once for all workers
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)


def leave_one_database(items: list[pytest.Item]) -> None:
    """Marks the tests with `soak` that differ from another one by their database alone."""
    pairs: defaultdict[tuple[object, ...], dict[Any, pytest.Item]] = defaultdict(dict)
    for item in items:
        path = item.path.relative_to(ROOT).as_posix()
        if path in ON_BOTH_DATABASES or not path.startswith(ON_ONE_DATABASE):
            continue
        parameters = dict(getattr(getattr(item, "callspec", None), "params", {}))
        if isinstance(item, pytest.Function) and "databases" in parameters:
            database = parameters.pop("databases")
            pairs[path, item.originalname, repr(sorted(parameters.items(), key=str))][database] = item
    for turn, pair in enumerate(pair for pair in pairs.values() if len(pair) == 2):
        pair["postgresql" if turn % 2 else "sqlite"].add_marker("soak")


# Examples have no deadline: a machine may stall during any of them.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


@pytest.fixture(autouse=True, scope="session")
def servers_inherit_no_ignored_signals() -> None:
    """`nohup make test` ignores SIGHUP, and `make test &` in a script SIGINT; the processes that the tests
    stop by it would inherit that."""
    for number in (signal.SIGHUP, signal.SIGQUIT, signal.SIGINT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


@pytest.fixture(autouse=True, scope="session")
def statements_are_compiled_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database_module, "StatementCache", SharedStatements)
        yield


@pytest.fixture(autouse=True)
def settings_of_the_developer_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("RUNGRAPH_") and not name.startswith("RUNGRAPH_TEST_"):
            monkeypatch.delenv(name)
    if "RUNGRAPH_TEST_COMPILED_EXECUTION" in os.environ:
        monkeypatch.setenv("RUNGRAPH_COMPILED_EXECUTION", os.environ["RUNGRAPH_TEST_COMPILED_EXECUTION"])


@pytest.fixture(autouse=True)
def a_connection_is_made_also_where_the_machine_stalls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_module, "CONNECT_TIMEOUT", 10.0)


@pytest.fixture(autouse=True)
def logs_of_one_test_are_its_own() -> Iterator[None]:
    yield
    structlog.reset_defaults()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock that decides whether credentials have expired."""
    return movable_clock(monkeypatch)


@pytest.fixture(scope="session")
def postgres_server_url() -> Iterator[str]:
    """The URL of the server named by the user, or of one that runs as long as the tests."""
    if url := os.environ.get("RUNGRAPH_TEST_POSTGRES_URL"):
        yield url
    else:
        # A crash may lose the last commits; tests of crashes use their own servers.
        with running_postgres(synchronous_commit="off") as server:
            yield server.url


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A server that runs as long as the tests; tests that stop one start their own."""
    with running_redis() as server:
        yield server


@pytest.fixture(params=["postgresql", "redis"])
def bus_url(request: pytest.FixtureRequest) -> str:
    """A bus, on PostgreSQL and on Redis."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres_server_url"))
    server: RedisServer = request.getfixturevalue("redis_server")
    return server.url


@pytest.fixture
def short_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shortens the intervals of the bus for checking its connection and for reconnecting."""
    monkeypatch.setattr(bus_module, "HEARTBEAT", 0.3)
    monkeypatch.setattr(bus_module, "RETRY", (0.05, 0.1))


@pytest.fixture(scope="session")
def sqlite_databases(tmp_path_factory: pytest.TempPathFactory) -> Databases:
    """Creates SQLite databases."""
    return SqliteDatabases(tmp_path_factory.mktemp("databases"))


@pytest.fixture(scope="session")
def postgresql_databases(postgres_server_url: str) -> Iterator[Databases]:
    """Creates PostgreSQL databases; the server starts with the first test that needs it."""
    databases = PostgresDatabases(postgres_server_url)
    with databases.staying_connected():
        yield databases


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def databases(request: pytest.FixtureRequest) -> Databases:
    """Creates databases."""
    made: Databases = request.getfixturevalue(f"{request.param}_databases")
    return made


@pytest.fixture(scope="session")
def migrated_sqlite_url(sqlite_databases: Databases) -> Iterator[str]:
    """As `migrated_url`."""
    url = create_migrated(sqlite_databases)
    yield url
    sqlite_databases.drop(url)


@pytest.fixture(scope="session")
def migrated_postgresql_url(postgresql_databases: Databases) -> Iterator[str]:
    """As `migrated_url`."""
    url = create_migrated(postgresql_databases)
    yield url
    postgresql_databases.drop(url)


@pytest.fixture(scope="session")
def migrated_url(request: pytest.FixtureRequest, databases: Databases) -> str:
    """A migrated database that is copied for every test. Made once, though each file of tests switches
    between SQLite and PostgreSQL."""
    kind = "sqlite" if isinstance(databases, SqliteDatabases) else "postgresql"
    url: str = request.getfixturevalue(f"migrated_{kind}_url")
    return url


@pytest.fixture
def empty_database_url(databases: Databases) -> Iterator[str]:
    """A new database without a schema."""
    url = databases.create()
    yield url
    databases.drop(url)


@pytest.fixture
def database_url(databases: Databases, migrated_url: str) -> Iterator[str]:
    """A new, migrated database without runs."""
    url = databases.copy(migrated_url)
    yield url
    databases.drop(url)


@pytest.fixture
async def repository(database_url: str) -> AsyncIterator[ActionRepo]:
    """A repository on `database_url`."""
    async with open_repository(database_url) as opened:
        yield opened


@pytest.fixture
def app(database_url: str) -> Starlette:
    """The application on `database_url`; `client` starts it."""
    return create_app(Settings(database_url=database_url))


@pytest.fixture
async def client(app: Starlette) -> AsyncIterator[GraphQLClient]:
    """A client of the application, which runs during the test."""
    async with (
        app.router.lifespan_context(app),
        GraphQLClient(transport=httpx2.ASGITransport(app), base_url="http://localhost") as opened,
    ):
        yield opened


@pytest.fixture(scope="session")
def attacked_server(
    databases: Databases, migrated_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Target]:
    """A server process with two tenants and a short request timeout."""
    url = databases.copy(migrated_url)
    with attacked(url, tmp_path_factory.mktemp("attacked"), RUNGRAPH_REQUEST_TIMEOUT="5") as target:
        yield target
    databases.drop(url)


@pytest.fixture
def target(attacked_server: Target) -> Iterator[Target]:
    """The server for one attack; afterwards its state is checked."""
    with checked(attacked_server):
        yield attacked_server
