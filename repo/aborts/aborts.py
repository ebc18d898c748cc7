"""Aborts, for one caller: requests, retries until the executor confirms, and streams of both."""

import asyncio
import uuid
from collections.abc import AsyncGenerator, Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from repo.aborts import leases, requests
from repo.aborts.leases import DueAborts, Leases
from repo.actions.filters import RunFilter, run_conditions
from repo.actions.lists import in_scopes, order_of_aborts
from repo.actions.rows import ACTION_COLUMNS, ACTIONS, ActionRow, Attributes
from repo.domain.authorization import Access, Permission, Scope, narrowed
from repo.domain.errors import Forbidden, InvalidArgument, NotFound, RunNotFound
from repo.domain.identifiers import ActionIdentifier, RunIdentifier
from repo.domain.models import AbortMetrics, AbortProgress, Action, Identity
from repo.domain.pages import Page, PageRequest
from repo.domain.phases import AbortState
from repo.sql.database import Database
from repo.sql.paging import fetch_page
from repo.tables import actions, is_abort_pending, is_root, is_unconfirmed
from repo.watch.mailboxes import NOTHING_RELATED, Related, RowMailbox
from repo.watch.matching import Match, match_pending_abort
from repo.watch.snapshots import SnapshotQuery
from repo.watch.stream import Frame, Stream
from repo.watch.watches import Watches, with_revision

c = actions.c

_COUNT_INTERVAL = 0.2
"""The minimum seconds between two counts of a batch: each reads all of it."""


@dataclass(frozen=True, slots=True)
class AbortRunsResult:
    """The outcome of aborting all runs that match a filter."""

    matched: int
    requested: int
    batch: str | None
    """Identifies the aborts that were requested; None if there are none."""


class Aborts:
    """The aborts that a caller may read, request and confirm. Each write is one transaction."""

    def __init__(self, database: Database, access: Access, leases: Leases, watches: Watches) -> None:
        self._database = database
        self._access = access
        self._leases = leases
        self._watches = watches

    # Requests

    async def abort_run(self, run_id: RunIdentifier, reason: str | None, aborted_by: Identity | None) -> bool:
        """See `ActionRepo.abort_run`."""
        self._access.check(Permission.ABORT, [run_id])

        async def work(connection: AsyncConnection) -> bool:
            which = (c.run_key == run_id.key) & is_root
            if await requests.request(connection, which, reason, aborted_by, utc_now()):
                return True
            root = await connection.scalar(select(c.name).where(which))
            if root is None:
                raise RunNotFound(f"there is no run {run_id}")
            action_id = ActionIdentifier(run_id.project, run_id.domain, run_id.name, root)
            return await requests.request_below(connection, action_id, reason, aborted_by, utc_now()) > 0

        return await self._database.write(work)

    async def abort_action(
        self, action_id: ActionIdentifier, reason: str | None, aborted_by: Identity | None
    ) -> bool:
        """See `ActionRepo.abort_action`."""
        self._access.check(Permission.ABORT, [action_id])

        async def work(connection: AsyncConnection) -> bool:
            which = requests.is_action(action_id)
            if await requests.request(connection, which, reason, aborted_by, utc_now()):
                return True
            await requests.check_exists(connection, action_id)
            return await requests.request_below(connection, action_id, reason, aborted_by, utc_now()) > 0

        return await self._database.write(work)

    async def abort_runs(
        self,
        filter: RunFilter,
        reason: str | None,
        aborted_by: Identity | None,
        dry_run: bool = True,
        all_runs: bool = False,
    ) -> AbortRunsResult:
        """Abort the unfinished runs that match and that the caller may abort; only count them in a dry run.
        Raises Forbidden if the caller may abort nothing within the filter's project and domain, and
        InvalidArgument for a filter without any condition unless `all_runs` confirms it."""
        allowed = narrowed(self._access.scopes(Permission.ABORT), filter.project, filter.domain)
        if not allowed:
            raise Forbidden("you may not abort there")
        if not (all_runs or filter.has_conditions):
            raise InvalidArgument(
                "the filter has no condition and matches every run: set a field of it that is not empty, "
                "or say `all: true`; no run was aborted"
            )
        which = (*in_scopes(allowed), *run_conditions(filter))
        if dry_run:
            async with self._database.read() as connection:
                return AbortRunsResult(await requests.count_unfinished(connection, which), 0, None)
        batch = uuid.uuid4().hex

        requested = await self._database.write(
            lambda connection: requests.request_all(connection, which, reason, aborted_by, utc_now(), batch)
        )
        return AbortRunsResult(requested, requested, batch if requested else None)

    async def retry(self, action_id: ActionIdentifier) -> bool:
        """Restart a failed abort with its full number of attempts; False if it had not failed. Raises
        ActionNotFound."""
        self._access.check(Permission.ABORT, [action_id])
        return await self._database.write(lambda connection: requests.retry(connection, action_id, utc_now()))

    # Unconfirmed aborts

    async def list_pending(self) -> list[Action]:
        """See `ActionRepo.list_pending_aborts`."""
        statement = select(*ACTION_COLUMNS).where(is_unconfirmed, *in_scopes(self._access.readable))
        statement = statement.order_by(*order_of_aborts.order(backward=False))
        async with self._database.read() as connection:
            return [Action(*row) for row in await connection.execute(statement)]

    async def page_pending(self, page: PageRequest = PageRequest()) -> Page[Action]:
        """A page of `list_pending`. Raises InvalidCursor."""
        scopes = self._access.readable
        return await fetch_page(
            self._database,
            ("pending aborts", scopes),
            lambda: select(*ACTION_COLUMNS).where(is_unconfirmed, *in_scopes(scopes)),
            order_of_aborts,
            page,
            lambda found: found.rows(Action, ACTIONS.names(None)),
        )

    async def count_pending(self) -> int:
        """The number of actions in `list_pending`."""
        matching = (is_unconfirmed, *in_scopes(self._access.readable))
        async with self._database.read() as connection:
            return await connection.scalar(select(func.count()).select_from(actions).where(*matching)) or 0

    async def metrics(self) -> AbortMetrics:
        """The aborts that wait for an executor, in all projects."""
        statement = select(func.count(), func.min(c.abort_requested_at)).where(
            is_unconfirmed, is_abort_pending
        )
        async with self._database.read() as connection:
            return AbortMetrics(*(await connection.execute(statement)).one())

    # For executors and the reconciler

    async def mark_attempt(self, action_id: ActionIdentifier, error: str | None = None) -> int:
        """See `ActionRepo.mark_abort_attempt`."""
        self._access.check(Permission.WRITE, [action_id])
        return await self._database.write(
            lambda connection: requests.mark_attempt(connection, action_id, error, utc_now())
        )

    async def confirm(self, action_id: ActionIdentifier) -> None:
        """See `ActionRepo.clear_abort_request`."""
        self._access.check(Permission.WRITE, [action_id])
        await self._database.write(lambda connection: requests.confirm(connection, action_id, utc_now()))

    async def claim(self, lease: str, duration: timedelta, limit: int, max_attempts: int) -> DueAborts:
        """Claim aborts that are due, the oldest request first. Each counts one more attempt, and for
        `duration` only the holder of `lease` works on it; an abort without attempts left becomes FAILED.

        Times are the database's, whatever the clocks of replicas say. A claim of another replica is taken
        over once this process has seen it for `duration`.
        """
        expired = await self._find_due(leases.EVERYWHERE, duration)
        if expired is None:
            return leases.NOTHING_DUE
        return await self._database.write(
            lambda connection: leases.claim(
                connection, lease, duration, limit, max_attempts, utc_now(), expired
            )
        )

    async def resend(self, scopes: Collection[Scope], limit: int, max_attempts: int) -> DueAborts:
        """Send due aborts in these scopes to the subscribers of abort requests again. Each is due again
        after a delay, as after `record_failure`."""
        expired = await self._find_due(scopes, timedelta(0))
        if expired is None:
            return leases.NOTHING_DUE
        return await self._database.write(
            lambda connection: leases.resend(connection, scopes, limit, max_attempts, utc_now(), expired)
        )

    async def _find_due(self, scopes: Collection[Scope], duration: timedelta) -> list[str] | None:
        async with self._database.read() as connection:
            return await leases.find_due(connection, scopes, self._leases, duration)

    async def record_failure(
        self, action_id: ActionIdentifier, lease: str, error: str, max_attempts: int
    ) -> AbortState | None:
        """Record that the executor was not reached or refused, and return the state of the abort. RETRYING:
        it is due again after a random delay, at most 1 s after the first attempt, twice that after each, up
        to 5 min. FAILED: no attempts are left. None: the lease is lost or the abort is confirmed, and
        nothing changed."""
        return await self._database.write(
            lambda connection: leases.record_failure(
                connection, action_id, lease, error, max_attempts, utc_now()
            )
        )

    def on_notification(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` whenever anything may have been written, on any replica, until the returned
        function is called. A notification may get lost."""
        callbacks = self._watches.hub.on_notification
        callbacks.add(callback)
        return lambda: callbacks.discard(callback)

    @property
    def watched_scopes(self) -> frozenset[Scope]:
        """The projects and domains whose abort requests are watched on this replica."""
        watches = (watch for watch in self._watches.hub.mailboxes if isinstance(watch, RowMailbox))
        return frozenset(scope for watch in watches for scope in watch.listens_to)

    # Watches

    def watch_requests(
        self,
        project: str | None = None,
        domain: str | None = None,
        after: str | None = None,
        related: Related = NOTHING_RELATED,
        attributes: Attributes = None,
    ) -> Stream[Frame[Action]]:
        """Actions with a pending abort, the oldest request first, then every one that is requested or
        notified again, and those whose abort is no longer pending; only where the caller may confirm them.
        `after` is the cursor of a frame. Raises Forbidden if the caller may not confirm any."""
        scopes = narrowed(self._access.scopes(Permission.WRITE), project, domain)

        async def check() -> None:
            if not scopes:
                raise Forbidden("you may not confirm aborts there, so you cannot watch their requests")

        mailbox = RowMailbox(
            match=lambda row: match_pending_abort(row.action),
            of_runs=False,
            related=related,
            scopes=scopes,
            listens_to=scopes,
        )
        names = ACTIONS.names(with_revision(attributes))

        query = SnapshotQuery(
            ("watched aborts", names, scopes),
            lambda: select(*ACTIONS.select(names)).where(
                is_unconfirmed, is_abort_pending, *in_scopes(scopes)
            ),
            order_of_aborts,
            lambda found: found.rows(Action, names),
            names=names,
            check=check,
        )
        return self._watches.stream_rows(mailbox, query, after)

    def watch_progress(self, batch: str) -> Stream[AbortProgress]:
        """How far the aborts of a batch have come, until none of them is pending. Raises NotFound."""

        async def count() -> AbortProgress:
            statement = select(c.abort_state, func.count()).where(c.abort_batch == batch)
            statement = statement.where(*in_scopes(self._access.readable)).group_by(c.abort_state)
            async with self._database.read() as connection:
                counts = {state: count for state, count in await connection.execute(statement)}
            if not counts:
                raise NotFound("there is no such batch of aborts")
            confirmed, failed = (counts.get(each, 0) for each in (AbortState.CONFIRMED, AbortState.FAILED))
            requested = sum(counts.values())
            return AbortProgress(requested, requested - confirmed - failed, confirmed, failed)

        def match(row: ActionRow) -> Match:
            return Match.NOW if row.run and row.run.abort_batch == batch else Match.NEVER

        hub, mailbox = self._watches.hub, RowMailbox(match=match, of_runs=True)

        async def generate(stream: Stream[AbortProgress]) -> AsyncGenerator[AbortProgress, None]:
            await hub.join(mailbox)
            try:
                last = None
                while True:
                    mailbox.begin()
                    now = await count()
                    if now != last:
                        last = now
                        yield now
                    if not now.pending:
                        return
                    if mailbox.is_empty:
                        await stream.wait()
                    await asyncio.sleep(_COUNT_INTERVAL)
            finally:
                hub.leave(mailbox)

        return Stream(hub, mailbox, generate)


def utc_now() -> datetime:
    return datetime.now(UTC)
