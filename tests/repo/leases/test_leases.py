"""Leases of executors: renewals, losses, and the return of an executor, in any order."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy import update as sql_update
from sqlalchemy.ext.asyncio import AsyncConnection

from repo import (
    ActionError,
    ActionRepo,
    CacheStatus,
    Conflict,
    ErrorKind,
    Forbidden,
    Grant,
    InvalidArgument,
    Role,
    RunFilter,
    RunIdentifier,
    RunNotFound,
    open_repository,
)
from repo.domain.authorization import Access
from repo.domain.models import Progress
from repo.domain.phases import LeaseState, PhaseUpdate
from repo.domain.reports import Report
from repo.leases import expiry as expiry_module
from repo.leases import renewal as renewal_module
from repo.leases.expiry import LeaseExpiry, end_leases
from repo.tables import action_changes, run_leases
from tests.repo.leases.support import OTHER, TTL, P, expire, phases, renew, state_of
from tests.support.making import RUN, action, at, event, make_run, new, update


async def count_changes(repository: ActionRepo) -> int:
    async with repository.database.read() as connection:
        return await connection.scalar(select(func.count()).select_from(action_changes)) or 0


async def test_a_renewal_sets_the_executor_once_and_then_changes_no_run(repository: ActionRepo) -> None:
    await make_run(repository, a="a0")
    before = await repository.get_run(RUN)
    (first,) = await renew(repository)
    named = await repository.get_run(RUN)
    assert (before.executor, named.executor) == (None, "one")
    changes = await count_changes(repository)
    (second,) = await renew(repository)
    assert second > first > datetime.now(UTC)
    assert await repository.get_run(RUN) == named
    assert await count_changes(repository) == changes


async def test_only_the_first_renewal_notifies_subscribers(database_url: str) -> None:
    commits: list[None] = []
    async with open_repository(database_url, on_commit=lambda: commits.append(None)) as repository:
        await make_run(repository)
        await renew(repository)
        count = len(commits)
        for _ in range(3):
            await renew(repository)
        assert len(commits) == count
        await renew(repository, executor="one")


async def test_each_run_of_a_renewal_has_its_own_error(repository: ActionRepo) -> None:
    await make_run(repository)
    await make_run(repository, OTHER)
    await renew(repository, OTHER, executor="two")
    unknown, foreign = (
        RunIdentifier("etl", "production", "none"),
        RunIdentifier("secret", "production", "nightly-1"),
    )
    writer = repository.on_behalf_of(Access(frozenset({Grant(Role.WRITER, "etl")})))
    time, *errors = await renew(writer, RUN, unknown, OTHER, foreign, RUN)
    assert isinstance(time, datetime)
    assert errors == [RunNotFound, Conflict, Forbidden, time]
    viewer = repository.on_behalf_of(Access(frozenset({Grant(Role.VIEWER)})))
    assert await renew(viewer, RUN) == [Forbidden]
    (conflict,) = await repository.leases.renew([OTHER], "one", TTL)
    assert "the executor two holds the lease of run etl/production/nightly-2 until" in str(conflict.error)


@pytest.mark.parametrize(
    ("runs", "executor", "ttl", "message"),
    [
        (1001, "one", 30, "at most 1000 runs"),
        (1, "one", 0, "lasts 1 to 86400 s, not 0"),
        (1, "one", 86401, "not 86401"),
        (1, "", 30, "executor must not be empty"),
        (1, "a\n", 30, "unprintable"),
    ],
)
async def test_invalid_renewals_are_rejected(
    repository: ActionRepo, runs: int, executor: str, ttl: int, message: str
) -> None:
    with pytest.raises(InvalidArgument, match=message):
        await repository.leases.renew([RUN] * runs, executor, timedelta(seconds=ttl))


async def test_an_expired_lease_ends_what_is_open_and_keeps_the_rest(repository: ActionRepo) -> None:
    await make_run(repository, a="a0", b="a0", c="b")
    await repository.actions.update_phases(
        [
            update("a0", P.RUNNING, start_time=at(1)),
            update("a", P.SUCCEEDED, end_time=at(5)),
            update("b", P.RUNNING, 3, cache_status=CacheStatus.MISS, start_time=at(2)),
        ]
    )
    (expires_at,) = await renew(repository)
    assert await expire(repository) == 1
    assert await expire(repository) == 0
    assert await phases(repository, "a0", "a", "b", "c") == [P.FAILED, P.SUCCEEDED, P.FAILED, P.FAILED]
    lost = await repository.get_action(action("b"))
    assert lost.is_lost
    assert lost.lost_phase is P.RUNNING
    assert (lost.attempts, lost.cache_status, lost.started_at) == (3, CacheStatus.MISS, at(2))
    assert lost.error is not None
    assert (lost.error.kind, lost.error.code) == (ErrorKind.SYSTEM, "EXECUTOR_LOST")
    assert lost.error.message.startswith("the executor one has been silent since ")
    (loss,) = await repository.list_events(action("b"))
    assert (loss.attempt, loss.phase, loss.version, loss.error) == (3, P.FAILED, -1, lost.error)
    assert lost.ended_at == loss.occurred_at < expires_at
    assert await repository.events.get_latest([(action("b"), 3)]) == {}
    (attempt,) = (await repository.events.list_attempts([action("b")]))[action("b")]
    assert (attempt.phase, attempt.error, attempt.ended_at) == (P.FAILED, lost.error, lost.ended_at)
    assert not (await repository.get_action(action("a"))).is_lost


async def test_what_is_open_in_a_run_whose_root_ended_is_lost_too(repository: ActionRepo) -> None:
    await make_run(repository, a="a0", b="a")
    await make_run(repository, OTHER)
    await renew(repository, RUN, OTHER)
    ended = [update("a0", P.SUCCEEDED), update("b", P.SUCCEEDED), update("a0", P.SUCCEEDED, run=OTHER)]
    await repository.actions.update_phases(ended)
    root = await repository.get_action(action())
    assert await expire(repository, RUN, OTHER) == 1, "nothing was open in the other run"
    assert await phases(repository, "a0", "a", "b") == [P.SUCCEEDED, P.FAILED, P.SUCCEEDED]
    assert await repository.get_action(action()) == root
    assert (await repository.get_action(action("a"))).is_lost
    assert await state_of(repository) is await state_of(repository, OTHER) is LeaseState.EXPIRED
    await repository.actions.update_phases([update("a", P.SUCCEEDED)])
    assert await phases(repository, "a0", "a") == [P.SUCCEEDED, P.SUCCEEDED], "provisionally"


async def test_a_renewal_takes_back_what_was_lost_below_a_root_that_ended(repository: ActionRepo) -> None:
    await make_run(repository, a="a0")
    await renew(repository)
    await repository.actions.update_phases([update("a0", P.FAILED), update("a", P.RUNNING)])
    await expire(repository)
    await renew(repository)
    assert await phases(repository, "a0", "a") == [P.FAILED, P.RUNNING]


REPORTS: dict[str, Callable[[], tuple[Any, PhaseUpdate]]] = {
    "the same phase": lambda: update("b", P.RUNNING, 2),
    "its end": lambda: update("b", P.SUCCEEDED, 2, end_time=at(30)),
    "a failure": lambda: update("b", P.FAILED, 2, end_time=at(30)),
    "an earlier phase": lambda: update("b", P.QUEUED, 2),
    "an earlier start": lambda: update("b", P.RUNNING, 2, start_time=at(1)),
}


@pytest.mark.parametrize("name", REPORTS)
async def test_a_report_of_the_same_attempt_takes_a_loss_back(repository: ActionRepo, name: str) -> None:
    """Afterwards the action is as if its executor had never been lost."""
    report = REPORTS[name]()
    found = []
    for run in (RUN, OTHER):
        await make_run(repository, run, b="a0")
        failure = event("b", P.FAILED, 1, 4, run, error=ActionError(ErrorKind.USER, "1"))
        await repository.insert_events([failure])
        await repository.actions.update_phases(
            [update("b", P.RUNNING, 2, run, start_time=at(2), occurred_at=at(2))]
        )
        await renew(repository, run)
        if run is RUN:
            await expire(repository)
        of_run = action("b", run)
        ((result),) = await repository.actions.update_phases([(of_run, report[1])])
        stored = await repository.get_action(of_run)
        attempts = (await repository.events.list_attempts([of_run]))[of_run]
        times = (stored.started_at, report[1].phase.is_terminal and stored.ended_at)
        history = [replace(each, action=action()) for each in attempts]
        found.append((result.applied, stored.phase, stored.error, stored.is_lost, times, history))
    assert found[0] == found[1]
    loss, returned = sorted(
        (each for each in await repository.list_events(action("b")) if each.version < 0),
        key=lambda each: each.created_at,
    )
    assert (loss.phase, loss.version) == (P.FAILED, -1)
    assert (returned.phase, returned.version, returned.attempt) == (P.RUNNING, -1, 2)
    assert returned.info == {"message": "the executor reported again"}
    assert await state_of(repository) is LeaseState.EXPIRING, "it has another term"


@pytest.mark.parametrize("what", ["phase", "progress"])
async def test_anything_in_a_report_takes_a_loss_back(repository: ActionRepo, what: str) -> None:
    await make_run(repository, b="a0")
    await repository.actions.update_phases([update("b", P.RUNNING, start_time=at(1))])
    await renew(repository)
    await expire(repository)
    end = PhaseUpdate(P.SUCCEEDED, 1, end_time=at(9)) if what == "phase" else None
    progress = Progress(1, 2, None, at(5)) if what == "progress" else None
    (result,) = await repository.reports.store([Report(action("b"), 1, end, progress=progress)])
    assert (result.applied, result.changed, result.error) == (True, True, None)
    found = await repository.get_action(action("b"))
    expected = P.SUCCEEDED if what == "phase" else P.RUNNING
    assert (found.phase, found.error, found.is_lost, found.started_at) == (expected, None, False, at(1))
    versions = [(each.phase, each.version) for each in await repository.list_events(action("b"))]
    assert sorted(versions) == [(P.RUNNING, -1), (P.FAILED, -1)]
    assert (await repository.get_action(action())).is_lost, "only what was reported"


async def test_a_renewal_takes_all_losses_back(
    repository: ActionRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renewal_module, "MAX_RETURNED", 2)
    await make_run(repository, a="a0", b="a0", c="b", d="a0")
    await repository.actions.update_phases([update("d", P.FAILED), update("b", P.PAUSED, occurred_at=at(3))])
    before = await repository.list_actions(RUN)
    await renew(repository)
    await expire(repository)
    assert await state_of(repository) is LeaseState.EXPIRED
    await renew(repository)
    assert await state_of(repository) is LeaseState.HELD
    after = await repository.list_actions(RUN)
    changed = {"updated_at", "revision", "executor"}
    for one, other in zip(before.items, after.items, strict=True):
        for name in one.__slots__ if hasattr(one, "__slots__") else ():
            assert name in changed or getattr(one, name) == getattr(other, name), name
    assert [each.phase for each in after.items] == [each.phase for each in before.items]
    assert not any(each.is_lost or each.error for each in after.items)
    assert (await repository.events.list_attempts([action("b")]))[action("b")] == []


@pytest.mark.parametrize("is_mutation_of_phases", [True, False])
async def test_a_renewal_after_a_report_takes_back_what_is_still_lost(
    repository: ActionRepo, is_mutation_of_phases: bool
) -> None:
    await make_run(repository, a="a0", b="a0")
    await renew(repository)
    await expire(repository)
    if is_mutation_of_phases:
        await repository.actions.update_phases([update("a", P.RUNNING)])
    else:
        await repository.reports.store([Report(action("a"), 1, PhaseUpdate(P.RUNNING, 1))])
    assert await phases(repository, "a0", "a", "b") == [P.FAILED, P.RUNNING, P.FAILED]
    assert await renew(repository, executor="two") == [Conflict], "the report gave another term"
    await renew(repository)
    assert await phases(repository, "a0", "a", "b") == [P.QUEUED, P.RUNNING, P.QUEUED]
    assert await state_of(repository) is LeaseState.HELD
    assert await expire(repository) == 1
    assert await phases(repository, "a0", "a", "b") == [P.FAILED] * 3


async def test_a_late_report_to_another_executor_takes_back_nothing_else(repository: ActionRepo) -> None:
    await make_run(repository, a="a0", b="a0")
    await renew(repository)
    await expire(repository)
    await renew(repository, executor="two")
    await repository.reports.store([Report(action("a"), 1, PhaseUpdate(P.RUNNING, 1))])
    await renew(repository, executor="two")
    assert await phases(repository, "a0", "a", "b") == [P.FAILED, P.RUNNING, P.FAILED]


async def test_an_executor_can_be_lost_many_times(repository: ActionRepo) -> None:
    await make_run(repository)
    for number in range(1, 4):
        await renew(repository)
        await expire(repository)
        events = await repository.list_events(action())
        assert min(each.version for each in events) == -number
        assert (await repository.get_action(action())).is_lost
    await repository.actions.update_phases([update("a0", P.SUCCEEDED)])
    found = await repository.get_action(action())
    assert (found.phase, found.error, found.is_lost) == (P.SUCCEEDED, None, False)
    assert (await repository.events.list_attempts([action()]))[action()] == []


async def test_a_higher_attempt_reopens_what_was_lost(repository: ActionRepo) -> None:
    await make_run(repository, b="a0")
    await renew(repository)
    await expire(repository)
    await repository.actions.update_phases([update("b", P.RUNNING, 2)])
    found = await repository.get_action(action("b"))
    assert (found.phase, found.attempts, found.error, found.is_lost) == (P.RUNNING, 2, None, False)
    late = await repository.actions.update_phases([update("b", P.SUCCEEDED, 1)])
    assert not late[0].applied
    (first,) = (await repository.events.list_attempts([action("b")]))[action("b")]
    assert (first.attempt, first.phase) == (1, P.FAILED)


async def test_another_executor_takes_over_after_an_expiry_only(repository: ActionRepo) -> None:
    await make_run(repository)
    await renew(repository)
    assert await renew(repository, executor="two") == [Conflict]
    await expire(repository)
    assert isinstance((await renew(repository, executor="two"))[0], datetime)
    run = await repository.get_run(RUN)
    assert (run.executor, run.phase, run.is_lost) == ("two", P.FAILED, True), "what was lost stays lost"
    assert await renew(repository, executor="one") == [Conflict]


async def test_a_first_renewal_by_two_executors_has_one_winner(repository: ActionRepo) -> None:
    runs = [RunIdentifier("p", "d", f"r{number}") for number in range(20)]
    await repository.actions.create([new(run=run) for run in runs])
    results = await asyncio.gather(
        *(renew(repository, *runs[::step], executor=f"e{step}") for step in (1, -1))
    )
    for one, other in zip(results[0], results[1][::-1], strict=True):
        assert (one is Conflict) != (other is Conflict)


async def test_a_large_run_is_lost_in_parts_its_root_last(
    repository: ActionRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expiry_module, "MAX_ACTIONS", 10)
    await repository.actions.create([new(), *(new(f"c{number}", "a0") for number in range(25))])
    await make_run(repository, OTHER)
    await renew(repository, RUN, OTHER)

    async def end() -> tuple[int, bool]:
        return await repository.database.transact(
            lambda transaction: end_leases(transaction, [RUN.key], datetime.now(UTC))
        )

    await expire(repository, OTHER)
    past = {"expires_at": datetime.now(UTC)}
    await repository.database.transact_on_connection(
        lambda connection: connection.execute(sql_update(run_leases).values(past))
    )
    roots = []
    while not (await end())[1]:
        roots += await phases(repository, "a0")
        assert await state_of(repository) is LeaseState.EXPIRING
    assert roots == [P.QUEUED, P.QUEUED]
    counts = await repository.runs.count_phases([RUN.key])
    assert [(each.phase, each.count) for each in counts[RUN.key]] == [(P.FAILED, 26)]


async def test_a_replica_waits_for_the_length_of_a_lease_before_it_ends_one(
    repository: ActionRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After its start, after it was stopped, and after a jump of the clock."""
    now = 1000.0
    monkeypatch.setattr("repo.leases.expiry.time.monotonic", lambda: now)
    monkeypatch.setattr(expiry_module, "MAX_GAP", 5.0)
    await make_run(repository)
    await repository.leases.renew([RUN], "one", timedelta(seconds=3))
    await repository.database.transact_on_connection(
        lambda connection: connection.execute(
            sql_update(run_leases).values(expires_at=datetime.now(UTC) - TTL)
        )
    )
    expiry = LeaseExpiry(repository.database)
    for passed in (0, 1, 1, 60, 1, 1):
        now += passed
        await expiry.poll()
        assert not (await repository.get_run(RUN)).is_lost
        if now == 1062:
            await repository.database.invalidate_positions()
    assert expiry.expired == 0
    for _ in range(3):
        now += 1
        await expiry.poll()
    assert (await repository.get_run(RUN)).is_lost
    assert expiry.expired == 1


async def test_long_leases_that_must_wait_do_not_hide_short_ones(
    repository: ActionRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr("repo.leases.expiry.time.monotonic", lambda: now)
    monkeypatch.setattr(expiry_module, "MAX_GAP", 5.0)
    monkeypatch.setattr(expiry_module, "_MAX_POLLED", 2)
    long = [RunIdentifier("p", "d", f"long{number}") for number in range(2)]
    await repository.actions.create([new(run=run) for run in (RUN, *long)])
    for runs, ttl, ago in ((long, timedelta(days=1), 2), ([RUN], timedelta(seconds=1), 1)):
        await repository.leases.renew(runs, "one", ttl)
        mine = run_leases.c.run_key.in_([run.key for run in runs])
        past = datetime.now(UTC) - timedelta(hours=ago)
        change = sql_update(run_leases).where(mine).values(expires_at=past)
        await repository.database.transact_on_connection(partial(AsyncConnection.execute, statement=change))
    expiry = LeaseExpiry(repository.database)
    await expiry.poll()
    now += 1
    await expiry.poll()
    assert (await repository.get_run(RUN)).is_lost
    assert not (await repository.get_run(long[0])).is_lost


async def test_two_replicas_expire_a_lease_once(database_url: str) -> None:
    runs = [RunIdentifier("p", "d", f"r{number}") for number in range(60)]
    async with open_repository(database_url) as one, open_repository(database_url) as other:
        await one.actions.create([new(run=run) for run in runs])
        await one.leases.renew(runs, "one", TTL)
        ended = await asyncio.gather(expire(one, *runs), expire(other, *runs))
        assert sum(ended) == 60
        events = await asyncio.gather(*(one.list_events(action(run=run)) for run in runs))
        assert [len(each) for each in events] == [1] * 60


@pytest.mark.parametrize("seed", range(6))
async def test_losses_at_any_time_leave_no_trace_but_their_events(repository: ActionRepo, seed: int) -> None:
    """Reports in a random order with losses and returns in between end as the same reports without any."""
    chance = Random(seed)
    reports: list[Any] = []
    for name in ("a", "b"):
        start = chance.randrange(5)
        reports += [
            update(name, P.RUNNING, 1, start_time=at(start), occurred_at=at(start)),
            update(name, P.PAUSED, 1, occurred_at=at(start + 3)),
            update(name, P.RUNNING, 1, start_time=at(start), occurred_at=at(start + 5)),
            update(name, P.FAILED, 1, end_time=at(9)),
            update(name, P.RUNNING, 2, start_time=at(12), occurred_at=at(12)),
            update(name, chance.choice([P.SUCCEEDED, P.FAILED]), 2, end_time=at(20)),
        ]
        error = ActionError(ErrorKind.USER, "of 1")
        reports.append([event(name, P.FAILED, 1, 9, error=error), event(name, P.RUNNING, 2, 12)])
    chance.shuffle(reports)
    found = []
    for run in (RUN, OTHER):
        await make_run(repository, run, a="a0", b="a0")
        await renew(repository, run)
        for report in reports:
            if run is RUN and chance.random() < 0.4:
                await expire(repository)
                if chance.random() < 0.4:
                    await renew(repository)
            if isinstance(report, list):
                for each in report:
                    each.action = action(each.action.name, run)
                await repository.insert_events(report)
            else:
                await repository.actions.update_phases([(action(report[0].name, run), report[1])])
        await renew(repository, run)
        for name in ("a", "b"):
            of_it = action(name, run)
            stored = await repository.get_action(of_it)
            history = [
                replace(each, action=action(name))
                for each in (await repository.events.list_attempts([of_it]))[of_it]
            ]
            state = (stored.phase, stored.attempts, stored.error, stored.is_lost)
            found.append((*state, stored.started_at, stored.ended_at, history))
    assert found[:2] == found[2:]


async def test_filters_find_runs_by_executor_and_by_silence(repository: ActionRepo) -> None:
    await make_run(repository)
    await make_run(repository, OTHER)
    await renew(repository)

    async def count(**filter: Any) -> int:
        return await repository.runs.count(RunFilter(**filter))

    assert [await count(executor=name) for name in ("one", "two")] == [1, 0]
    soon = datetime.now(UTC) + timedelta(minutes=1)
    assert await count(silent_since=soon) == 2
    assert await count(silent_since=datetime.now(UTC) - timedelta(minutes=1)) == 0
    await repository.actions.update_phases([update("a0", P.SUCCEEDED)])
    assert await count(silent_since=soon) == 1


async def test_leases_are_removed_with_their_runs(repository: ActionRepo) -> None:
    await repository.actions.create([new(created_at=at(0))])
    await renew(repository)
    await repository.actions.update_phases([update("a0", P.SUCCEEDED, end_time=at(1))])
    async for _ in repository.pruning.prune(timedelta(days=1)):
        pass
    assert await state_of(repository) is None
    assert await renew(repository) == [RunNotFound]
