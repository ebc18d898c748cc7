"""The log of changes: what it has, how long it is kept, and what a migration puts into it."""

from contextlib import aclosing
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, select, text

from repo import ActionPhase, ActionRepo, FrameKind, migrate, open_repository
from repo.actions import pruning
from repo.migration import upgrade
from repo.tables import action_changes, removal_horizon
from tests.repo.actions.test_removed_runs import begin, next_of
from tests.repo.sql.test_online_migrations import Older, run_sync
from tests.support.making import action, make_run, update

log = action_changes.c


async def logged(repository: ActionRepo) -> list[bytes]:
    async with repository.database.read() as connection:
        return list(await connection.scalars(select(log.key).order_by(log.transaction_id, log.key)))


async def run_again(repository: ActionRepo, *names: str, attempt: int) -> None:
    await repository.actions.update_phases([update(name, ActionPhase.RUNNING, attempt) for name in names])


async def test_each_transaction_logs_each_action_that_it_wrote_once(repository: ActionRepo) -> None:
    await make_run(repository, b="a0")
    await run_again(repository, "b", "b", "a0", attempt=2)
    await run_again(repository, "b", attempt=1)  # an old report: nothing is stored
    await repository.update_action_state(action("b"), "x")
    root, below = action("a0").key, action("b").key
    assert await logged(repository) == [*sorted([root, below]), *sorted([root, below]), below]


async def test_the_log_is_kept_for_a_week_and_the_newest_change_for_ever(
    repository: ActionRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "_MAX_EXPIRED", 2)
    await make_run(repository, b="a0")
    for attempt in range(2, 9):
        await run_again(repository, "b", attempt=attempt)
    async with (
        aclosing(repository.watch_all_run_updates()) as live,
        aclosing(repository.watch_all_action_updates(action().run)) as stream,
    ):
        old = (await begin(stream)).cursor
        await begin(live)
        await run_again(repository, "b", attempt=20)
        recent = (await next_of(stream)).cursor
        now = datetime.now(UTC)
        await repository.pruning.expire(now)
        assert len(await logged(repository)) == 10
        for attempt in range(21, 25):
            await run_again(repository, "a0", attempt=attempt)
        await repository.pruning.expire(now + timedelta(days=8))
        assert 1 <= len(await logged(repository)) <= 2
        await run_again(repository, "a0", attempt=30)
        latest = 0
        while latest < 30:
            frame = await next_of(live)
            assert frame.kind is FrameKind.CHANGE, "a stream that has read everything goes on"
            latest = frame.items[-1].attempts
    for cursor in (old, recent):
        async with aclosing(repository.watch_all_action_updates(action().run, after=cursor)) as again:
            assert (await next_of(again)).kind is FrameKind.RESYNC


@pytest.mark.parametrize("databases", ["postgresql"], indirect=True)
async def test_streams_go_on_beside_a_transaction_that_stays_open(
    repository: ActionRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as one that was prepared and forgotten, in any database of the server."""
    monkeypatch.setattr(pruning, "_MAX_EXPIRED", 2)
    await make_run(repository, b="a0")
    async with (
        aclosing(repository.watch_all_run_updates()) as live,
        repository.database.engine.connect() as other,
    ):
        await begin(live)
        await other.execute(text("SELECT pg_current_xact_id()"))
        for attempt in range(2, 9):
            await run_again(repository, "a0", attempt=attempt)
        await repository.pruning.expire(datetime.now(UTC) + timedelta(days=8))
        await run_again(repository, "a0", attempt=30)
        latest = 0
        while latest < 30:
            frame = await next_of(live)
            assert frame.kind is FrameKind.CHANGE
            latest = frame.items[-1].attempts
        await other.rollback()
        await repository.pruning.expire(datetime.now(UTC) + timedelta(days=8))
        assert len(await logged(repository)) <= 2


# SQLAlchemy cannot read the index over an expression back from SQLite.
@pytest.mark.filterwarnings("ignore:.*(expression-based index|Did not recognize type)")
@pytest.mark.parametrize(
    ("days_ago", "horizon", "in_log"),
    [((30, 10, 6, 0), 3, {3, 4}), ((30, 20), 3, {2})],
    ids=["some of it", "nothing but the newest change"],
)
async def test_a_migration_logs_what_was_written_in_the_last_week(
    empty_database_url: str, days_ago: tuple[int, ...], horizon: int, in_log: set[int]
) -> None:
    def write(connection: Connection) -> None:
        upgrade(connection, "0009")
        older = Older(connection)
        actions = older.metadata.tables["actions"]
        for number, days in enumerate(days_ago, start=1):
            values = older.values(actions, number) | {
                "run_key": bytes([number]) * 16,
                "transaction_id": number,
            }
            at = datetime.now(UTC) - timedelta(days=days)
            if connection.dialect.name == "sqlite":
                at = int(at.timestamp() * 1_000_000)  # type: ignore[assignment]
            connection.execute(actions.insert().values(values | {"updated_at": at}))

    await run_sync(empty_database_url, write)
    await migrate(empty_database_url)
    async with open_repository(empty_database_url) as repository:
        async with repository.database.read() as connection:
            assert await connection.scalar(select(removal_horizon.c.transaction_id)) == horizon
            rows = (await connection.execute(text("SELECT key, transaction_id FROM action_changes"))).all()
    assert {tuple(row) for row in rows} == {(bytes([number]) * 32, number) for number in in_log}
