"""Many writers, in one process and in several."""

import asyncio
import random
import sqlite3
import subprocess
import sys
from contextlib import closing

import asyncpg
import pytest
from sqlalchemy import event as hooks
from sqlalchemy import literal, select
from sqlalchemy.ext.asyncio import AsyncConnection

from repo import (
    ActionError,
    ActionPhase,
    ActionRepo,
    Conflict,
    ErrorKind,
    PageRequest,
    RunFilter,
    RunIdentifier,
    open_repository,
)
from repo.actions import event_rows
from repo.sql.database import Database
from repo.sql.transactions import Transaction
from repo.tables import actions
from tests.support.making import (
    RUN,
    action,
    all_events,
    at,
    event,
    make_run,
    new,
    update,
)

WRITER = """
import asyncio, sys
from repo import (ActionPhase, open_repository,)
from tests.support.making import action, event, new

async def write(repository, writer):
    for turn in range(5):
        name = f"{writer}-{turn}"
        await repository.create_action(new(name, "a0"))
        await repository.insert_events([event(name), event(name, ActionPhase.SUCCEEDED)])
        assert await repository.update_action_phase(action(name), ActionPhase.SUCCEEDED, 1)
        await repository.update_action_state(action("a0"), name)

async def main():
    async with open_repository(sys.argv[1]) as repository:
        await asyncio.gather(*(write(repository, f"{sys.argv[2]}-{i}") for i in range(8)))

asyncio.run(main())
"""


@pytest.mark.slow
async def test_three_processes_with_eight_writers_each_lose_no_writes(
    database_url: str, repository: ActionRepo
) -> None:
    await make_run(repository)
    started = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", WRITER, database_url, str(number), stderr=subprocess.PIPE
        )
        for number in range(3)
    ]
    async with asyncio.timeout(100):
        errors = [(await process.communicate())[1].decode() for process in started]
    assert errors == ["", "", ""]
    counts = (await repository.runs.count_phases([RUN.key]))[RUN.key]
    assert {count.phase: count.count for count in counts} == {
        ActionPhase.QUEUED: 1,
        ActionPhase.SUCCEEDED: 120,
    }
    page = await repository.list_actions(RUN)
    events = await all_events(repository, [x.identifier for x in page.items])
    assert sum(len(found) for found in events.values()) == 2 * (len(page.items) - 1)


async def test_readers_do_not_wait_for_a_writer(database_url: str, repository: ActionRepo) -> None:
    await make_run(repository)
    database = Database(database_url)
    inside, leave = asyncio.Event(), asyncio.Event()

    async def hold(connection: object) -> None:
        inside.set()
        await leave.wait()

    writer = asyncio.create_task(database.transact_on_connection(hold))
    try:
        async with asyncio.timeout(20):
            await inside.wait()
            assert (await repository.get_run(RUN)).phase is ActionPhase.QUEUED
            leave.set()
            await writer
    finally:
        await database.close()


async def test_cancelled_reads_and_writes_block_nothing(repository: ActionRepo) -> None:
    await make_run(repository)
    chance = random.Random(1)
    for turn in range(40):
        batch = [new(f"t{turn}-{i}", "a0") for i in range(200)]
        tasks = [
            asyncio.create_task(repository.actions.create(batch)),
            asyncio.create_task(repository.actions.create(batch[:1])),
            asyncio.create_task(repository.list_actions(RUN)),
        ]
        await asyncio.sleep(chance.random() * 0.02)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    async with asyncio.timeout(20):
        assert await repository.update_action_phase(action(), ActionPhase.RUNNING, 1)
        pages = await asyncio.gather(*(repository.list_actions(RUN, page=PageRequest(1)) for _ in range(30)))
    assert [page.items[0].phase for page in pages] == [ActionPhase.RUNNING] * 30


async def test_a_write_completes_and_notifies_after_its_caller_is_cancelled(database_url: str) -> None:
    rung: list[int] = []
    inside, leave = asyncio.Event(), asyncio.Event()
    async with asyncio.timeout(20), open_repository(database_url, on_commit=lambda: rung.append(1)) as opened:
        await make_run(opened)

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(actions.update().values(state="written"))
            inside.set()
            await leave.wait()

        writing = asyncio.create_task(opened.database.transact_on_connection(work))
        await inside.wait()
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
        leave.set()
    assert len(rung) == 2, "closing waits for what was begun"
    async with open_repository(database_url) as reopened:
        assert await reopened.get_action_state(action()) == "written"


async def test_the_error_of_the_latest_attempt_stays_when_an_earlier_one_is_reported_concurrently(
    database_url: str, repository: ActionRepo
) -> None:
    await make_run(repository)
    await repository.update_action_phase(action(), ActionPhase.FAILED, 2)
    first, second = (
        event(phase=ActionPhase.FAILED, attempt=attempt, error=ActionError(ErrorKind.USER, f"e{attempt}"))
        for attempt in (1, 2)
    )
    inside, leave = asyncio.Event(), asyncio.Event()
    database = Database(database_url)

    async def work(transaction: Transaction) -> None:
        await event_rows.insert(transaction, [await event_rows.batch_of([second], at(0))], at(0))
        inside.set()
        await leave.wait()

    try:
        async with asyncio.timeout(20):
            slow = asyncio.create_task(database.transact(work))
            await inside.wait()
            quick = asyncio.create_task(repository.insert_events([first]))
            await asyncio.wait([quick], timeout=0.3)
            leave.set()
            await asyncio.gather(slow, quick)
    finally:
        await database.close()
    assert (await repository.get_action(action())).error == ActionError(ErrorKind.USER, "e2")


async def test_batches_of_the_same_events_in_opposite_order_do_not_block_each_other(
    database_url: str, repository: ActionRepo
) -> None:
    await make_run(repository)
    failures: list[object] = []
    hooks.listen(repository.database.engine.sync_engine, "handle_error", failures.append)
    batch = [event(version=version) for version in range(9)]
    inside, leave = asyncio.Event(), asyncio.Event()
    database = Database(database_url)

    async def stop_both_in_the_middle(transaction: Transaction) -> None:
        await transaction.fetch("begin", lambda: select(literal(1)), {})
        await event_rows.insert(transaction, [await event_rows.batch_of([batch[4]], at(0))], at(0))
        inside.set()
        await leave.wait()
        raise Conflict("nothing of this stays")

    try:
        async with asyncio.timeout(20):
            middle = asyncio.create_task(database.transact(stop_both_in_the_middle))
            await inside.wait()
            both = [asyncio.create_task(repository.insert_events(x)) for x in (batch, batch[::-1])]
            await asyncio.wait(both, timeout=0.5)
            leave.set()
            with pytest.raises(Conflict):
                await middle
            assert sum(await asyncio.gather(*both)) == len(batch)
    finally:
        await database.close()
    assert failures == []


async def test_aborts_and_updates_of_many_runs_at_once_do_not_block_each_other(
    repository: ActionRepo,
) -> None:
    failures: list[object] = []
    hooks.listen(repository.database.engine.sync_engine, "handle_error", failures.append)
    runs = [RunIdentifier("p", "d", f"run-{i}") for i in range(150)]
    for run in runs:  # one by one: stored in another order than that of their keys
        await repository.create_action(new(run=run))
    running, failed, retried = (
        [update("a0", phase, attempts, run) for run in runs]
        for phase, attempts in ((ActionPhase.RUNNING, 1), (ActionPhase.FAILED, 1), (ActionPhase.QUEUED, 2))
    )
    ended = [event(phase=ActionPhase.FAILED, run=run) for run in runs]
    async with asyncio.timeout(60):
        _, _, _, _, first, second = await asyncio.gather(
            repository.actions.update_phases(running),
            repository.actions.update_phases(failed[::-1]),
            repository.actions.update_phases(retried),
            repository.insert_events(ended[::-1]),
            repository.aborts.abort_runs(RunFilter(project="p"), "first", None, dry_run=False),
            repository.aborts.abort_runs(RunFilter(domain="d"), "second", None, dry_run=False),
        )
    assert failures == []
    found = (await repository.runs.page(page=PageRequest(1000))).items
    assert len(found) == len(runs)
    aborted = [run for run in found if run.phase is ActionPhase.ABORTED]
    assert len(aborted) == first.requested + second.requested
    assert all(run.abort and run.ended_at for run in aborted)
    assert all((run.abort is None) == (run.phase is not ActionPhase.ABORTED) for run in found)
    assert all(run.attempts == 2 for run in found if run.phase is ActionPhase.QUEUED)


async def disturb(url: str) -> None:
    """Cuts all connections of PostgreSQL, or holds SQLite's lock for a second as another process might."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            await asyncio.sleep(1)
            other.execute("ROLLBACK")
        return
    connection = await asyncpg.connect(url)
    await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    await connection.close()


@pytest.mark.slow
async def test_calls_work_again_after_the_database_was_unavailable(
    database_url: str, repository: ActionRepo
) -> None:
    await make_run(repository)
    async with asyncio.timeout(40):
        for turn in range(3):
            during = [repository.create_action(new(f"t{turn}-{i}", "a0")) for i in range(20)]
            disturbed, *_ = await asyncio.gather(disturb(database_url), *during, return_exceptions=True)
            assert disturbed is None
            after = [repository.create_action(new(f"u{turn}-{i}", "a0")) for i in range(20)]
            assert [created for _, created in await asyncio.gather(*after)] == [True] * 20
            pages = await asyncio.gather(*(repository.list_actions(RUN) for _ in range(20)))
            assert len({len(page.items) for page in pages}) == 1


async def test_one_connection_is_enough_for_many_callers(database_url: str) -> None:
    async with asyncio.timeout(20), open_repository(database_url, pool_size=1) as repository:
        await make_run(repository)
        calls = [repository.create_action(new(f"t{i}", "a0")) for i in range(20)]
        reads = [repository.runs.list_projects() for _ in range(20)]
        await asyncio.gather(
            *calls, *reads, repository.aborts.abort_runs(RunFilter(), None, None, False, True)
        )
        assert await repository.actions.count(RUN) == 21


async def test_each_commit_notifies_and_a_failure_does_not(database_url: str) -> None:
    rung: list[int] = []
    async with open_repository(database_url, on_commit=lambda: rung.append(1)) as repository:
        await make_run(repository)
        await repository.insert_events([event()])
        assert len(rung) == 2
        with pytest.raises(Exception, match="there is no action"):
            await repository.insert_events([event("missing")])
        await repository.get_run(RUN)
        assert len(rung) == 2


async def test_closing_waits_for_reads_that_have_begun(database_url: str) -> None:
    async with open_repository(database_url) as repository:
        reads = [asyncio.create_task(repository.runs.count()) for _ in range(3)]
        await asyncio.sleep(0)
    assert [await asyncio.wait_for(read, 20) for read in reads] == [0, 0, 0]
    assert repository.database.connections_in_use == 0
