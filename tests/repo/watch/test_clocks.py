"""Jumping clocks: delays are bounded, nothing runs twice at once, and nothing expires later."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import asyncpg
import httpx2
import pytest

from repo import FULL_ACCESS, AbortState, ActionRepo, CredentialKind, open_repository
from repo.aborts import claims as claims_module
from repo.aborts.claims import MAX_DELAY
from tests.support.databases import PostgresDatabases, create_migrated, wait_for
from tests.support.executors import FakeExecutor
from tests.support.fake_clock import HOUR, FakeClock, fake_clock
from tests.support.making import (
    ADA,
    RUN,
    action,
    make_run,
)
from tests.support.postgres import running_postgres
from tests.support.server_process import server_process

MINUTE, SHORT = timedelta(minutes=1), timedelta(seconds=0.3)
SECONDS = 60
JUMPS = pytest.mark.parametrize("jump", [-HOUR, HOUR])
CREATE = """mutation { createAction(input: {
  id: {project: "etl", domain: "production", runName: "nightly-1", name: "a0"}}) { created } }"""
ABORT = """mutation { abortRun(input: {
  id: {project: "etl", domain: "production", name: "nightly-1"}}) { requested } }"""


@pytest.fixture(scope="module")
def database_clock() -> Iterator[FakeClock]:
    with fake_clock() as clock:
        yield clock


@pytest.fixture
def server_clock() -> Iterator[FakeClock]:
    with fake_clock() as clock:
        yield clock


@pytest.fixture(scope="module")
def databases(database_clock: FakeClock) -> Iterator[PostgresDatabases]:
    """A server whose clock can be moved."""
    with running_postgres(environment=database_clock.environment) as server:
        yield PostgresDatabases(server.url)


@pytest.fixture
def moved_url(databases: PostgresDatabases, database_clock: FakeClock) -> Iterator[str]:
    url = create_migrated(databases)
    database_clock.jump(HOUR)
    assert wait_for(ahead(url)) > HOUR / 2, "the clock cannot be moved"
    database_clock.jump(0)
    assert wait_for(ahead(url)) < HOUR / 2
    yield url
    database_clock.jump(0)
    databases.drop(url)


async def ahead(url: str) -> float:
    """Seconds by which the database's clock is ahead."""
    connection = await asyncpg.connect(url)
    there: datetime = await connection.fetchval("SELECT clock_timestamp()")
    await connection.close()
    return (there - datetime.now(UTC)).total_seconds()


@asynccontextmanager
async def two_replicas(url: str) -> AsyncIterator[tuple[ActionRepo, ActionRepo]]:
    """Two replicas and a pending abort."""
    async with open_repository(url) as one, open_repository(url) as other:
        await make_run(one)
        assert await one.abort_run(RUN, None, ADA)
        yield one, other


async def take(repository: ActionRepo, lease: str, duration: timedelta = MINUTE) -> int:
    """Claims aborts and returns how many."""
    return len((await repository.aborts.claim(lease, duration, 10, 10)).aborts)


@JUMPS
@pytest.mark.parametrize("pause", [MAX_DELAY, MINUTE])
async def test_a_retry_delay_ends_even_if_the_databases_clock_jumps(
    moved_url: str, database_clock: FakeClock, monkeypatch: pytest.MonkeyPatch, jump: int, pause: timedelta
) -> None:
    monkeypatch.setattr(claims_module, "retry_delay", lambda attempts: pause)
    async with two_replicas(moved_url) as (one, other):
        assert await take(one, "one") == 1
        assert await one.aborts.record_failure(action(), "one", "no", 10) is AbortState.RETRYING
        assert await take(one, "one") == 0
        database_clock.jump(jump)
        assert await take(other, "other") == 1


async def test_a_retry_delay_survives_small_moves_of_the_databases_clock(
    moved_url: str, database_clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims_module, "retry_delay", lambda attempts: MINUTE)
    async with two_replicas(moved_url) as (one, other):
        assert await take(one, "one") == 1
        await one.aborts.record_failure(action(), "one", "no", 10)
        database_clock.jump(-30)
        assert await take(other, "other") == 0


@JUMPS
@pytest.mark.parametrize("was_seen", [True, False])
async def test_a_claim_is_kept_even_if_the_databases_clock_jumps(
    moved_url: str, database_clock: FakeClock, jump: int, was_seen: bool
) -> None:
    async with two_replicas(moved_url) as (one, other):
        assert await take(one, "one") == 1
        if was_seen:
            assert await take(other, "other") == 0
        database_clock.jump(jump)
        for _ in range(3):
            assert await take(other, "other") == 0
        assert await one.aborts.record_failure(action(), "one", "no", 10) is AbortState.RETRYING


@JUMPS
async def test_claims_of_dead_replicas_are_taken_over_even_if_the_databases_clock_jumps(
    moved_url: str, database_clock: FakeClock, jump: int
) -> None:
    async with two_replicas(moved_url) as (one, other):
        assert await take(one, "one", SHORT) == 1
        assert await take(other, "other", SHORT) == 0
        database_clock.jump(jump)
        async with asyncio.timeout(SECONDS):
            while not await take(other, "other", SHORT):  # noqa: ASYNC110 - no event of it
                await asyncio.sleep(0.05)


async def test_a_rate_limit_recovers_even_if_the_servers_clock_is_set_back(
    moved_url: str, server_clock: FakeClock
) -> None:
    async with open_repository(moved_url) as repository:
        _, token = await repository.credentials.create(CredentialKind.TOKEN, "t", ADA, FULL_ACCESS)
    settings = {
        "RUNGRAPH_DATABASE_URL": moved_url,
        "RUNGRAPH_AUTH": "token",
        "RUNGRAPH_RATE_LIMIT": "2/3seconds",
    }
    async with server_process({**settings, **server_clock.environment}, token=token) as server:

        async def ask() -> httpx2.Response:
            return await server.ask("{ runs { nodes { name } } }")

        async with asyncio.timeout(SECONDS):
            while (await ask()).status_code == 200:
                pass
            server_clock.jump(-HOUR)
            refused = await ask()
            assert int(refused.headers.get("retry-after", "0")) <= 4
            while (await ask()).status_code == 429:  # noqa: ASYNC110 - no event of it
                await asyncio.sleep(0.1)


async def test_signatures_for_executors_use_the_databases_time(
    moved_url: str, server_clock: FakeClock
) -> None:
    server_clock.jump(-HOUR)
    with FakeExecutor().serving() as executor:
        settings = {
            "RUNGRAPH_DATABASE_URL": moved_url,
            "RUNGRAPH_ABORT_WEBHOOK_URL": executor.url,
            "RUNGRAPH_ABORT_WEBHOOK_SECRET": "a secret that is long enough",
            "RUNGRAPH_ABORT_WEBHOOK_ALLOW_PRIVATE": "true",
        }
        async with server_process({**settings, **server_clock.environment}) as server:
            assert (await server.ask(CREATE)).json()["data"]["createAction"]["created"]
            assert (await server.ask(ABORT)).json()["data"]["abortRun"]["requested"]
            async with asyncio.timeout(SECONDS):
                while not executor.notifications:  # noqa: ASYNC110 - another thread
                    await asyncio.sleep(0.05)
    timestamp = int(executor.notifications[0].headers["rungraph-timestamp"])
    assert abs(timestamp - time.time()) < 2 * SECONDS


async def test_setting_back_the_servers_clock_does_not_prolong_a_token(
    moved_url: str, server_clock: FakeClock
) -> None:
    async with open_repository(moved_url) as repository:
        soon = datetime.now(UTC) + timedelta(minutes=10)
        credential, token = await repository.credentials.create(
            CredentialKind.TOKEN, "t", ADA, FULL_ACCESS, soon
        )
        assert await repository.credentials.find(token)
    await expire(moved_url)
    server_clock.jump(-HOUR)
    settings = {"RUNGRAPH_DATABASE_URL": moved_url, "RUNGRAPH_AUTH": "token"}
    async with server_process({**settings, **server_clock.environment}, token=token) as server:
        assert (await server.ask("{ __typename }")).status_code == 401


async def expire(url: str) -> None:
    """All credentials expired ten minutes ago."""
    connection = await asyncpg.connect(url)
    await connection.execute("UPDATE credentials SET expires_at = clock_timestamp() - interval '10 minutes'")
    await connection.close()


@JUMPS
async def test_jumps_of_the_databases_clock_do_not_prolong_a_token(
    moved_url: str, database_clock: FakeClock, jump: int
) -> None:
    async with open_repository(moved_url) as repository:
        soon = datetime.now(UTC) + timedelta(seconds=1)
        credential, token = await repository.credentials.create(
            CredentialKind.TOKEN, "t", ADA, FULL_ACCESS, soon
        )
        database_clock.jump(jump)
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep((soon - datetime.now(UTC)).total_seconds() + 0.01)
        assert await repository.credentials.find(token) is None
        assert await repository.credentials.find_valid([credential.id]) == set()
