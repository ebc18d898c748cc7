"""Stored phase updates."""

import asyncio

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from repo import ActionError, ActionNotFound, ActionPhase, ActionRepo, CacheStatus, ErrorKind
from repo.sql.database import Database
from repo.tables import actions
from tests.support.making import (
    RUN,
    T0,
    action,
    at,
    event,
    make_run,
    new,
    update,
)

QUEUED, RUNNING, PAUSED = ActionPhase.QUEUED, ActionPhase.RUNNING, ActionPhase.PAUSED
SUCCEEDED, FAILED = ActionPhase.SUCCEEDED, ActionPhase.FAILED


async def test_an_update_is_stored_with_its_times_and_duration(repository: ActionRepo) -> None:
    await repository.create_action(new(created_at=T0))
    assert await repository.update_action_phase(action(), RUNNING, 1, start_time=at(2))
    assert await repository.update_action_phase(action(), SUCCEEDED, 1, CacheStatus.POPULATED, at(10.0019))
    done = await repository.get_action(action())
    assert (done.phase, done.cache_status) == (SUCCEEDED, CacheStatus.POPULATED)
    assert (done.created_at, done.started_at, done.ended_at) == (T0, at(2), at(10.0019))
    assert done.duration_ms == 10001
    run = await repository.get_run(RUN)
    assert (run.phase, run.duration_ms) == (SUCCEEDED, 10001)


async def test_an_older_update_is_not_applied(repository: ActionRepo) -> None:
    await make_run(repository)
    await repository.update_action_phase(action(), FAILED, 2)
    before = await repository.get_action(action())
    assert not await repository.update_action_phase(action(), SUCCEEDED, 2)
    assert not await repository.update_action_phase(action(), RUNNING, 1)
    assert await repository.get_action(action()) == before


async def test_an_update_without_changes_does_not_write_the_row(repository: ActionRepo) -> None:
    await make_run(repository)
    await repository.update_action_phase(action(), RUNNING, 1)
    before = await repository.get_action(action())
    assert await repository.update_action_phase(action(), RUNNING, 1)
    assert await repository.get_action(action()) == before


async def test_a_retry_clears_the_end_the_duration_and_the_error(repository: ActionRepo) -> None:
    await make_run(repository)
    await repository.insert_events([event(phase=FAILED, error=ActionError(ErrorKind.USER, "no", "E1"))])
    await repository.update_action_phase(action(), FAILED, 1)
    failed = await repository.get_action(action())
    assert failed.error == ActionError(ErrorKind.USER, "no", "E1")
    assert failed.ended_at is not None
    assert await repository.update_action_phase(action(), QUEUED, 2)
    again = await repository.get_action(action())
    assert (again.ended_at, again.duration_ms, again.error, again.started_at) == (None,) * 4
    assert again.created_at == failed.created_at


async def test_updates_of_one_batch_apply_in_their_order(repository: ActionRepo) -> None:
    await make_run(repository, b="a0", c="a0")
    advanced = await repository.actions.update_phases(
        [
            update("b", RUNNING, start_time=at(1)),
            update("b", FAILED, end_time=at(2)),
            update("b", SUCCEEDED),
            update("b", RUNNING, 2, start_time=at(3)),
            update("c", RUNNING),
            update("c", QUEUED),
        ]
    )
    assert [each.applied for each in advanced] == [True, True, False, True, True, False]
    b = await repository.get_action(action("b"))
    assert (b.phase, b.attempts, b.started_at, b.ended_at) == (RUNNING, 2, at(3), None)


async def test_an_update_of_a_missing_action_rolls_back_its_batch(repository: ActionRepo) -> None:
    await make_run(repository)
    with pytest.raises(ActionNotFound, match="there is no action etl/production/nightly-1/missing"):
        await repository.actions.update_phases([update("a0", RUNNING), update("missing", RUNNING)])
    assert (await repository.get_action(action())).phase is QUEUED


async def test_revisions_only_grow(repository: ActionRepo) -> None:
    await make_run(repository)
    seen = [(await repository.get_action(action())).revision]
    await repository.update_action_phase(action(), RUNNING, 1)
    seen.append((await repository.get_action(action())).revision)
    await repository.update_action_state(action(), "x")
    seen.append((await repository.get_action(action())).revision)
    await repository.notify_state_update(action())
    seen.append((await repository.get_action(action())).revision)
    await repository.abort_action(action(), None, None)
    seen.append((await repository.get_action(action())).revision)
    assert seen == sorted(set(seen))


async def test_a_revision_grows_even_if_a_transaction_reaches_the_row_late(
    database_url: str, repository: ActionRepo
) -> None:
    """On PostgreSQL a transaction gets its id with its first write, which may be to another row."""
    await make_run(repository, b="a0")
    database = Database(database_url)
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def first_a0_and_later_b(connection: AsyncConnection) -> None:
        for name in ("a0", "b"):
            key = action(name).key
            await connection.execute(actions.update().where(actions.c.key == key).values(group="late"))
            begun.set()
            await go_on.wait()

    async with asyncio.timeout(30):
        late = asyncio.create_task(database.transact_on_connection(first_a0_and_later_b))
        await begun.wait()
        if not database.is_sqlite:  # which has one writer at a time
            await repository.update_action_phase(action("b"), RUNNING, 1)
        before = await repository.get_action(action("b"))
        go_on.set()
        await late
    await database.close()
    after = await repository.get_action(action("b"))
    assert after.group == "late"
    assert after.revision > before.revision


@pytest.mark.slow
async def test_a_batch_of_5000_updates_is_accepted(repository: ActionRepo) -> None:
    names = [f"t{i:04}" for i in range(4999)]
    await repository.actions.create([new("a0"), *(new(name, "a0") for name in names)])
    advanced = await repository.actions.update_phases([update(name, RUNNING) for name in names])
    assert all(each.applied for each in advanced)
    (count,) = [x for x in (await repository.runs.count_phases([RUN.key]))[RUN.key] if x.phase is RUNNING]
    assert count.count == 4999


async def test_batches_over_the_same_actions_do_not_block_each_other(repository: ActionRepo) -> None:
    names = [f"t{i}" for i in range(40)]
    await make_run(repository, **dict.fromkeys(names, "a0"))
    async with asyncio.timeout(60):
        await asyncio.gather(
            *(
                repository.actions.update_phases(
                    [update(name, RUNNING, turn) for name in (names if turn % 2 else reversed(names))]
                )
                for turn in range(1, 17)
            ),
            *(repository.insert_events([event(name, attempt=t) for name in names]) for t in range(1, 9)),
        )
    assert {(await repository.get_action(action(name))).attempts for name in names} == {16}
