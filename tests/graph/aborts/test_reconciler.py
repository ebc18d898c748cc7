"""The reconciler: every abort ends, whatever executors and the database do."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
import structlog

from graph.aborts import reconciler as reconciler_module
from graph.aborts.reconciler import Reconciler
from graph.aborts.webhook import Webhook
from repo import (
    Abort,
    AbortState,
    Action,
    ActionPhase,
    ActionRepo,
    FrameKind,
    RunFilter,
    RunIdentifier,
    open_repository,
)
from repo.aborts import claims as claims_module
from tests.support.executors import (
    FakeExecutor,
    Notification,
    after,
    delayed,
    status,
    stopped,
)
from tests.support.making import (
    ADA,
    RUN,
    action,
    make_run,
    new,
)
from tests.support.postgres import running_postgres
from tests.support.statements import recorded
from tests.support.waiting import until

SECONDS = 30
CONFIRMED, FAILED = AbortState.CONFIRMED, AbortState.FAILED


@pytest.fixture
def executor() -> Iterator[FakeExecutor]:
    """An executor on loopback."""
    with FakeExecutor().serving() as fake:
        yield fake


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shortens the backoff."""
    monkeypatch.setattr(claims_module, "retry_delay", lambda attempts: timedelta(seconds=0.1))
    monkeypatch.setattr(reconciler_module, "MIN_POLL_INTERVAL", 0.05)


@asynccontextmanager
async def reconciling(
    repository: ActionRepo, executor: FakeExecutor | None = None, attempts: int = 10, seconds: float = 5
) -> AsyncIterator[Reconciler]:
    webhook = None
    if executor is not None:
        secret = "a secret that is long enough"
        webhook = Webhook(executor.url, secret, timeout=seconds, allows_private=True)
    one = Reconciler(repository, webhook, max_attempts=attempts, timeout=seconds)
    async with one.running():
        yield one


async def ends(repository: ActionRepo, state: AbortState, run: RunIdentifier = RUN) -> Abort:
    """The abort of the run, once it is in this state."""
    async with asyncio.timeout(SECONDS):
        while True:
            abort = (await repository.get_run(run)).abort
            if abort is not None and abort.state is state:
                return abort
            await asyncio.sleep(0.02)


def each(*answers: Callable[[Notification], Awaitable[Any]]) -> Callable[[Notification], Awaitable[Any]]:
    """The responses to the calls about an abort, in order; the last one is repeated."""
    return lambda notification: answers[min(notification.number, len(answers)) - 1](notification)


async def test_a_confirmation_ends_the_aborts_of_the_run_and_everything_below_it(
    repository: ActionRepo, executor: FakeExecutor
) -> None:
    await make_run(repository, b="a0", c="b")
    async with reconciling(repository, executor) as one:
        await repository.abort_run(RUN, "why", ADA)
        abort = await ends(repository, CONFIRMED)
        assert (abort.attempt_count, abort.reason, abort.requested_by) == (1, "why", ADA)
        below = await repository.get_action(action("c"))
        assert (below.phase, below.abort_state, below.abort_reason) == (ActionPhase.ABORTED, CONFIRMED, "why")
        assert (one.attempts, one.failed) == (1, 0)
    assert [notification.payload["attempt"] for notification in executor.notifications] == [1]


async def test_aborts_requested_before_the_start_are_notified(
    repository: ActionRepo, executor: FakeExecutor
) -> None:
    await make_run(repository)
    await repository.abort_run(RUN, None, None)
    async with reconciling(repository, executor):
        await ends(repository, CONFIRMED)


async def test_a_failing_executor_is_notified_again_until_it_confirms(
    repository: ActionRepo, executor: FakeExecutor
) -> None:
    executor.answer = each(status(500), status(503), stopped)
    await make_run(repository)
    async with reconciling(repository, executor) as one:
        await repository.abort_run(RUN, None, ADA)
        abort = await ends(repository, CONFIRMED)
    assert (abort.attempt_count, one.attempts, one.failed) == (3, 3, 0)
    assert len({notification.key for notification in executor.notifications}) == 1
    assert executor.overlaps == []


async def test_an_executor_without_the_work_confirms_the_abort(
    repository: ActionRepo, executor: FakeExecutor
) -> None:
    executor.answer = status(404)
    await make_run(repository)
    async with reconciling(repository, executor):
        await repository.abort_run(RUN, None, ADA)
        assert (await ends(repository, CONFIRMED)).attempt_count == 1


async def test_an_abort_that_is_never_confirmed_fails_until_it_is_retried(
    repository: ActionRepo, executor: FakeExecutor
) -> None:
    executor.answer = each(*[status(500)] * 3, stopped)
    await make_run(repository)
    with structlog.testing.capture_logs() as logs:
        async with reconciling(repository, executor, attempts=3) as one:
            await repository.abort_run(RUN, None, ADA)
            abort = await ends(repository, FAILED)
            assert (abort.attempt_count, abort.last_error) == (3, "it answered 500")
            await until(lambda: one.failed == 1)
            assert (one.attempts, len(executor.notifications)) == (3, 3)
            await repository.aborts.retry(action())
            assert (await ends(repository, CONFIRMED)).attempt_count == 1
    assert [entry["event"] for entry in logs] == ["abort failed after its last attempt"]


async def test_a_hanging_executor_is_notified_again_and_delays_no_other_abort(
    repository: ActionRepo, executor: FakeExecutor
) -> None:
    other = RunIdentifier("etl", "production", "other")

    async def answer(notification: Notification) -> Any:
        hangs = notification.payload["action"]["runName"] == RUN.name and notification.number == 1
        return await (delayed(60) if hangs else stopped)(notification)

    executor.answer = answer
    await make_run(repository)
    await make_run(repository, other)
    # Longer than a machine may stall: the other call ends first.
    async with reconciling(repository, executor, seconds=5):
        await repository.abort_run(RUN, None, None)
        await until(lambda: bool(executor.notifications))
        await repository.abort_run(other, None, None)
        assert (await ends(repository, CONFIRMED, other)).attempt_count == 1
        waiting = (await repository.get_run(RUN)).abort
        assert waiting is not None
        assert waiting.state is AbortState.RETRYING
        abort = await ends(repository, CONFIRMED)
        assert abort.attempt_count == 2
        assert abort.last_error == "no answer within 5 s"
    assert executor.overlaps == []


async def test_a_result_after_the_lease_does_not_affect_the_next_lease(
    repository: ActionRepo, executor: FakeExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lease is shorter than the call here, as after a pause of the replica."""
    monkeypatch.setattr(reconciler_module, "LEASE_MARGIN", timedelta(seconds=0.5 - SECONDS))
    noted_states: list[AbortState | None] = []
    note, is_notified_again, is_noted = repository.aborts.record_failure, threading.Event(), threading.Event()

    async def noting(*arguments: Any) -> AbortState | None:
        noted_states.append(state := await note(*arguments))
        is_noted.set()
        return state

    async def again(notification: Notification) -> Any:
        is_notified_again.set()
        return await after(is_noted)(notification)

    monkeypatch.setattr(repository.aborts, "record_failure", noting)
    executor.answer = each(after(is_notified_again, status(500)), again)
    await make_run(repository)
    async with reconciling(repository, executor, seconds=SECONDS):
        await repository.abort_run(RUN, None, ADA)
        abort = await ends(repository, CONFIRMED)
        assert noted_states[0] is None
        assert abort.last_error is None


async def test_another_replica_continues_the_aborts_of_a_dead_one(
    database_url: str, repository: ActionRepo, executor: FakeExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciler_module, "LEASE_MARGIN", timedelta(seconds=0.5))
    executor.answer = each(delayed(60), stopped)
    await make_run(repository)
    await repository.abort_run(RUN, None, ADA)
    async with open_repository(database_url) as dying:
        async with reconciling(dying, executor, seconds=1):
            await until(lambda: bool(executor.notifications))
    async with reconciling(repository, executor):
        assert (await ends(repository, CONFIRMED)).attempt_count == 2
    assert executor.overlaps == []


async def test_an_executor_is_notified_once_it_is_available_again(
    repository: ActionRepo,
) -> None:
    runs = [RunIdentifier("etl", "production", f"run-{number}") for number in range(10)]
    await repository.actions.create([new(run=run) for run in runs])
    executor = FakeExecutor()
    with executor.serving():
        pass  # so its port is known, and free
    async with reconciling(repository, executor, attempts=1000) as one:
        await repository.aborts.abort_runs(RunFilter(project="etl"), "why", ADA, dry_run=False)
        await until(lambda: one.attempts > 2 * len(runs))
        for run in runs:
            abort = (await repository.get_run(run)).abort
            assert abort is not None
            assert abort.last_error == "it cannot be reached: ConnectError"
        with executor.serving_again():
            for run in runs:
                await ends(repository, CONFIRMED, run)
    assert {notification.payload["action"]["runName"] for notification in executor.notifications} == {
        run.name for run in runs
    }


async def test_a_notification_wakes_the_reconciler_before_its_next_poll(
    repository: ActionRepo, executor: FakeExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciler_module, "POLL_INTERVAL", 600.0)
    monkeypatch.setattr(reconciler_module, "MIN_POLL_INTERVAL", 0.5)
    await make_run(repository)
    async with reconciling(repository, executor):
        await asyncio.sleep(1)
        await repository.abort_run(RUN, None, ADA)
        await ends(repository, CONFIRMED)


async def test_the_reconciler_polls_without_notifications(
    repository: ActionRepo, executor: FakeExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repository.watches, "on_notification", lambda received: lambda: None)
    await make_run(repository)
    async with reconciling(repository, executor):
        await asyncio.sleep(0.2)
        await repository.abort_run(RUN, None, ADA)
        await ends(repository, CONFIRMED)


async def test_without_a_webhook_and_a_subscriber_nothing_is_read(
    repository: ActionRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciler_module, "POLL_INTERVAL", 0.1)
    await make_run(repository)
    async with reconciling(repository) as one:
        await repository.abort_run(RUN, None, ADA)
        with recorded(repository.database, polling=True) as statements:
            await asyncio.sleep(1)
        assert statements == []
        assert one.attempts == 0


async def test_without_pending_aborts_a_webhook_causes_only_reads(
    repository: ActionRepo, executor: FakeExecutor
) -> None:
    await make_run(repository)
    async with reconciling(repository, executor):
        await asyncio.sleep(0.5)
        with recorded(repository.database) as statements:
            await asyncio.sleep(2.5)
            await until(lambda: bool(statements))
    texts = [text for text, _ in statements]
    assert 1 <= len(texts) <= 10
    assert [text for text in texts if not text.lstrip().startswith("SELECT")] == []


async def listen(repository: ActionRepo, ignores: int, received: list[Action]) -> None:
    """An executor that subscribes, ignores each abort `ignores` times, and then confirms it."""
    async with aclosing(repository.watches.watch_abort_requests("etl")) as frames:
        async for frame in frames:
            if frame.kind is FrameKind.SYNCED:
                continue
            for one in frame.items:
                received.append(one)
                if one.abort_attempt_count > ignores:
                    await repository.clear_abort_request(one.identifier)


async def test_a_subscribed_executor_is_notified_again_until_it_confirms(
    repository: ActionRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However long it takes to confirm then, it is not notified once more. A longer pause would end at once:
    # only a clock that went back explains it.
    monkeypatch.setattr(
        claims_module,
        "retry_delay",
        lambda attempts: timedelta(seconds=0.1) if attempts < 3 else claims_module.MAX_DELAY,
    )
    other = RunIdentifier("ml", "production", "nobody-listens")
    await make_run(repository)
    await make_run(repository, other)
    received: list[Action] = []
    async with reconciling(repository) as one:
        listening = asyncio.create_task(listen(repository, 2, received))
        try:
            for run in (RUN, other):
                await repository.abort_run(run, "why", ADA)
            assert (await ends(repository, CONFIRMED)).attempt_count == 3
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
        assert (one.attempts, one.failed) == (3, 0)
    counts = [abort.abort_attempt_count for abort in received]
    assert counts == sorted(counts)
    assert counts[-1] == 3
    left = (await repository.get_run(other)).abort
    assert left is not None
    assert (left.state, left.attempt_count) == (AbortState.REQUESTED, 0)


async def test_aborts_that_a_subscriber_never_confirms_fail(repository: ActionRepo) -> None:
    await make_run(repository)
    async with reconciling(repository, attempts=2) as one:
        listening = asyncio.create_task(listen(repository, 99, []))
        try:
            await repository.abort_run(RUN, None, ADA)
            abort = await ends(repository, FAILED)
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
        assert (abort.attempt_count, abort.last_error) == (2, "it did not confirm")
        await until(lambda: one.failed == 1)
        assert one.attempts == 2


async def test_an_unexpected_error_of_one_abort_delays_no_other(
    repository: ActionRepo, executor: FakeExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    clear = repository.clear_abort_request

    async def clearing(id: Any) -> None:
        if id == action():
            raise RuntimeError("nobody foresaw it")
        await clear(id)

    monkeypatch.setattr(repository, "clear_abort_request", clearing)
    other = RunIdentifier("etl", "production", "other")
    await make_run(repository)
    await make_run(repository, other)
    with structlog.testing.capture_logs() as logs:
        async with reconciling(repository, executor):
            for run in (RUN, other):
                await repository.abort_run(run, None, ADA)
            await ends(repository, CONFIRMED, other)
            await until(lambda: bool(logs))
    assert [entry["reason"] for entry in logs] == ["RuntimeError: nobody foresaw it"]


@pytest.mark.timeout(120)
async def test_the_reconciler_survives_an_unavailable_database(
    executor: FakeExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciler_module, "LEASE_MARGIN", timedelta(seconds=2))
    with running_postgres(is_migrated=True) as server:
        async with open_repository(server.url) as repository:
            await make_run(repository)
            server_stopped = threading.Event()
            executor.answer = after(server_stopped)
            both = {"cannot poll for aborts", "cannot store the result of an abort notification"}
            with structlog.testing.capture_logs() as logs:

                def logged_events() -> set[str]:
                    return {entry["event"] for entry in logs if "abort" in entry["event"]}

                async with reconciling(repository, executor, seconds=6):
                    await repository.abort_run(RUN, "why", ADA)
                    await until(lambda: bool(executor.notifications))
                    # It is notified, and the result cannot be stored.
                    await asyncio.to_thread(server.stop, True)
                    server_stopped.set()
                    await until(lambda: logged_events() == both)
                    await asyncio.to_thread(server.start)
                    other = RunIdentifier("etl", "production", "other")
                    await make_run(repository, other)
                    await repository.abort_run(other, None, ADA)
                    await ends(repository, CONFIRMED, other)
                    await ends(repository, CONFIRMED)
    assert logged_events() == both
    assert [entry["event"] for entry in logs].count("cannot poll for aborts") <= 2
