"""Owns the aborts of ActionRepo: asked for, driven to their end by whoever takes them, and watched."""

import asyncio
import uuid
from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from repo.aborts import leases, requests
from repo.aborts.leases import Taken
from repo.actions.filters import RunFilter, run_conditions
from repo.actions.lists import in_scopes, order_of_aborts
from repo.actions.rows import ACTION_COLUMNS, ACTIONS, ActionRow, Attributes
from repo.domain.authorization import Permission, Scope, narrowed
from repo.domain.errors import (
    ActionNotFound,
    Forbidden,
    InvalidArgument,
    NotFound,
    RunNotFound,
)
from repo.domain.identifiers import ActionIdentifier, RunIdentifier
from repo.domain.models import AbortMetrics, AbortProgress, Action, Identity
from repo.domain.pages import Page, PageRequest
from repo.domain.phases import AbortState
from repo.sql.paging import fetch_page
from repo.tables import actions, is_abort_pending, is_root, is_unconfirmed
from repo.watch.frames import Frame
from repo.watch.mailboxes import RowMailbox
from repo.watch.matching import Match, match_pending_abort
from repo.watch.snapshots import SnapshotQuery
from repo.watch.stream import Stream
from repo.watch.watches import NOTHING_RELATED, Related, Watching, with_revision

c = actions.c

_BETWEEN_COUNTS = 0.2
"""Seconds between two counts of a batch, at least: each reads all of it."""


@dataclass(frozen=True, slots=True)
class AbortedRuns:
    """What an abort of many runs came to."""

    matched: int
    requested: int
    batch: str | None
    """What stands for all of them; None where there are none."""


class Aborting(Watching):
    """The aborts of the repository. Each write is one transaction."""

    _leases: leases.Leases

    async def abort_run(self, run_id: RunIdentifier, reason: str | None, aborted_by: Identity | None) -> bool:
        """Whether something is aborted by this call: the root is ABORTED now and an abort request waits
        for the executor. A finished root stays as it ended, and then what has not finished below it is
        aborted, each action with a request of its own. Raises RunNotFound."""
        self._check(Permission.ABORT, [run_id])

        async def work(connection: AsyncConnection) -> bool:
            which = (c.run_key == run_id.key) & is_root
            if await requests.request(connection, which, reason, aborted_by, _now()):
                return True
            root = await connection.scalar(select(c.name).where(which))
            if root is None:
                raise RunNotFound(f"there is no run {run_id}")
            action_id = ActionIdentifier(run_id.project, run_id.domain, run_id.name, root)
            return await requests.request_below(connection, action_id, reason, aborted_by, _now()) > 0

        return await self._database.write(work)

    async def abort_runs(
        self,
        wanted: RunFilter,
        reason: str | None,
        aborted_by: Identity | None,
        dry_run: bool = True,
        all_runs: bool = False,
    ) -> AbortedRuns:
        """How many unfinished runs match, and how many of them this call aborted: none in a dry run. By
        its batch the progress of what was aborted is known. Runs that the caller may not abort do not match;
        where the filter leaves no other place, Forbidden is raised. Raises InvalidArgument for a filter
        without any condition, unless `all_runs` says that this is meant."""
        allowed = narrowed(self._access.scopes(Permission.ABORT), wanted.project, wanted.domain)
        if not allowed:
            raise Forbidden("you may not abort there")
        if not (all_runs or wanted.has_conditions):
            raise InvalidArgument(
                "the filter has no condition and matches every run: set a field of it that is not empty, "
                "or say `all: true`; no run was aborted"
            )
        which = (*in_scopes(allowed), *run_conditions(wanted))
        if dry_run:
            async with self._database.read() as connection:
                return AbortedRuns(await requests.count_unfinished(connection, which), 0, None)
        batch = uuid.uuid4().hex

        async def work(connection: AsyncConnection) -> int:
            return await requests.request_all(connection, which, reason, aborted_by, _now(), batch)

        requested = await self._database.write(work)
        return AbortedRuns(requested, requested, batch if requested else None)

    async def abort_action(
        self, action_id: ActionIdentifier, reason: str | None, aborted_by: Identity | None
    ) -> bool:
        """Whether something is aborted by this call; for a root that is the run's abort. A finished
        action stays as it ended, and then what has not finished below it is aborted, each action with a
        request of its own. Raises ActionNotFound."""
        self._check(Permission.ABORT, [action_id])

        async def work(connection: AsyncConnection) -> bool:
            which = requests.is_action(action_id)
            if await requests.request(connection, which, reason, aborted_by, _now()):
                return True
            await _check_exists(connection, action_id)
            return await requests.request_below(connection, action_id, reason, aborted_by, _now()) > 0

        return await self._database.write(work)

    async def list_pending_aborts(self) -> list[Action]:
        """Every action whose abort is not confirmed, the oldest request first."""
        keyset = order_of_aborts
        statement = select(*ACTION_COLUMNS).where(is_unconfirmed, *in_scopes(self._seen))
        statement = statement.order_by(*keyset.order(backward=False))
        async with self._database.read() as connection:
            rows: Sequence[Any] = (await connection.execute(statement)).all()
        return [Action(*row) for row in rows]

    async def page_pending_aborts(self, page: PageRequest = PageRequest()) -> Page[Action]:
        """A page of list_pending_aborts. Raises InvalidCursor."""
        return await fetch_page(
            self._database,
            ("pending aborts", self._seen),
            lambda: select(*ACTION_COLUMNS).where(is_unconfirmed, *in_scopes(self._seen)),
            order_of_aborts,
            page,
            lambda found: found.rows(Action, ACTIONS.names(None)),
        )

    async def count_pending_aborts(self) -> int:
        """How many actions list_pending_aborts has."""
        statement = select(func.count()).select_from(actions).where(is_unconfirmed, *in_scopes(self._seen))
        async with self._database.read() as connection:
            return await connection.scalar(statement) or 0

    async def mark_abort_attempt(self, action_id: ActionIdentifier, error: str | None = None) -> int:
        """How often the executor has been told of the abort, this time included; `error` says why it
        did not work. Raises ActionNotFound, and Conflict where no abort waits to be confirmed."""
        self._check(Permission.WRITE, [action_id])

        async def work(connection: AsyncConnection) -> int:
            await _check_exists(connection, action_id)
            return await requests.mark_attempt(connection, action_id, error, _now())

        return await self._database.write(work)

    async def clear_abort_request(self, action_id: ActionIdentifier) -> None:
        """Confirm the abort: it no longer waits, and what has not finished below the action is ABORTED with
        it, for the same reason. Who asked and why is kept. Nothing happens where no abort waits. Raises
        ActionNotFound."""
        self._check(Permission.WRITE, [action_id])

        async def work(connection: AsyncConnection) -> None:
            await _check_exists(connection, action_id)
            await requests.confirm(connection, action_id, _now())

        await self._database.write(work)

    async def take_aborts(self, lease: str, duration: timedelta, limit: int, most_attempts: int) -> Taken:
        """Aborts that are due, the oldest request first: each is marked as one more attempt to tell the
        executor, and for so long nobody else takes it. By `lease` its holder is known. What has used up its
        attempts is given up instead: FAILED. Times are the database's, whatever the clocks of replicas say;
        what others hold is taken over once it was seen here for `duration`, whatever the database's says.
        """

        expired = await self._find_due(leases.EVERYWHERE, duration)
        if expired is None:
            return leases.NOTHING_DUE

        async def work(connection: AsyncConnection) -> Taken:
            return await leases.take(connection, lease, duration, limit, most_attempts, _now(), expired)

        return await self._database.write(work)

    async def tell_of_aborts(self, scopes: Collection[Scope], limit: int, most_attempts: int) -> Taken:
        """Aborts that are due and are told again by this, to those who watch abort requests. Each is due
        again after a pause, as after note_abort_failure."""

        expired = await self._find_due(scopes, timedelta(0))
        if expired is None:
            return leases.NOTHING_DUE

        async def work(connection: AsyncConnection) -> Taken:
            return await leases.tell(
                self._database, connection, scopes, limit, most_attempts, _now(), expired
            )

        return await self._database.write(work)

    async def _find_due(self, scopes: Collection[Scope], duration: timedelta) -> list[str] | None:
        async with self._database.read() as connection:
            return await leases.find_due(connection, scopes, self._leases, duration)

    async def note_abort_failure(
        self, action_id: ActionIdentifier, lease: str, error: str, most_attempts: int
    ) -> AbortState | None:
        """That the executor could not be told, or did not agree. RETRYING: it is due again after a pause of
        chance, of at most 1 s after the first attempt, twice as long after each, and 5 min. FAILED: its
        attempts are used up. None: somebody else has it, or it is confirmed, and nothing changed."""

        async def work(connection: AsyncConnection) -> AbortState | None:
            return await leases.note_failure(connection, action_id, lease, error, most_attempts, _now())

        return await self._database.write(work)

    async def retry_abort(self, action_id: ActionIdentifier) -> bool:
        """Whether an abort that was given up is a request again, with all its attempts before it; any other
        stays as it is. Raises ActionNotFound."""
        self._check(Permission.ABORT, [action_id])

        async def work(connection: AsyncConnection) -> bool:
            await _check_exists(connection, action_id)
            return await requests.retry(connection, action_id, _now())

        return await self._database.write(work)

    async def abort_figures(self) -> AbortMetrics:
        """How many aborts wait for an executor, and since when the first of them does."""
        async with self._database.read() as connection:
            return await requests.figures(connection)

    def on_notification(self, notify: Callable[[], None]) -> Callable[[], None]:
        """Have `notify` called whenever something may have been written, on any replica, until the function
        that comes back is called. A notification may get lost."""
        self._hub.on_notification.add(notify)
        return lambda: self._hub.on_notification.discard(notify)

    @property
    def abort_listeners(self) -> frozenset[Scope]:
        """The projects and domains whose abort requests are watched on this replica."""
        watches = (watch for watch in self._hub.mailboxes if isinstance(watch, RowMailbox))
        return frozenset(scope for watch in watches for scope in watch.listens_to)

    def watch_abort_requests(
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
                raise Forbidden("you may not confirm aborts there, and so not listen to requests")

        mailbox = RowMailbox(
            match=lambda row: match_pending_abort(row.action),
            of_runs=False,
            descendants=related.descendants,
            events=related.events,
            scopes=scopes,
            listens_to=scopes,
        )
        names = ACTIONS.names(with_revision(attributes))

        def statement() -> Select[tuple[object, ...]]:
            return select(*ACTIONS.select(names)).where(is_unconfirmed, is_abort_pending, *in_scopes(scopes))

        query = SnapshotQuery(
            ("watched aborts", names, scopes),
            statement,
            order_of_aborts,
            lambda found: found.rows(Action, names),
            names=names,
            check=check,
        )
        return self._row_stream(mailbox, query, after)

    def watch_abort_progress(self, batch: str) -> Stream[AbortProgress]:
        """How far the aborts of a batch have come, until none of them is pending. Raises NotFound."""

        async def count() -> AbortProgress | None:
            async with self._database.read() as connection:
                return await requests.progress(connection, batch, self._seen)

        def match(row: ActionRow) -> Match:
            return Match.NOW if row.run and row.run.abort_batch == batch else Match.NEVER

        mailbox = RowMailbox(match=match, of_runs=True)

        async def generate(stream: Stream[AbortProgress]) -> AsyncGenerator[AbortProgress, None]:
            await self._hub.join(mailbox)
            try:
                last = None
                while True:
                    mailbox.begin()
                    now = await count()
                    if now is None:
                        raise NotFound("there is no such batch of aborts")
                    if now != last:
                        last = now
                        yield now
                    if not now.pending:
                        return
                    if mailbox.is_empty:
                        await stream.wait()
                    await asyncio.sleep(_BETWEEN_COUNTS)
            finally:
                self._hub.leave(mailbox)

        return Stream(self._hub, mailbox, generate)


def _now() -> datetime:
    return datetime.now(UTC)


async def _check_exists(connection: AsyncConnection, action_id: ActionIdentifier) -> None:
    if await connection.scalar(select(c.name).where(requests.is_action(action_id))) is None:
        raise ActionNotFound(f"there is no action {action_id}")
