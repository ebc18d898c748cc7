"""The abort reconciler: notifies executors of aborts, with retries, until they confirm. Every replica runs
one. Each abort is claimed by one replica at a time; another takes over when that replica dies."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime, timedelta

import structlog

import repo
from graph.aborts.webhook import NotificationFailed, Webhook

logger = structlog.get_logger("rungraph.aborts")

AT_A_TIME = 32
"""The maximum number of concurrent webhook calls per replica."""
_BATCH = 500
"""The maximum number of aborts that one transaction marks for subscribers."""
_SCAN = 1.0
"""Seconds between periodic polls for due aborts: backoff ends, and notifications may get lost."""
_PAUSE = 0.5
"""Minimum seconds between two polls: every write notifies."""
_LONGER_THAN_A_CALL = timedelta(seconds=20)
"""Seconds by which a lease outlasts a call; then another replica takes over."""


class Reconciler:
    """The reconciler of one replica. Without a webhook and without a subscriber to abort requests it reads
    and does nothing."""

    def __init__(
        self,
        repository: repo.ActionRepo,
        webhook: Webhook | None,
        *,
        most_attempts: int,
        timeout: float,
        supervisor: repo.Supervisor | None = None,
    ) -> None:
        """`timeout` is the maximum duration of a webhook call, in seconds."""
        self._repository = repository
        self._supervisor = supervisor or repo.Supervisor()
        self._webhook = webhook
        self._most_attempts = most_attempts
        self._holds_for = timedelta(seconds=timeout) + _LONGER_THAN_A_CALL
        self._calls: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self.attempts = 0
        """The number of notifications sent by this replica."""
        self.failed = 0
        """The number of aborts that failed after their last attempt on this replica."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Reconciler"]:
        """Runs while the context is open. A call that is interrupted at its end may be repeated by the next
        claimant."""
        with self._hearing():
            driving = self._supervisor.start("abort reconciler", self._drive)
            try:
                yield self
            finally:
                tasks = [driving, *self._calls]
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                if self._webhook is not None:
                    await self._webhook.close()

    @contextmanager
    def _hearing(self) -> Iterator[None]:
        stop = self._repository.aborts.on_notification(self._wake.set)
        try:
            yield
        finally:
            stop()

    async def _drive(self) -> None:
        failures = 0
        while True:
            try:
                more = await self._look()
                failures = 0
            except Exception as error:  # whatever it is, aborts wait and are not lost
                failures += 1
                more = False
                if failures == 1:
                    logger.warning("cannot drive aborts", reason=f"{type(error).__name__}: {error}")
            if not more:
                await self._wait()

    async def _wait(self) -> None:
        await asyncio.sleep(_PAUSE)
        try:
            async with asyncio.timeout(_SCAN):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _look(self) -> bool:
        """Claims due aborts; returns whether there may be more."""
        self._wake.clear()
        if self._webhook is not None:
            free = AT_A_TIME - len(self._calls)
            return free > 0 and await self._take(self._webhook, free)
        if listeners := self._repository.aborts.watched_scopes:
            told = await self._repository.aborts.resend(listeners, _BATCH, self._most_attempts)
            self.attempts += len(told.aborts)
            self._count_failed(told.exhausted)
            return len(told) == _BATCH
        return False

    async def _take(self, webhook: Webhook, free: int) -> bool:
        # A new name for each claim: a late result of an earlier call must not count for a later one.
        lease = uuid.uuid4().hex
        taken = await self._repository.aborts.claim(lease, self._holds_for, free, self._most_attempts)
        self._count_failed(taken.exhausted)
        for action in taken.aborts:
            call = asyncio.create_task(self._tell(webhook, action, lease, taken.at))
            self._calls.add(call)
            call.add_done_callback(self._ended)
        return len(taken) == free and len(self._calls) < AT_A_TIME

    def _count_failed(self, count: int) -> None:
        self.failed += count
        if count:
            logger.warning("gave up aborts that nobody confirmed", count=count)

    def _ended(self, call: asyncio.Task[None]) -> None:
        self._calls.discard(call)
        self._wake.set()

    async def _tell(self, webhook: Webhook, action: repo.Action, lease: str, at: datetime) -> None:
        """Notifies the executor once and stores the result."""
        self.attempts += 1
        try:
            try:
                await webhook.notify(action, at)
            except NotificationFailed as error:
                await self._note_failure(action, lease, str(error))
            else:
                await self._repository.clear_abort_request(action.identifier)
        except Exception as error:  # whatever it is: the hold ends, and the executor is told again
            logger.warning("cannot note what came of an abort", reason=f"{type(error).__name__}: {error}")

    async def _note_failure(self, action: repo.Action, lease: str, reason: str) -> None:
        state = await self._repository.aborts.record_failure(
            action.identifier, lease, reason, self._most_attempts
        )
        if state is repo.AbortState.FAILED:
            self.failed += 1
            logger.warning("gave up an abort", action=str(action.identifier), reason=reason)
