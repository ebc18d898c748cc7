"""Reports that arrive after a loss: from a former executor, and about actions of which none had arrived."""

import asyncio
from collections.abc import Awaitable, Callable

import asyncpg
import pytest

from repo import ActionRepo
from repo.domain.phases import LeaseState, PhaseUpdate
from repo.domain.reports import Report
from tests.repo.leases.support import P, expire, phases, renew, state_of
from tests.support.making import RUN, action, event, make_run, new, update

SECONDS = 60
Call = Callable[[ActionRepo], Awaitable[object]]


async def update_phase(repository: ActionRepo) -> object:
    return await repository.actions.update_phases([update("a", P.RUNNING)])


async def report(repository: ActionRepo) -> object:
    return await repository.reports.store([Report(action("a"), 1, PhaseUpdate(P.RUNNING, 1))])


@pytest.mark.parametrize("call", [update_phase, report])
async def test_a_late_report_of_a_former_executor_does_not_renew_the_lease_of_the_next(
    repository: ActionRepo, call: Call
) -> None:
    await make_run(repository, a="a0")
    await renew(repository)
    await expire(repository)
    (until,) = await renew(repository, executor="two")
    await call(repository)
    assert await phases(repository, "a0", "a") == [P.FAILED, P.RUNNING]
    activity = (await repository.leases.list_activity([RUN.key]))[RUN.key]
    assert (activity.lease_expires_at, await state_of(repository)) == (until, LeaseState.HELD)
    assert await expire(repository) == 1, "with the next executor, what was taken back is lost again"
    assert await phases(repository, "a0", "a") == [P.FAILED, P.FAILED]


async def is_waiting(connection: asyncpg.Connection) -> bool:
    waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    return bool(await connection.fetchval(f"{waits} AND datname = current_database()"))


@pytest.mark.parametrize("databases", ["postgresql"], indirect=True)
@pytest.mark.parametrize("call", [update_phase, report])
async def test_a_report_waits_for_a_lease_without_a_lock_on_its_action(
    repository: ActionRepo, database_url: str, call: Call
) -> None:
    """Otherwise it would deadlock with a replica that ends the lease, or an executor that renews it."""
    await make_run(repository, a="a0")
    await renew(repository)
    await expire(repository)
    async with (
        asyncpg.create_pool(database_url) as pool,
        pool.acquire() as connection,
        connection.transaction(),
    ):
        await connection.execute("SELECT 1 FROM run_leases FOR UPDATE")
        reporting = asyncio.ensure_future(call(repository))
        async with asyncio.timeout(SECONDS):
            while not await is_waiting(connection):
                assert not reporting.done()
        await connection.execute("SELECT 1 FROM actions FOR UPDATE NOWAIT")
    await reporting
    assert await phases(repository, "a0", "a") == [P.FAILED, P.RUNNING]
    assert await state_of(repository) is LeaseState.EXPIRING


async def nothing(repository: ActionRepo) -> object:
    return None


async def first_attempt(repository: ActionRepo) -> object:
    return await repository.actions.update_phases([update("b", P.RUNNING)])


async def attempt_zero(repository: ActionRepo) -> object:
    return await repository.actions.update_phases([update("b", P.RUNNING, 0)])


async def reported(repository: ActionRepo) -> object:
    return await repository.reports.store([Report(action("b"), 1, PhaseUpdate(P.RUNNING, 1))])


async def renewal(repository: ActionRepo) -> object:
    return await renew(repository)


@pytest.mark.parametrize("call", [nothing, first_attempt, attempt_zero, reported, renewal])
async def test_what_was_never_reported_is_lost_without_an_attempt(repository: ActionRepo, call: Call) -> None:
    """A placeholder: another action names it as its parent."""
    await make_run(repository)
    await repository.reports.store([Report(action("c"), details=new("c", "b"))])
    await renew(repository)
    await expire(repository)
    await call(repository)
    found = await repository.get_action(action("b"))
    attempts = (await repository.events.list_attempts([action("b")]))[action("b")]
    assert attempts == []
    if call is nothing:
        assert (found.phase, found.attempts, found.is_lost) == (P.FAILED, 0, True)
        assert found.error is not None
        assert found.error.code == "EXECUTOR_LOST"
        (of_child,) = (await repository.events.list_attempts([action("c")]))[action("c")]
        assert (of_child.attempt, of_child.phase) == (1, P.FAILED)
    else:
        phase = P.QUEUED if call is renewal else P.RUNNING
        assert (found.phase, found.is_lost, found.error) == (phase, False, None)


async def test_a_lost_attempt_zero_that_ran_is_shown_and_retried(repository: ActionRepo) -> None:
    """Some executors count attempts from 0."""
    await make_run(repository)
    start = PhaseUpdate(P.RUNNING, 0)
    await repository.reports.store([Report(action("b"), 0, start, event("b", attempt=0))])
    await renew(repository)
    await expire(repository)
    await repository.actions.update_phases([update("b", P.RUNNING, 1)])
    found = await repository.get_action(action("b"))
    assert (found.phase, found.attempts, found.error) == (P.RUNNING, 1, None)
    (attempt,) = (await repository.events.list_attempts([action("b")]))[action("b")]
    assert (attempt.attempt, attempt.phase) == (0, P.FAILED)
