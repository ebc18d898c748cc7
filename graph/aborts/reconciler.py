"""The abort reconciler: notifies executors of aborts, with retries, until they confirm. Every replica runs
one. Each abort is claimed by one replica at a time; another takes over when that replica dies."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta

import structlog

import repo
from graph.aborts.webhook import NotificationFailed, Webhook

logger = structlog.get_logger("rungraph.aborts")

MAX_CALLS = 32
"""The maximum number of concurrent webhook calls per replica."""
_BATCH_SIZE = 500
"""The maximum number of aborts that one transaction sends to subscribers again."""
POLL_INTERVAL = 1.0
"""Seconds between periodic polls for due aborts: backoff ends, and notifications may get lost."""
MIN_POLL_INTERVAL = 0.5
"""Minimum seconds between two polls: every write notifies."""
LEASE_MARGIN = timedelta(seconds=20)
"""How much longer than a call a lease lasts; then another replica takes over."""


class Reconciler:
    """The reconciler of one replica. Without a webhook and without a subscriber to abort requests it reads
    and does nothing."""

    def __init__(
        self,
        repository: repo.ActionRepo,
        webhook: Webhook | None,
        *,
        max_attempts: int,
        timeout: float,
        supervisor: repo.Supervisor | None = None,
    ) -> None:
        """`timeout` is the maximum duration of a webhook call, in seconds."""
        self._repository = repository
        self._supervisor = supervisor or repo.Supervisor()
        self._webhook = webhook
        self._max_attempts = max_attempts
        self._lease_duration = timedelta(seconds=timeout) + LEASE_MARGIN
        self._calls: set[asyncio.Task[None]] = set()
        self._wake_up = asyncio.Event()
        self.attempts = 0
        """The number of notifications sent by this replica."""
        self.failed = 0
        """The number of aborts that failed after their last attempt on this replica."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Reconciler"]:
        """Runs while the context is open. A call that is interrupted at its end may be repeated by the next
        claimant."""
        unsubscribe = self._repository.watches.on_notification(self._wake_up.set)
        running = self._supervisor.start("abort reconciler", self._run)
        try:
            yield self
        finally:
            unsubscribe()
            tasks = [running, *self._calls]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if self._webhook is not None:
                await self._webhook.close()

    async def _run(self) -> None:
        failures = 0
        while True:
            try:
                more = await self._poll()
                failures = 0
            except Exception as error:  # whatever it is, the aborts stay stored
                failures += 1
                more = False
                if failures == 1:
                    logger.warning("cannot poll for aborts", reason=f"{type(error).__name__}: {error}")
            if not more:
                await self._wait()

    async def _wait(self) -> None:
        await asyncio.sleep(MIN_POLL_INTERVAL)
        with suppress(TimeoutError):
            async with asyncio.timeout(POLL_INTERVAL):
                await self._wake_up.wait()

    async def _poll(self) -> bool:
        """Claims due aborts; returns whether there may be more."""
        self._wake_up.clear()
        if self._webhook is not None:
            capacity = MAX_CALLS - len(self._calls)
            return capacity > 0 and await self._claim(self._webhook, capacity)
        if scopes := self._repository.watches.abort_scopes:
            sent = await self._repository.aborts.resend(scopes, _BATCH_SIZE, self._max_attempts)
            self.attempts += len(sent.aborts)
            self._count_failed(sent.exhausted)
            return len(sent) == _BATCH_SIZE
        return False

    async def _claim(self, webhook: Webhook, capacity: int) -> bool:
        # A new name for each claim: a late result of an earlier call must not count for a later one.
        lease = uuid.uuid4().hex
        claim = await self._repository.aborts.claim(lease, self._lease_duration, capacity, self._max_attempts)
        self._count_failed(claim.exhausted)
        for action in claim.aborts:
            call = asyncio.create_task(self._notify(webhook, action, lease, claim.at))
            self._calls.add(call)
            call.add_done_callback(self._end_call)
        return len(claim) == capacity and len(self._calls) < MAX_CALLS

    def _count_failed(self, count: int) -> None:
        self.failed += count
        if count:
            logger.warning("aborts failed after their last attempt", count=count)

    def _end_call(self, call: asyncio.Task[None]) -> None:
        self._calls.discard(call)
        self._wake_up.set()

    async def _notify(self, webhook: Webhook, action: repo.Action, lease: str, at: datetime) -> None:
        """Notifies the executor once and stores the result."""
        self.attempts += 1
        try:
            try:
                await webhook.notify(action, at)
            except NotificationFailed as error:
                await self._record_failure(action, lease, str(error))
            else:
                await self._repository.clear_abort_request(action.identifier)
        except Exception as error:  # whatever it is: the lease ends, and the executor is notified again
            logger.warning(
                "cannot store the result of an abort notification", reason=f"{type(error).__name__}: {error}"
            )

    async def _record_failure(self, action: repo.Action, lease: str, reason: str) -> None:
        state = await self._repository.aborts.record_failure(
            action.identifier, lease, reason, self._max_attempts
        )
        if state is repo.AbortState.FAILED:
            self.failed += 1
            logger.warning(
                "abort failed after its last attempt", action=str(action.identifier), reason=reason
            )
