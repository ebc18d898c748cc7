"""Owns that aborts come to their end: the executor is told, and told again, until it confirms.

Every replica does it; each abort is at one of them at a time, and what a replica that died had begun
another one takes up.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime, timedelta

import structlog

import repo
from graph.aborts.webhook import NotTold, Webhook

logger = structlog.get_logger("rungraph.aborts")

AT_A_TIME = 32
"""Executors' calls that are under way at a time, on one replica."""
_BATCH = 500
"""Aborts that watchers are told of in one transaction."""
_SCAN = 1.0
"""Seconds after which it is looked for what is due, though no bell rang: pauses end, and bells get lost."""
_PAUSE = 0.5
"""Seconds between two looks, at least: bells ring for every write."""
_LONGER_THAN_A_CALL = timedelta(seconds=20)
"""How much longer than a call an abort is held: a replica that died is replaced after that."""


class Reconciler:
    """What drives the aborts on one replica. Without a webhook and without anybody who watches abort
    requests it does nothing, and reads nothing."""

    def __init__(
        self,
        repository: repo.ActionRepo,
        webhook: Webhook | None,
        *,
        most_attempts: int,
        timeout: float,
        supervisor: repo.Supervisor | None = None,
    ) -> None:
        """`timeout` is how many seconds a call of the webhook takes at the most."""
        self._repository = repository
        self._supervisor = supervisor or repo.Supervisor()
        self._webhook = webhook
        self._most_attempts = most_attempts
        self._holds_for = timedelta(seconds=timeout) + _LONGER_THAN_A_CALL
        self._calls: set[asyncio.Task[None]] = set()
        self._bell = asyncio.Event()
        self.attempts = 0
        """How often an executor was told here."""
        self.given_up = 0
        """How many aborts were given up here."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Reconciler"]:
        """Drive aborts as long as the context lasts. A call that is under way at its end may be made
        again, by whoever takes the abort then."""
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
        stop = self._repository.on_ring(self._bell.set)
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
                await self._bell.wait()
        except TimeoutError:
            pass

    async def _look(self) -> bool:
        """Take what is due; whether there may be more of it."""
        self._bell.clear()
        if self._webhook is not None:
            free = AT_A_TIME - len(self._calls)
            return free > 0 and await self._take(self._webhook, free)
        if listeners := self._repository.abort_listeners:
            told = await self._repository.tell_of_aborts(listeners, _BATCH, self._most_attempts)
            self.attempts += len(told.aborts)
            self._note_given_up(told.given_up)
            return len(told) == _BATCH
        return False

    async def _take(self, webhook: Webhook, free: int) -> bool:
        # By another name each time: what comes late of an earlier call here must not pass for a later one's.
        lease = uuid.uuid4().hex
        taken = await self._repository.take_aborts(lease, self._holds_for, free, self._most_attempts)
        self._note_given_up(taken.given_up)
        for action in taken.aborts:
            call = asyncio.create_task(self._tell(webhook, action, lease, taken.at))
            self._calls.add(call)
            call.add_done_callback(self._ended)
        return len(taken) == free and len(self._calls) < AT_A_TIME

    def _note_given_up(self, count: int) -> None:
        self.given_up += count
        if count:
            logger.warning("gave up aborts that nobody confirmed", count=count)

    def _ended(self, call: asyncio.Task[None]) -> None:
        self._calls.discard(call)
        self._bell.set()

    async def _tell(self, webhook: Webhook, action: repo.Action, lease: str, at: datetime) -> None:
        """Tell the executor once, and note what came of it."""
        self.attempts += 1
        try:
            try:
                await webhook.tell(action, at)
            except NotTold as error:
                await self._note_failure(action, lease, str(error))
            else:
                await self._repository.clear_abort_request(action.identifier)
        except Exception as error:  # whatever it is: the hold ends, and the executor is told again
            logger.warning("cannot note what came of an abort", reason=f"{type(error).__name__}: {error}")

    async def _note_failure(self, action: repo.Action, lease: str, reason: str) -> None:
        state = await self._repository.note_abort_failure(
            action.identifier, lease, reason, self._most_attempts
        )
        if state is repo.AbortState.FAILED:
            self.given_up += 1
            logger.warning("gave up an abort", action=str(action.identifier), reason=reason)
