"""Aborts, for one caller: requests, and retries until the executor confirms."""

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from repo.aborts import claims, requests
from repo.aborts.claims import Claims, DueAborts
from repo.actions.filters import RunFilter
from repo.actions.lists import in_scopes, order_of_aborts
from repo.actions.rows import ACTION_COLUMNS, ACTIONS
from repo.actions.run_pages import matching_runs
from repo.domain.authorization import Access, Permission, Scope, narrowed
from repo.domain.errors import Forbidden, InvalidArgument, RunNotFound
from repo.domain.identifiers import ActionIdentifier, RunIdentifier
from repo.domain.models import AbortMetrics, Action, Identity
from repo.domain.pages import Page, PageRequest
from repo.domain.phases import AbortState
from repo.sql.database import Database
from repo.sql.paging import fetch_page
from repo.tables import actions, is_abort_pending, is_root, is_unconfirmed, runs

c = actions.c


@dataclass(frozen=True, slots=True)
class AbortRunsResult:
    """The outcome of aborting all runs that match a filter."""

    matched: int
    requested: int
    batch: str | None
    """Identifies the aborts that were requested; None if there are none."""


class Aborts:
    """The aborts that a caller may read, request and confirm. Each write is one transaction."""

    def __init__(self, database: Database, access: Access, claims_seen: Claims) -> None:
        self._database = database
        self._access = access
        self._claims_seen = claims_seen

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

        return await self._database.transact_on_connection(work)

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

        return await self._database.transact_on_connection(work)

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
        matching = matching_runs(self._database, filter, allowed, runs.c.key, runs.c.phase).subquery()
        which = select(matching.c.key).where(requests.is_unfinished(matching.c.phase))
        if dry_run:
            async with self._database.read() as connection:
                count = await connection.scalar(select(func.count()).select_from(which.subquery()))
                return AbortRunsResult(count or 0, 0, None)
        batch = uuid.uuid4().hex

        requested = await self._database.transact_on_connection(
            lambda connection: requests.request_all(
                connection, c.key.in_(which), reason, aborted_by, utc_now(), batch
            )
        )
        return AbortRunsResult(requested, requested, batch if requested else None)

    async def retry(self, action_id: ActionIdentifier) -> bool:
        """Restart a failed abort with its full number of attempts; False if it had not failed. Raises
        ActionNotFound."""
        self._access.check(Permission.ABORT, [action_id])
        return await self._database.transact_on_connection(
            lambda connection: requests.retry(connection, action_id, utc_now())
        )

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
        return await self._database.transact_on_connection(
            lambda connection: requests.mark_attempt(connection, action_id, error, utc_now())
        )

    async def confirm(self, action_id: ActionIdentifier) -> None:
        """See `ActionRepo.clear_abort_request`."""
        self._access.check(Permission.WRITE, [action_id])
        await self._database.transact_on_connection(
            lambda connection: requests.confirm(connection, action_id, utc_now())
        )

    async def claim(self, lease: str, duration: timedelta, limit: int, max_attempts: int) -> DueAborts:
        """Claim aborts that are due, the oldest request first. Each counts one more attempt, and for
        `duration` only the holder of `lease` works on it; an abort without attempts left becomes FAILED.

        Times are the database's, whatever the clocks of replicas say. A claim of another replica is taken
        over once this process has seen it for `duration`.
        """
        expired = await self._find_due(claims.EVERYWHERE, duration)
        if expired is None:
            return claims.NOTHING_DUE
        return await self._database.transact_on_connection(
            lambda connection: claims.claim(
                connection, lease, duration, limit, max_attempts, utc_now(), expired
            )
        )

    async def resend(self, scopes: Collection[Scope], limit: int, max_attempts: int) -> DueAborts:
        """Send due aborts in these scopes to the subscribers of abort requests again. Each is due again
        after a delay, as after `record_failure`."""
        expired = await self._find_due(scopes, timedelta(0))
        if expired is None:
            return claims.NOTHING_DUE
        return await self._database.transact_on_connection(
            lambda connection: claims.resend(connection, scopes, limit, max_attempts, utc_now(), expired)
        )

    async def _find_due(self, scopes: Collection[Scope], duration: timedelta) -> list[str] | None:
        async with self._database.read() as connection:
            return await claims.find_due(connection, scopes, self._claims_seen, duration)

    async def record_failure(
        self, action_id: ActionIdentifier, lease: str, error: str, max_attempts: int
    ) -> AbortState | None:
        """Record that the executor was not reached or refused, and return the state of the abort. RETRYING:
        it is due again after a random delay, at most 1 s after the first attempt, twice that after each, up
        to 5 min. FAILED: no attempts are left. None: the lease is lost or the abort is confirmed, and
        nothing changed."""
        return await self._database.transact_on_connection(
            lambda connection: claims.record_failure(
                connection, action_id, lease, error, max_attempts, utc_now()
            )
        )


def utc_now() -> datetime:
    return datetime.now(UTC)
