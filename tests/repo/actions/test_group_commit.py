"""Group commit: concurrent writes share a transaction, and each caller gets its own result."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from sqlalchemy import select

from repo import (
    ActionNotFound,
    ActionPhase,
    ActionRepo,
    Conflict,
    InvalidArgument,
    NewAction,
    RunIdentifier,
    open_repository,
)
from repo.sql.database import Database
from repo.tables import action_events, actions
from tests.support.making import (
    RUN,
    action,
    event,
    make_run,
    new,
)

SECONDS = 40


@pytest.fixture
async def counted(database_url: str) -> AsyncIterator[tuple[ActionRepo, Callable[[], int]]]:
    """A repository and a list with an entry for each commit."""
    commits: list[None] = []
    async with open_repository(database_url, on_commit=lambda: commits.append(None)) as repository:
        await make_run(repository)
        begun = len(commits)
        yield repository, lambda: len(commits) - begun


async def transactions(repository: ActionRepo, table: Any) -> list[int]:
    async with repository.database.read() as connection:
        return list(await connection.scalars(select(table.c.transaction_id).order_by(table.c.transaction_id)))


async def test_concurrent_inserts_share_transactions_and_each_caller_gets_its_count(
    counted: tuple[ActionRepo, Callable[[], int]],
) -> None:
    repository, commits = counted
    one, two = event(version=1), event(version=2)
    arguments = [[event(version=n)] for n in range(3, 100)] + [[one, two], [two, one], [one, one], []]
    counts = await asyncio.gather(*(repository.insert_events(batch) for batch in arguments))
    assert counts[:97] == [1] * 97
    assert sorted(counts[97:]) == [0, 0, 0, 2], "who is first has them"
    assert len(await repository.list_events(action())) == 99
    assert 1 <= commits() < 10
    assert len(set(await transactions(repository, action_events))) < 10


async def test_only_the_caller_of_a_bad_write_gets_the_error(
    counted: tuple[ActionRepo, Callable[[], int]],
) -> None:
    repository, _ = counted
    writes: list[Any] = [repository.insert_events([event(version=n)]) for n in range(20)]
    writes.insert(7, repository.insert_events([event(version=100), event("nobody")]))
    writes.insert(11, repository.insert_events([event(version=101, cluster="\0")]))
    results = await asyncio.gather(*writes, return_exceptions=True)
    assert isinstance(results[7], ActionNotFound)
    assert isinstance(results[11], InvalidArgument)
    assert [result for result in results if not isinstance(result, Exception)] == [1] * 20
    assert [x.version for x in await repository.list_events(action())] == list(range(20))


async def test_concurrent_creations_and_updates_each_get_their_own_results(
    counted: tuple[ActionRepo, Callable[[], int]],
) -> None:
    repository, commits = counted
    created = await asyncio.gather(
        *(repository.create_action(new(f"t{n % 30}", "a0")) for n in range(60)),
        repository.create_action(new("other-root")),
        repository.create_action(new("orphan", "nobody")),
        return_exceptions=True,
    )
    assert isinstance(created[60], Conflict)
    assert isinstance(created[61], ActionNotFound)
    successes = [result for result in created if not isinstance(result, BaseException)]
    assert sum(is_new for _, is_new in successes) == 30
    assert {found.name for found, _ in successes} == {f"t{n}" for n in range(30)}
    before = commits()
    phases = (ActionPhase.RUNNING, ActionPhase.SUCCEEDED, ActionPhase.RUNNING)
    applied = await asyncio.gather(
        *(repository.update_action_phase(action(f"t{n}"), phase, 1) for n in range(30) for phase in phases),
        repository.update_action_phase(action("nobody"), ActionPhase.RUNNING, 1),
        return_exceptions=True,
    )
    assert isinstance(applied[90], ActionNotFound)
    assert applied[:90] == [True, True, False] * 30, "in the order in which they came"
    assert commits() - before < 20, "of those that went with the one that failed, most went together again"


@pytest.mark.parametrize("databases", ["postgresql"], indirect=True)  # SQLite has one writer at a time
async def test_a_blocked_write_does_not_block_the_others(database_url: str, repository: ActionRepo) -> None:
    other = RunIdentifier("p", "d", "other")
    await make_run(repository)
    await repository.create_action(NewAction(action("a0", other)))
    database = Database(database_url)
    locked, leave = asyncio.Event(), asyncio.Event()

    async def hold(connection: Any) -> None:
        await connection.execute(select(actions.c.key).where(actions.c.key == action().key).with_for_update())
        locked.set()
        await leave.wait()

    try:
        async with asyncio.timeout(SECONDS):
            holding = asyncio.create_task(database.transact_on_connection(hold))
            await locked.wait()
            stuck = asyncio.create_task(repository.update_action_phase(action(), ActionPhase.RUNNING, 1))
            await asyncio.sleep(0.05)
            assert await repository.update_action_phase(action("a0", other), ActionPhase.RUNNING, 1)
            assert not stuck.done()
            leave.set()
            assert await stuck
            await holding
    finally:
        await database.close()


async def test_a_cancelled_caller_does_not_affect_the_others(
    counted: tuple[ActionRepo, Callable[[], int]],
) -> None:
    repository, _ = counted
    writes = [asyncio.create_task(repository.insert_events([event(version=n)])) for n in range(30)]
    await asyncio.sleep(0)
    for write in writes[1::2]:
        write.cancel()
    results = await asyncio.gather(*writes, return_exceptions=True)
    assert results[::2] == [1] * 15
    stored = {x.version for x in await repository.list_events(action())}
    assert stored >= set(range(0, 30, 2))


async def test_waiting_writes_are_committed_before_the_database_is_closed(database_url: str) -> None:
    async with open_repository(database_url) as repository:
        await make_run(repository)
        writes = [asyncio.create_task(repository.insert_events([event(version=n)])) for n in range(50)]
        await asyncio.sleep(0)
    assert await asyncio.gather(*writes) == [1] * 50
    async with open_repository(database_url) as repository:
        assert len(await repository.list_events(action())) == 50
        assert (await repository.get_run(RUN)).name == RUN.name
