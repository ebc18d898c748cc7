"""When a run was last reported: noted in memory, stored once a second, and seen after a silence."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy import update as sql_update

from repo import ActionPhase, ActionRepo, FrameKind, Report, RunFilter, RunIdentifier
from repo.tables import runs
from tests.support.making import RUN, action, event, make_run, update

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
OTHER = RunIdentifier("etl", "production", "nightly-2")


async def be_silent(repository: ActionRepo, since: datetime) -> None:
    """Let all runs be silent since this time."""
    await repository.database.transact_on_connection(
        lambda connection: connection.execute(sql_update(runs).values(last_reported_at=since))
    )


async def last_reported(repository: ActionRepo, run: RunIdentifier = RUN) -> Any:
    async with repository.database.read() as connection:
        return await connection.scalar(select(runs.c.last_reported_at).where(runs.c.run_key == run.key))


async def store(repository: ActionRepo) -> None:
    await repository._backend.activity.store()


async def test_a_new_run_counts_as_reported(repository: ActionRepo) -> None:
    await make_run(repository)
    assert datetime.now(UTC) - await last_reported(repository) < timedelta(minutes=1)


async def test_any_report_is_noted_and_stored(repository: ActionRepo) -> None:
    await make_run(repository, a="a0")
    reports: dict[str, Callable[[], Awaitable[Any]]] = {
        "report": lambda: repository.reports.store([Report(action("a"))]),
        "phase": lambda: repository.actions.update_phases([update("a", ActionPhase.RUNNING)]),
        "event": lambda: repository.insert_events([event("a")]),
        "state": lambda: repository.update_action_state(action("a"), "x"),
        "lease": lambda: repository.leases.renew([RUN], "one", timedelta(seconds=9)),
        "another report": lambda: repository.reports.store([Report(action("a"))]),
    }
    for name, report in reports.items():
        repository._backend.activity._noted.clear()
        await be_silent(repository, LONG_AGO)
        await report()
        await store(repository)
        assert await last_reported(repository) > LONG_AGO, name


async def test_reports_within_ten_seconds_are_noted_once(repository: ActionRepo) -> None:
    await make_run(repository)
    await store(repository)
    await be_silent(repository, LONG_AGO)
    await repository.actions.update_phases([update("a0", ActionPhase.RUNNING)])
    await store(repository)
    assert await last_reported(repository) == LONG_AGO


async def test_what_was_noted_is_stored_without_further_reports(repository: ActionRepo) -> None:
    await make_run(repository)
    repository._backend.activity._noted.clear()
    await be_silent(repository, LONG_AGO)
    await repository.actions.update_phases([update("a0", ActionPhase.RUNNING)])
    async with asyncio.timeout(20):
        while await last_reported(repository) == LONG_AGO:  # noqa: ASYNC110 - stored by a timer
            await asyncio.sleep(0.05)


async def test_a_watch_of_silent_runs_removes_one_that_renews_its_lease(repository: ActionRepo) -> None:
    await make_run(repository)
    await make_run(repository, OTHER)
    await repository.leases.renew([RUN], "one", timedelta(seconds=9))
    await store(repository)
    repository._backend.activity._noted.clear()
    await be_silent(repository, LONG_AGO)
    silent = RunFilter(silent_since=datetime.now(UTC) - timedelta(minutes=2))
    async with asyncio.timeout(40), aclosing(repository.watch_all_run_updates(silent)) as frames:
        names = set()
        async for frame in frames:
            names |= {run.name for run in frame.items}
            if frame.kind is FrameKind.SYNCED:
                break
        assert names == {"nightly-1", "nightly-2"}
        await repository.leases.renew([RUN], "one", timedelta(seconds=9))
        frame = await anext(frames)
        assert [run.name for run in frame.removed] == ["nightly-1"]
        assert frame.items == []
