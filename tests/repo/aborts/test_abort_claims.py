"""Leases of aborts: by the database's clock, one replica at a time drives an abort until it is confirmed or
failed."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from repo import (
    Abort,
    AbortState,
    Action,
    ActionIdentifier,
    ActionNotFound,
    ActionPhase,
    ActionRepo,
    RunIdentifier,
    open_repository,
)
from repo.aborts import claims as claims_module
from repo.aborts.claims import MAX_DELAY, retry_delay
from repo.tables import actions
from tests.support.making import (
    ADA,
    RUN,
    action,
    make_run,
    new,
)
from tests.support.statements import recorded

MINUTE, NO_TIME, SHORT = timedelta(minutes=1), timedelta(0), timedelta(seconds=0.2)
FIRST, SECOND = "one replica", "another replica"
SECONDS = 40
FAILED, REQUESTED, RETRYING = AbortState.FAILED, AbortState.REQUESTED, AbortState.RETRYING


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Failed attempts are due again immediately."""
    monkeypatch.setattr(claims_module, "retry_delay", lambda attempts: NO_TIME)


async def make_aborts(repository: ActionRepo, count: int, project: str = "etl") -> list[ActionIdentifier]:
    """Creates runs with pending aborts; returns their roots."""
    runs = [RunIdentifier(project, "production", f"run-{number:03}") for number in range(count)]
    assert await repository.actions.create([new(run=run) for run in runs]) == count
    for run in runs:
        assert await repository.abort_run(run, "why", ADA)
    return [action(run=run) for run in runs]


async def abort_of(repository: ActionRepo, id: ActionIdentifier) -> Abort:
    abort = (await repository.get_action(id)).abort
    assert abort is not None
    return abort


async def take(
    repository: ActionRepo, lease: str = FIRST, duration: timedelta = MINUTE, limit: int = 100, most: int = 10
) -> Sequence[Action]:
    return (await repository.aborts.claim(lease, duration, limit, most)).aborts


def ids(found: Sequence[Action]) -> list[ActionIdentifier]:
    return [one.identifier for one in found]


async def test_claiming_counts_an_attempt_and_excludes_other_replicas(repository: ActionRepo) -> None:
    made = await make_aborts(repository, 3)
    taken = await take(repository, limit=2)
    assert ids(taken) == made[:2]
    for one in taken:
        assert (one.abort_state, one.abort_attempt_count, one.abort_next_attempt_at) == (RETRYING, 1, None)
        assert one == await repository.get_action(one.identifier)
    assert ids(await take(repository, SECOND)) == made[2:]
    assert await take(repository, SECOND) == await take(repository, FIRST) == []


async def test_another_replica_takes_over_an_expired_claim(repository: ActionRepo) -> None:
    (made,) = await make_aborts(repository, 1)
    assert ids(await take(repository, duration=SHORT)) == [made]
    async with asyncio.timeout(SECONDS):
        while not (taken := await take(repository, SECOND, duration=SHORT)):  # noqa: ASYNC110 - no event of it
            await asyncio.sleep(0.02)
    assert [one.abort_attempt_count for one in taken] == [2]
    # The result of the first claim is too late.
    assert await repository.aborts.record_failure(made, FIRST, "late", 10) is None
    assert (await abort_of(repository, made)).last_error is None
    assert await take(repository, FIRST) == []
    assert await repository.aborts.record_failure(made, SECOND, "no answer", 10) is RETRYING


async def test_concurrent_claims_get_different_aborts(repository: ActionRepo, database_url: str) -> None:
    made = await make_aborts(repository, 60)
    async with open_repository(database_url) as other, asyncio.timeout(SECONDS):

        async def take_all(number: int) -> list[ActionIdentifier]:
            found: list[ActionIdentifier] = []
            while some := await take((repository, other)[number % 2], f"taker {number}", limit=4):
                found += ids(some)
            return found

        found = await asyncio.gather(*(take_all(number) for number in range(8)))
    taken = [one for some in found for one in some]
    assert sorted(map(str, taken)) == sorted(map(str, made))
    assert {(await abort_of(repository, one)).attempt_count for one in made} == {1}


@pytest.mark.parametrize("hours", [-5, 5])
async def test_a_replica_with_a_wrong_clock_claims_by_the_databases_clock(
    repository: ActionRepo, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    monkeypatch.setattr("repo.aborts.aborts.utc_now", lambda: datetime.now(UTC) + timedelta(hours=hours))
    monkeypatch.setattr(claims_module, "retry_delay", lambda attempts: MINUTE)
    held, failed, sent_abort = await make_aborts(repository, 3)
    assert ids(await take(repository, limit=1)) == [held]
    assert ids(await take(repository, limit=1)) == [failed]
    assert await repository.aborts.record_failure(failed, FIRST, "no", 10) is RETRYING
    assert ids((await repository.aborts.resend([(None, None)], 1, 10)).aborts) == [sent_abort]
    assert await take(repository, SECOND) == []
    for one in (failed, sent_abort):
        due = (await abort_of(repository, one)).next_attempt_at
        assert due is not None
        assert abs(due - datetime.now(UTC) - MINUTE) < timedelta(seconds=10)
    monkeypatch.setattr("repo.aborts.aborts.utc_now", lambda: datetime.now(UTC) - timedelta(hours=hours))
    assert await take(repository, SECOND) == []


def test_retry_delays_are_random_and_grow_up_to_five_minutes() -> None:
    for attempts in (*range(1, 30), 1000):
        longest = min(2.0 ** (attempts - 1), 300.0)
        pauses = [retry_delay(attempts).total_seconds() for _ in range(200)]
        assert all(0 <= pause <= longest for pause in pauses)
        assert max(pauses) > longest * 0.8
        assert min(pauses) < longest * 0.2
    assert MAX_DELAY == timedelta(minutes=5)


async def test_a_failure_is_stored_with_the_time_of_the_next_attempt(
    repository: ActionRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims_module, "retry_delay", lambda attempts: attempts * MINUTE)
    (made,) = await make_aborts(repository, 1)
    assert ids(await take(repository)) == [made]
    assert await repository.aborts.record_failure(made, FIRST, "it answered 500", 10) is RETRYING
    abort = await abort_of(repository, made)
    assert (abort.state, abort.attempt_count, abort.last_error) == (RETRYING, 1, "it answered 500")
    assert abort.next_attempt_at is not None
    assert abs(abort.next_attempt_at - datetime.now(UTC) - MINUTE) < timedelta(seconds=10)
    # After the failure is recorded, no replica holds it, and it is not due yet.
    assert await take(repository, SECOND) == []
    assert await repository.aborts.record_failure(made, FIRST, "again", 10) is None
    assert await abort_of(repository, made) == abort


async def test_an_abort_fails_after_its_attempts_and_can_be_retried(
    repository: ActionRepo, no_pauses: None
) -> None:
    (made,) = await make_aborts(repository, 1)
    for attempt in (1, 2, 3):
        assert [one.abort_attempt_count for one in await take(repository, most=3)] == [attempt]
        state = await repository.aborts.record_failure(made, FIRST, f"error {attempt}", 3)
        assert state is (FAILED if attempt == 3 else RETRYING)
    abort = await abort_of(repository, made)
    assert (abort.state, abort.last_error, abort.next_attempt_at) == (FAILED, "error 3", None)
    assert await take(repository, most=3) == []
    assert ids(await repository.list_pending_aborts()) == [made]
    assert (await repository.aborts.metrics()).pending == 0

    assert await repository.aborts.retry(made)
    again = await abort_of(repository, made)
    assert (again.state, again.attempt_count, again.requested_by) == (REQUESTED, 0, ADA)
    assert not await repository.aborts.retry(made)
    assert [one.abort_attempt_count for one in await take(repository, most=3)] == [1]


async def test_only_failed_aborts_can_be_retried(repository: ActionRepo) -> None:
    await make_run(repository)
    assert not await repository.aborts.retry(action())
    await repository.abort_run(RUN, None, ADA)
    before = await repository.get_run(RUN)
    assert not await repository.aborts.retry(action())
    assert await repository.get_run(RUN) == before
    await repository.clear_abort_request(action())
    assert not await repository.aborts.retry(action())
    with pytest.raises(ActionNotFound):
        await repository.aborts.retry(action("missing"))


async def test_an_abort_fails_if_its_replica_died_at_the_last_attempt(repository: ActionRepo) -> None:
    dead, alive = await make_aborts(repository, 2)
    assert ids(await take(repository, duration=NO_TIME, limit=1, most=1)) == [dead]
    taken = await repository.aborts.claim(SECOND, NO_TIME, 10, 1)
    assert (ids(taken.aborts), taken.exhausted, len(taken)) == ([alive], 1, 2)
    abort = await abort_of(repository, dead)
    assert (abort.state, abort.last_error) == (FAILED, "it did not confirm")
    assert ids(await repository.list_pending_aborts()) == [dead, alive]


async def test_a_confirmation_counts_while_a_replica_holds_the_claim(repository: ActionRepo) -> None:
    (made,) = await make_aborts(repository, 1)
    await take(repository)
    assert await repository.mark_abort_attempt(made, "by hand") == 2
    assert await take(repository, SECOND) == []
    await repository.clear_abort_request(made)
    confirmed = await abort_of(repository, made)
    assert confirmed.state is AbortState.CONFIRMED
    assert await repository.aborts.record_failure(made, FIRST, "late", 10) is None
    assert await abort_of(repository, made) == confirmed
    assert await take(repository, SECOND) == []


async def test_nothing_is_written_if_no_abort_is_due(repository: ActionRepo) -> None:
    notifications: list[None] = []
    await make_aborts(repository, 1)
    await take(repository)
    for _ in range(3):  # a machine that stalls takes only one of these
        await asyncio.sleep(0.1)  # what was written so far has rung
    stop = repository.watches.on_notification(lambda: notifications.append(None))
    with recorded(repository.database) as statements:
        assert await take(repository) == []
        assert not (await repository.aborts.resend([(None, None)], 10, 10)).aborts
        assert not (await repository.aborts.resend([], 10, 10)).aborts
    stop()
    assert notifications == []
    assert [text for text, _ in statements if not text.lstrip().startswith("SELECT")] == []


async def test_only_aborts_in_watched_scopes_are_sent_again(repository: ActionRepo, no_pauses: None) -> None:
    runs = [RunIdentifier(project, domain, "r") for project in ("a", "b") for domain in ("x", "y")]
    await repository.actions.create([new(run=run) for run in runs])
    for run in runs:
        await repository.abort_run(run, None, ADA)

    async def sent(*scopes: tuple[str | None, str | None]) -> list[tuple[str, str]]:
        found = await repository.aborts.resend(scopes, 10, 10)
        return [(one.project, one.domain) for one in found.aborts]

    assert await sent() == []
    assert await sent(("a", "x")) == [("a", "x")]
    assert await sent((None, "y")) == [("a", "y"), ("b", "y")]
    assert await sent(("b", None), ("a", "x")) == [("a", "x"), ("b", "x"), ("b", "y")]
    assert len(await sent((None, None))) == 4
    assert await sent(("nowhere", None)) == []


async def test_a_sent_abort_is_due_again_after_a_delay_until_it_fails(
    repository: ActionRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    (made,) = await make_aborts(repository, 1)
    pause = MINUTE
    monkeypatch.setattr(claims_module, "retry_delay", lambda attempts: pause)
    everywhere = [(None, None)]
    assert ids((await repository.aborts.resend(everywhere, 10, 2)).aborts) == [made]
    assert (await abort_of(repository, made)).last_error is None
    assert not (await repository.aborts.resend(everywhere, 10, 2)).aborts

    await repository.database.transact_on_connection(
        lambda connection: connection.execute(actions.update().values(abort_next_attempt_at=None))
    )
    pause = NO_TIME
    (again,) = (await repository.aborts.resend(everywhere, 10, 2)).aborts
    assert (again.abort_attempt_count, again.abort_last_error) == (2, "it did not confirm")
    over = await repository.aborts.resend(everywhere, 10, 2)
    assert (over.aborts, over.exhausted) == ([], 1)
    assert (await abort_of(repository, made)).state is FAILED


async def test_metrics_count_pending_aborts_and_the_oldest_request(repository: ActionRepo) -> None:
    assert await repository.aborts.metrics() == type(await repository.aborts.metrics())(0, None)
    made = await make_aborts(repository, 3)
    first = (await abort_of(repository, made[0])).requested_at
    measurements = await repository.aborts.metrics()
    assert (measurements.pending, measurements.oldest_requested_at) == (3, first)
    await repository.clear_abort_request(made[0])
    measurements = await repository.aborts.metrics()
    assert measurements.pending == 2
    assert measurements.oldest_requested_at == (await abort_of(repository, made[1])).requested_at


@asynccontextmanager
async def a_row_locked(repository: ActionRepo, id: ActionIdentifier) -> AsyncIterator[None]:
    """Another transaction has written the row and stays open for as long as the context lasts."""
    async with repository.database._writer.begin() as connection:
        await connection.execute(actions.update().where(actions.c.key == id.key).values(group="x"))
        yield


async def test_claiming_does_not_wait_for_concurrent_writers(
    repository: ActionRepo,
) -> None:
    locked, free = await make_aborts(repository, 2)
    if repository.database.is_sqlite:
        # SQLite has one writer at a time, so there is no lock to wait for.
        assert ids(await take(repository)) == [locked, free]
        return
    async with a_row_locked(repository, locked), asyncio.timeout(SECONDS):
        assert ids(await take(repository)) == [free]
    assert ids(await take(repository, SECOND)) == [locked]


async def test_a_finished_run_is_not_claimed_and_a_late_finish_stays_aborted(
    repository: ActionRepo,
) -> None:
    await make_run(repository)
    await repository.abort_run(RUN, "why", ADA)
    await take(repository)
    assert not await repository.update_action_phase(action(), ActionPhase.SUCCEEDED, 1)
    await repository.clear_abort_request(action())
    assert (await repository.get_run(RUN)).phase is ActionPhase.ABORTED
