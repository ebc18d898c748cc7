"""Watches, for one caller: what each stream is about."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, bindparam, select

from repo.actions.filters import ActionFilter, RunFilter, action_conditions
from repo.actions.lists import in_scopes, order_of_aborts, order_of_runs, tree_order
from repo.actions.rows import ACTION_COLUMNS, ACTIONS, RUN_COLUMNS, RUNS, ActionRow, Attributes
from repo.actions.run_pages import fetch_run_page
from repo.domain.authorization import Access, Permission, Scope, narrowed
from repo.domain.errors import ActionNotFound, Forbidden, InvalidArgument, RunNotFound
from repo.domain.identifiers import ActionIdentifier, RunIdentifier
from repo.domain.logs import LogQuery, LogSummary
from repo.domain.models import AbortProgress, Action, ActionEvent, Run
from repo.domain.pages import MAX_PAGE, Order
from repo.domain.phases import is_count
from repo.logs.logs import ALL_LINES
from repo.logs.reader import read_summary
from repo.sql.database import Database
from repo.tables import actions, is_abort_pending, is_root, is_unconfirmed
from repo.watch.abort_streams import progress_updates
from repo.watch.bus import Bus
from repo.watch.event_streams import event_frames, state_frames
from repo.watch.hub import Hub, HubMetrics
from repo.watch.log_streams import LogFrame, log_frames
from repo.watch.log_tails import LogMailbox, LogTails
from repo.watch.mailboxes import NOTHING_RELATED, EventMailbox, Related, RowMailbox, StateMailbox
from repo.watch.matching import Match, action_matcher, match_all, match_pending_abort, run_matcher
from repo.watch.row_streams import row_frames
from repo.watch.snapshots import SnapshotQuery
from repo.watch.stream import Frame, Stream

T = TypeVar("T")

c = actions.c
_run_key = bindparam("run_key", type_=c.run_key.type)
_key = bindparam("key", type_=c.key.type)


@dataclass(frozen=True, slots=True)
class WatchMetrics:
    """The streams of one replica."""

    watches: int
    """Open streams."""
    pending: int
    """Entries in their mailboxes."""
    lag_seconds: float
    """Seconds since the last poll ended; 0 without streams."""
    bus_connected: bool
    """Whether notifications reach other replicas."""
    counts: HubMetrics
    """Counts since the start."""


class Watches:
    """The streams of the repository, for one caller. Each is an async iterator; `aclose` ends it.

    Delivery is at least once: of two copies of a row, the one with the higher revision is newer, and an older
    one never follows. What the caller may not read is left out. A stream about a run or action that is
    removed raises RunNotFound or ActionNotFound, as a new one would.
    """

    def __init__(self, database: Database, hub: Hub, bus: Bus, tails: LogTails, access: Access) -> None:
        self._database = database
        self.tails = tails
        self.hub = hub
        self._bus = bus
        self._access = access

    def metrics(self) -> WatchMetrics:
        """The state of the streams of this replica."""
        hub = self.hub
        return WatchMetrics(len(hub.mailboxes), hub.pending, hub.lag, self._bus.connected, hub.metrics)

    def watch_run_updates(
        self, run_id: RunIdentifier, until_terminal: bool = False, related: Related = NOTHING_RELATED
    ) -> Stream[Run]:
        """The run now, then each newer version of it; with `until_terminal`, until it has ended.
        Raises RunNotFound."""
        mailbox = RowMailbox(match=match_all, of_runs=True, run_key=run_id.key, related=related)
        query = SnapshotQuery(
            "watched run",
            lambda: select(*RUN_COLUMNS).where(c.run_key == _run_key, is_root),
            tree_order,
            lambda found: found.rows(Run, RUNS.names(None)),
            {"run_key": run_id.key},
            check=lambda: self._check_run(run_id),
        )
        return self._item_stream(mailbox, query, until_terminal)

    def watch_all_run_updates(
        self,
        filter: RunFilter | None = None,
        first: int = 100,
        after: str | None = None,
        related: Related = NOTHING_RELATED,
        attributes: Attributes = None,
    ) -> Stream[Frame[Run]]:
        """The `first` newest runs that match, then every run that is created, changes, or leaves the
        filter. `after` is the cursor of a frame. The snapshot has only these attributes, or all."""

        async def check() -> None:
            if not 0 <= first <= MAX_PAGE:
                raise InvalidArgument(f"first must be between 0 and {MAX_PAGE}, not {first}")

        by_members = filter is not None and filter.has_paused_actions is not None
        scopes = readable = self._access.readable
        if filter is not None:
            scopes = narrowed(scopes, filter.project, filter.domain)
        mailbox = RowMailbox(
            match=run_matcher(filter),
            of_runs=True,
            related=Related(related.descendants or by_members, related.events),
            scopes=scopes,
        )
        names = RUNS.names(_with_revision(attributes))
        query = SnapshotQuery(
            ("watched runs", names, filter, readable),
            lambda: select(*RUNS.select(names)),
            order_of_runs(Order()),
            lambda found: found.rows(Run, names),
            names=names,
            pages=lambda request, read: fetch_run_page(
                self._database, names, filter, readable, Order(), request, read
            ),
            limit=first,
            check=check,
        )
        return self._row_stream(mailbox, query, after)

    def watch_all_action_updates(
        self,
        run_id: RunIdentifier,
        filter: ActionFilter | None = None,
        after: str | None = None,
        until_terminal: bool = False,
        related: Related = NOTHING_RELATED,
        attributes: Attributes = None,
    ) -> Stream[Frame[Action]]:
        """The actions of a run that match, parents before their children, then every one that is created,
        changes, or leaves the filter; with `until_terminal`, until the run has ended. `after` is the
        cursor of a frame. The snapshot has only these attributes, or all. Raises RunNotFound."""
        mailbox = RowMailbox(match=action_matcher(filter), of_runs=False, run_key=run_id.key, related=related)
        names = ACTIONS.names(_with_revision(attributes))
        query = SnapshotQuery(
            ("watched actions", names, filter),
            lambda: select(*ACTIONS.select(names)).where(c.run_key == _run_key, *action_conditions(filter)),
            tree_order,
            lambda found: found.rows(Action, names),
            {"run_key": run_id.key},
            names,
            check=lambda: self._check_run(run_id),
        )
        return self._row_stream(mailbox, query, after, until_terminal)

    def watch_action_updates(
        self, action_id: ActionIdentifier, until_terminal: bool = False, related: Related = NOTHING_RELATED
    ) -> Stream[Action]:
        """The action now, then each newer version of it, new events counting as a change; with
        `until_terminal`, until it has ended. Raises ActionNotFound."""
        key = action_id.key
        mailbox = RowMailbox(
            match=match_all,
            of_runs=False,
            run_key=action_id.run.key,
            action_key=key,
            related=Related(related.descendants, events=True),
        )
        query = SnapshotQuery(
            "watched action",
            lambda: select(*ACTION_COLUMNS).where(c.key == _key),
            tree_order,
            lambda found: found.rows(Action, ACTIONS.names(None)),
            {"key": key},
            check=lambda: self._check_action(action_id),
        )
        return self._item_stream(mailbox, query, until_terminal)

    def watch_events(
        self,
        run_id: RunIdentifier,
        action_name: str | None = None,
        attempt: int | None = None,
        after: str | None = None,
    ) -> Stream[Frame[ActionEvent]]:
        """The events of a run, or of one of its actions or attempts: first those that exist, then every one
        that is inserted, each once. `after` is the cursor of a frame. Raises RunNotFound or
        ActionNotFound."""

        async def check() -> None:
            await self._check_run(run_id)
            if action is not None:
                await self._check_action(action)

        action = None
        if action_name is not None:
            action = ActionIdentifier(run_id.project, run_id.domain, run_id.name, action_name)
        key = None if action is None else action.key
        mailbox = EventMailbox(run_key=run_id.key, action_key=key, attempt=attempt)
        return Stream(
            self.hub,
            mailbox,
            lambda stream: event_frames(
                stream, self._database, mailbox, check, lambda: self._check_run(run_id), after
            ),
        )

    def watch_log(
        self,
        action_id: ActionIdentifier,
        attempt: int,
        query: LogQuery = ALL_LINES,
        after: int | None = None,
        last: int | None = None,
    ) -> Stream[LogFrame]:
        """The lines of the log of an attempt that match: those after a number, or else the `last` ones or
        all, then every new one, each once and in order. A frame's `end` resumes it. Raises ActionNotFound."""
        attempt = attempt if is_count(attempt) else -1
        mailbox = LogMailbox(run_key=action_id.run.key, log=(action_id.key, attempt))
        scopes = self._access.readable

        def summary() -> Awaitable[LogSummary]:
            return read_summary(self._database, action_id, attempt, scopes)

        return Stream(
            self.hub,
            mailbox,
            lambda stream: log_frames(
                stream, self._database, self.tails, mailbox, query, summary, after, last
            ),
        )

    def watch_state_updates(
        self, run_id: RunIdentifier | None = None, after: str | None = None
    ) -> Stream[Frame[ActionIdentifier]]:
        """The identifiers of actions whose state was set or notified, of a run or of all. Begins with SYNCED
        unless `after`, the cursor of a frame, is given. RESYNC: states may have changed unseen. Raises
        RunNotFound."""
        mailbox = StateMailbox(run_key=run_id.key if run_id else None, scopes=self._access.readable)

        async def check() -> None:
            if run_id is not None:
                await self._check_run(run_id)

        return Stream(self.hub, mailbox, lambda stream: state_frames(stream, mailbox, check, after))

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
                raise Forbidden("you may not confirm aborts there, so you cannot watch their requests")

        mailbox = RowMailbox(
            match=lambda row: match_pending_abort(row.action),
            of_runs=False,
            related=related,
            scopes=scopes,
            listens_to=scopes,
        )
        names = ACTIONS.names(_with_revision(attributes))
        pending = (is_unconfirmed, is_abort_pending, *in_scopes(scopes))
        query = SnapshotQuery(
            ("watched aborts", names, scopes),
            lambda: select(*ACTIONS.select(names)).where(*pending),
            order_of_aborts,
            lambda found: found.rows(Action, names),
            names=names,
            check=check,
        )
        return self._row_stream(mailbox, query, after)

    def watch_abort_progress(self, batch: str) -> Stream[AbortProgress]:
        """How far the aborts of a batch have come, until none of them is pending. Raises NotFound."""

        def match(row: ActionRow) -> Match:
            return Match.NOW if row.run and row.run.abort_batch == batch else Match.NEVER

        mailbox, scopes = RowMailbox(match=match, of_runs=True), self._access.readable
        return Stream(
            self.hub, mailbox, lambda stream: progress_updates(stream, self._database, mailbox, batch, scopes)
        )

    @property
    def abort_scopes(self) -> frozenset[Scope]:
        """The projects and domains whose abort requests are watched on this replica."""
        mailboxes = (each for each in self.hub.mailboxes if isinstance(each, RowMailbox))
        return frozenset(scope for mailbox in mailboxes for scope in mailbox.listens_to)

    def on_notification(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` whenever anything may have been written, on any replica, until the returned
        function is called. A notification may get lost."""
        callbacks = self.hub.on_notification
        callbacks.add(callback)
        return lambda: callbacks.discard(callback)

    def _row_stream(
        self, mailbox: RowMailbox, query: SnapshotQuery[Any], after: str | None, until_terminal: bool = False
    ) -> Stream[Frame[Any]]:
        """A stream of rows: what the query reads, then what comes into the mailbox."""
        return Stream(
            self.hub,
            mailbox,
            lambda stream: row_frames(stream, self._database, mailbox, query, after, until_terminal),
        )

    def _item_stream(self, mailbox: RowMailbox, query: SnapshotQuery[T], until_terminal: bool) -> Stream[T]:
        return Stream(
            self.hub,
            mailbox,
            lambda stream: _items(
                row_frames(stream, self._database, mailbox, query, until_terminal=until_terminal)
            ),
        )

    async def _check_run(self, run_id: RunIdentifier) -> None:
        if not await self._exists(c.run_key == run_id.key, is_root):
            raise RunNotFound(f"there is no run {run_id}")

    async def _check_action(self, action_id: ActionIdentifier) -> None:
        if not await self._exists(c.key == action_id.key):
            raise ActionNotFound(f"there is no action {action_id}")

    async def _exists(self, *conditions: ColumnElement[bool]) -> bool:
        exists = select(c.name).where(*conditions, *in_scopes(self._access.readable))
        async with self._database.read() as connection:
            return await connection.scalar(exists) is not None


async def _items(frames: AsyncGenerator[Frame[T], None]) -> AsyncGenerator[T, None]:
    """The rows of the frames, one by one."""
    async with aclosing(frames):
        async for frame in frames:
            for item in frame.items:
                yield item


def _with_revision(attributes: Attributes) -> Attributes:
    """The attributes with those that tell a newer row from an older one."""
    return None if attributes is None else attributes | {"key", "revision"}
