"""Removing runs that ended long ago: only those, and atomically, under concurrent writes."""

import asyncio
import os
import signal
import sys
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection
from typer.testing import CliRunner

from graph.cli.main import app
from repo import (
    ActionNotFound,
    ActionPhase,
    ActionRepo,
    Pruned,
    RunIdentifier,
    RunNotFound,
    open_repository,
)
from repo.aborts import requests
from repo.actions import creation, event_rows
from repo.actions import pruning as pruning_module
from repo.sql import batches
from repo.sql.transactions import Transaction
from repo.tables import action_events, actions, removed_runs
from tests.support.making import (
    ADA,
    RUN,
    action,
    at,
    event,
    new,
    update,
)

DAYS = timedelta(days=90)
SECONDS = 30
ENDED = at(60)


def named(name: str, project: str = "etl", domain: str = "production") -> RunIdentifier:
    return RunIdentifier(project, domain, name)


async def make_ended(
    repository: ActionRepo, run: RunIdentifier = RUN, members: int = 1, ended_at: datetime = ENDED
) -> None:
    """An ended run with this number of actions below its root, each with an event."""
    names = [f"m{number}" for number in range(members)]
    await repository.actions.create(
        [new(run=run, created_at=at(0)), *(new(name, "a0", run, created_at=at(0)) for name in names)]
    )
    for first in range(0, members, 1000):
        await repository.insert_events([event(name, run=run) for name in names[first : first + 1000]])
    await repository.actions.update_phases([update("a0", ActionPhase.SUCCEEDED, run=run, end_time=ended_at)])


async def make_many(repository: ActionRepo, count: int, before: int = 0) -> None:
    """Creates ended runs with one action below the root, each created before the next, numbered from
    `start`."""
    runs = [named(f"r{before + number}") for number in range(count)]
    made = [
        each
        for number, run in enumerate(runs)
        for each in (new(run=run, created_at=at(number - count)), new("m", "a0", run))
    ]
    await repository.actions.create(made)
    await repository.actions.update_phases(
        [update("a0", ActionPhase.SUCCEEDED, run=run, end_time=at(60)) for run in runs]
    )


async def prune(repository: ActionRepo, older_than: timedelta = DAYS, **where: Any) -> Pruned:
    """The final totals."""
    async with asyncio.timeout(SECONDS):
        seen = [done async for done in repository.pruning.prune(older_than, **where)]
    return seen[-1] if seen else Pruned()


async def stored(repository: ActionRepo) -> tuple[int, int, int]:
    """The numbers of actions, events and tombstones."""
    async with repository.database.read() as connection:
        counts = [
            await connection.scalar(select(func.count()).select_from(table))
            for table in (actions, action_events, removed_runs)
        ]
    return (counts[0] or 0, counts[1] or 0, counts[2] or 0)


async def names(repository: ActionRepo) -> set[str]:
    return {run.name for run in (await repository.runs.page()).items}


async def test_runs_that_ended_long_ago_are_removed_with_all_their_rows(repository: ActionRepo) -> None:
    await make_ended(repository, named("old"), 3)
    await make_ended(repository, named("young"), 2, datetime.now(UTC) - timedelta(days=89))
    await repository.actions.create([new(run=named("still going"), created_at=at(0))])
    assert await prune(repository) == Pruned(1, 4)
    assert await names(repository) == {"young", "still going"}
    assert await stored(repository) == (4, 2, 1)
    with pytest.raises(RunNotFound):
        await repository.get_run(named("old"))
    with pytest.raises(ActionNotFound):
        await repository.get_action(action("m0", named("old")))
    assert await prune(repository) == Pruned()


async def test_a_dry_run_counts_and_removes_nothing(repository: ActionRepo) -> None:
    await make_ended(repository, named("old"), 3)
    assert await prune(repository, dry_run=True) == Pruned(1, 4)
    assert await stored(repository) == (4, 3, 0)


async def test_only_the_named_project_and_domain_are_pruned(repository: ActionRepo) -> None:
    for project in ("a", "b"):
        for domain in ("x", "y"):
            await make_ended(repository, named(f"{project}{domain}", project, domain))
    assert await prune(repository, project="a", domain="x") == Pruned(1, 2)
    assert await names(repository) == {"ay", "bx", "by"}
    assert await prune(repository, domain="y") == Pruned(2, 4)
    assert await names(repository) == {"bx"}
    assert await prune(repository, project="b") == Pruned(1, 2)


async def test_a_run_with_a_pending_abort_is_kept_until_it_is_confirmed_or_failed(
    repository: ActionRepo,
) -> None:
    for name in ("root", "member", "failed"):
        run = named(name)
        await repository.actions.create([new(run=run, created_at=at(0)), new("m", "a0", run)])
    await repository.abort_run(named("root"), None, ADA)
    await repository.abort_action(action("m", named("member")), None, ADA)
    await repository.actions.update_phases([update("a0", ActionPhase.FAILED, run=named("member"))])
    await repository.abort_run(named("failed"), None, ADA)
    await repository.mark_abort_attempt(action(run=named("failed")))
    async with repository.database.engine.begin() as connection:
        await connection.execute(text("UPDATE actions SET abort_state = 4 WHERE run_name = 'failed'"))
    assert await prune(repository, timedelta(0)) == Pruned(1, 2)
    assert await names(repository) == {"root", "member"}
    await repository.clear_abort_request(action(run=named("root")))
    assert await prune(repository, timedelta(0)) == Pruned(1, 2)


async def test_many_runs_are_removed_in_small_transactions(
    repository: ActionRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning_module, "MAX_RUNS", 4)
    monkeypatch.setattr(pruning_module, "MAX_ACTIONS", 20)
    await make_many(repository, 6)
    await make_ended(repository, named("large"), 30)
    seen = [done async for done in repository.pruning.prune(DAYS)]
    assert seen == [Pruned(4, 8), Pruned(6, 12), Pruned(7, 43)]
    async with repository.database.read() as connection:
        per_transaction = await connection.scalars(
            select(func.count())
            .select_from(removed_runs)
            .group_by(removed_runs.c.transaction_id)
            .order_by(func.count())
        )
    assert list(per_transaction) == [1, 2, 4]


async def test_long_transactions_are_followed_by_smaller_ones(
    repository: ActionRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning_module, "MAX_RUNS", 40)
    monkeypatch.setattr(pruning_module, "_LONG", 0)
    await make_many(repository, 105)
    seen = [done.runs async for done in repository.pruning.prune(DAYS)]
    assert seen == [40, 60, 70, 80, 90, 100, 105]


async def test_short_transactions_are_followed_by_larger_ones(
    repository: ActionRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning_module, "MAX_RUNS", 40)
    monkeypatch.setattr(pruning_module, "_LONG", 0)
    await make_many(repository, 150)
    seen = []
    async for done in repository.pruning.prune(DAYS):
        seen.append(done.runs)
        if done.runs == 70:
            monkeypatch.setattr(pruning_module, "_LONG", 2 * SECONDS)
    assert seen == [40, 60, 70, 90, 130, 150]


async def test_a_reader_never_sees_a_part_of_a_run(repository: ActionRepo) -> None:
    await make_ended(repository, members=3000)
    seen = set()
    done = asyncio.Event()

    async def read() -> None:
        while not done.is_set():
            seen.add(await repository.actions.count(RUN))
            await asyncio.sleep(0)

    reading = asyncio.create_task(read())
    await asyncio.sleep(0.05)
    assert await prune(repository) == Pruned(1, 3001)
    await asyncio.sleep(0.05)
    done.set()
    await reading
    assert seen == {3001, 0}


async def test_a_run_that_is_reopened_concurrently_is_kept(
    repository: ActionRepo, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run is reopened after it was found and before it is locked."""
    await make_ended(repository, named("other"))
    await repository.actions.create([new(run=RUN, created_at=at(0))])
    await repository.actions.update_phases([update("a0", ActionPhase.FAILED, end_time=at(1))])
    remove = repository.pruning.remove
    async with open_repository(database_url) as executor:

        async def reopen(keys: Any, before: Any) -> Pruned:
            assert await executor.update_action_phase(action(), ActionPhase.RUNNING, 2)
            return await remove(keys, before)

        monkeypatch.setattr(repository.pruning, "remove", reopen)
        assert await prune(repository) == Pruned(1, 2)
    assert await names(repository) == {RUN.name}


async def test_concurrent_prunings_remove_each_run_once(database_url: str) -> None:
    async with open_repository(database_url) as one, open_repository(database_url) as other:
        await make_many(one, 250)
        first, second = await asyncio.gather(prune(one), prune(other))
        assert first + second == Pruned(250, 500)
        assert await stored(one) == (0, 0, 250)


async def test_concurrent_writers_find_a_whole_run_or_none(database_url: str) -> None:
    """Late executors add actions and events and reopen runs; nothing of a removed run remains."""
    runs = [named(f"r{number}") for number in range(20)]
    async with open_repository(database_url) as repository, open_repository(database_url) as executor:
        for run in runs:
            await repository.actions.create([new(run=run, created_at=at(0)), new("m", "a0", run)])
            await repository.actions.update_phases(
                [update("a0", ActionPhase.FAILED, run=run, end_time=at(9))]
            )

        async def write(run: RunIdentifier, number: int) -> None:
            try:
                await executor.actions.create([new(f"late {number}", "m", run)])
                await executor.insert_events([event("m", run=run, version=number)])
                if number == 7:
                    await executor.update_action_phase(action(run=run), ActionPhase.RUNNING, 2)
            except (RunNotFound, ActionNotFound):
                pass

        async def keep_writing() -> None:
            for number in range(1, 9):
                await asyncio.gather(*(write(run, number) for run in runs))

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(pruning_module, "MAX_RUNS", 3)
            await asyncio.gather(keep_writing(), prune(repository))
        left = await names(repository)
        async with repository.database.read() as connection:
            whose = set(await connection.scalars(select(actions.c.run_name)))
        assert whose == left


@pytest.mark.parametrize("databases", ["postgresql"], indirect=True)
async def test_actions_added_at_the_last_moment_are_removed_with_the_run(repository: ActionRepo) -> None:
    """The removal waits for the executor's open transaction."""
    await make_ended(repository)
    added = asyncio.Event()
    commit = asyncio.Event()

    async def add(transaction: Transaction) -> None:
        await creation.create(transaction, [[new("late", "m0")]], datetime.now(UTC))
        added.set()
        await commit.wait()

    adding = asyncio.create_task(repository.database.transact(add))
    await added.wait()
    pruning = asyncio.create_task(prune(repository))
    try:
        await asyncio.sleep(0.2)
        assert not pruning.done()
    finally:
        commit.set()
        await adding
    assert await pruning == Pruned(1, 3)
    assert await stored(repository) == (0, 0, 1)


@pytest.mark.parametrize("databases", ["postgresql"], indirect=True)
async def test_an_abort_requested_at_the_last_moment_keeps_its_run(repository: ActionRepo) -> None:
    """The removal waits for its open transaction."""
    await make_ended(repository)
    requested, commit = asyncio.Event(), asyncio.Event()

    async def ask(connection: AsyncConnection) -> None:
        assert await requests.request(
            connection, requests.is_action(action("m0")), None, ADA, datetime.now(UTC)
        )
        requested.set()
        await commit.wait()

    asking = asyncio.create_task(repository.database.transact_on_connection(ask))
    await requested.wait()
    removing = asyncio.create_task(prune(repository))
    try:
        await asyncio.sleep(0.2)
        assert not removing.done()
    finally:
        commit.set()
        await asking
    assert await removing == Pruned()
    assert await stored(repository) == (2, 1, 0)


@pytest.mark.parametrize("databases", ["postgresql"], indirect=True)
async def test_an_event_of_a_run_that_was_just_removed_is_rejected(repository: ActionRepo) -> None:
    """The action is removed after it was found."""
    await make_ended(repository)
    insert = batches.insert_new

    async def insert_late(*arguments: Any) -> list[tuple[Any, ...]]:
        await prune(repository)
        return await insert(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(event_rows, "insert_new", insert_late)
        with pytest.raises(ActionNotFound, match="just removed"):
            await repository.insert_events([event("m0", version=version) for version in range(5, 1500)])


@pytest.mark.slow
async def test_pruning_continues_after_kill_9(database_url: str) -> None:
    """Every intermediate state has whole runs only."""
    async with open_repository(database_url) as repository:
        environment = {**os.environ, "RUNGRAPH_DATABASE_URL": database_url}
        command = [str(Path(sys.executable).parent / "rungraph"), "prune", "--older-than", "90d"]
        for turn in range(1, 6):
            await make_many(repository, 600, before=600 * (turn - 1))
            killed = await asyncio.create_subprocess_exec(
                *command, env=environment, stderr=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
            )
            async with asyncio.timeout(SECONDS):
                assert killed.stderr is not None
                assert await killed.stderr.readline() == b"removed 100 runs with 200 actions\n"
                with suppress(ProcessLookupError):
                    killed.send_signal(signal.SIGKILL)
                await killed.communicate()
            left = await repository.runs.count()
            if left:  # where we stalled, it has come to its end before
                break
        assert 0 < left < 600
        assert await stored(repository) == (2 * left, 0, 600 * turn - left)
        again = await asyncio.create_subprocess_exec(
            *command, env=environment, stderr=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        async with asyncio.timeout(SECONDS):
            output, progress = await again.communicate()
        assert (again.returncode, output.decode()) == (0, f"removed {left} runs with {2 * left:,} actions\n")
        assert progress.decode().splitlines()[-1] == output.decode().strip()
        assert await stored(repository) == (0, 0, 600 * turn)


@pytest.mark.parametrize("value", ["90", "-1d", "1.5h", "3m", ""])
def test_an_invalid_age_is_rejected(value: str) -> None:
    result = CliRunner().invoke(app, ["prune", "--older-than", value])
    assert (result.exit_code, result.stderr) == (
        2,
        "rungraph: --older-than must be a number of hours, days or weeks, such as 12h, 90d or 26w\n",
    )


def test_pruning_an_unmigrated_database_says_to_migrate(tmp_path: Path) -> None:
    environment = {"RUNGRAPH_DATABASE_URL": f"sqlite:///{tmp_path / 'new.db'}"}
    result = CliRunner().invoke(app, ["prune", "--older-than", "90d"], env=environment)
    assert result.exit_code == 1
    assert result.stderr.endswith("run rungraph migrate\n")
