"""Owns the streams of ActionRepo.watch_*: what is there now, then every change, without a gap.

A watch joins the hub first, then reads what is there, then hands on what comes into its mailbox. No
connection is held while a client is slow.
"""

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Hashable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache, partial
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Select, bindparam, select

from repo.actions.events import EVENT_COLUMNS, event_of
from repo.actions.filters import ActionFilter, RunFilter, action_conditions, run_conditions
from repo.actions.lists import in_scopes, order_of_runs, tree_order
from repo.actions.rows import ACTION_COLUMNS, ACTIONS, RUN_COLUMNS, RUNS, Attributes
from repo.domain.authorization import AccessControlled, narrowed
from repo.domain.cursors import FeedPosition, WatchCursor, parse_watch_cursor
from repo.domain.errors import (
    ActionNotFound,
    DatabaseUnavailable,
    InvalidArgument,
    InvalidCursor,
    RunNotFound,
)
from repo.domain.identifiers import ActionIdentifier, RunIdentifier
from repo.domain.models import (
    Action,
    ActionEvent,
    RemovedRun,
    Run,
)
from repo.domain.pages import MAX_PAGE, Order, Page, PageRequest
from repo.sql.database import Database
from repo.sql.filters import written_after
from repo.sql.paging import Keyset, fetch_page
from repo.sql.statements import ResultSet
from repo.tables import action_events, actions, is_root
from repo.watch.bus import Bus
from repo.watch.frames import (
    MAX_ROWS,
    PageSize,
    part,
    parts_of,
)
from repo.watch.hub import (
    EventMailbox,
    Hub,
    RowMailbox,
    StateMailbox,
    Watch,
)
from repo.watch.matching import action_matcher, match_all, run_matcher

T = TypeVar("T")

_RETRY = 1.0
"""Seconds until a database that was away is asked again, at the most."""

c = actions.c
e = action_events.c
_run_key = bindparam("run_key", type_=c.run_key.type)
_key = bindparam("key", type_=c.key.type)


class FrameKind(Enum):
    """What a frame of a stream says."""

    SNAPSHOT = "snapshot"
    SYNCED = "synced"
    CHANGE = "change"
    RESYNC = "resync"


@dataclass(frozen=True, slots=True)
class Frame(Generic[T]):
    """A piece of a stream. Given back as `after`, `cursor` takes the stream up behind this piece."""

    kind: FrameKind
    items: Sequence[T]
    removed: Sequence[T | RemovedRun]
    cursor: str


@dataclass(frozen=True, slots=True)
class Related:
    """What a client shows of a row besides its own columns, so that a change of it counts too."""

    descendants: bool = False
    """Something about the actions below it, such as counts by phase."""
    events: bool = False
    """Something about its events; of a run, about those of any of its actions."""


NOTHING_RELATED = Related()


class Progress:
    """How far a stream has come. Two streams of the same rows that are both drained at one moment go on
    alike from there: the one may take the place of the other."""

    def __init__(self) -> None:
        self.waits = False
        """The stream waits for something to come."""
        self.cursor: str | None = None
        """Where the last frame ended, in streams of frames."""
        self._complete = False
        self._watch: Watch | None = None
        self._hub: Hub | None = None

    @property
    def is_complete(self) -> bool:
        """Nothing more is known to belong to what was given out last."""
        return self._complete

    @property
    def is_drained(self) -> bool:
        """Everything that was seen so far, by any stream, has been given out by this one."""
        if self._hub is None or self._watch is None:
            return False
        return self._complete and self._watch.is_empty and self._hub.is_quiet

    def begin(self, hub: Hub, watch: Watch) -> None:
        """The stream has joined the hub."""
        self._hub, self._watch = hub, watch

    def give(self, frame: Frame[T], complete: bool = True) -> Frame[T]:
        """The frame, which is given out now; not `complete` where more of the same belongs to it."""
        self.cursor, self._complete = frame.cursor, complete
        return frame

    async def wait(self, woken: asyncio.Event) -> None:
        """Wait for something to come."""
        woken.clear()
        self.waits = self._complete = True
        try:
            await woken.wait()
        finally:
            self.waits = False


@dataclass(frozen=True, slots=True)
class Start(Generic[T]):
    """What a stream of rows begins with."""

    key: Hashable
    """What stands for the statement."""
    statement: Callable[[], Select[Any]]
    order: Keyset
    read: Callable[[ResultSet], Sequence[T]]
    values: Mapping[str, Any] = field(default_factory=dict)
    """What the statement has to be run with."""
    names: Collection[str] = ()
    """The fields that are read."""
    most: int | None = None
    """Only so many, where a number is given."""
    check: Callable[[], Awaitable[None]] | None = None
    """Raises where what the stream is about does not exist."""


@dataclass(frozen=True, slots=True)
class WatchMetrics:
    """How watching goes on one replica, since it started or now."""

    watches: int
    """Watches now."""
    pending: int
    """Entries that wait in their mailboxes now."""
    lag_seconds: float
    """Seconds since the last look ended; 0 where nobody watches."""
    looks: int
    """Looks at what was written."""
    polls_without_notification: int
    """Looks that found something for which no bell had rung."""
    failures: int
    """Looks that failed."""
    resyncs: int
    """Watches that had to begin anew."""
    bus_connected: bool
    """Whether rings reach other replicas now."""


class Watching(AccessControlled):
    """The watches of the repository. Each is an async iterator; closing it ends the watch.

    Delivery is at least once: of two copies of a row, the one with the higher revision is the newer. An
    older one never follows. What the caller may not see does not come. Where the one run or action that a
    watch is about is removed, it raises RunNotFound or ActionNotFound, as a new one would.
    """

    _database: Database
    _hub: Hub
    _bus: Bus

    def watch_metrics(self) -> WatchMetrics:
        """How watching goes on this replica."""
        hub, figures = self._hub, self._hub.figures
        return WatchMetrics(
            watches=len(hub.mailboxes),
            pending=hub.pending,
            lag_seconds=hub.lag,
            looks=figures.looks,
            polls_without_notification=figures.polls_without_notification,
            failures=figures.failures,
            resyncs=figures.resyncs,
            bus_connected=self._bus.connected,
        )

    async def watch_run_updates(
        self,
        run_id: RunIdentifier,
        until_terminal: bool = False,
        related: Related = NOTHING_RELATED,
        progress: Progress | None = None,
    ) -> AsyncGenerator[Run, None]:
        """The run now, then each newer version of it; with `until_terminal`, until it has ended.
        Raises RunNotFound."""
        watch = RowMailbox(match_all, True, run_id.key, None, related.descendants, related.events)
        start = Start(
            "watched run",
            lambda: select(*RUN_COLUMNS).where(c.run_key == _run_key, is_root),
            order_of_runs(Order()),
            lambda found: found.rows(Run, RUNS.names(None)),
            {"run_key": run_id.key},
            check=lambda: self._check_run(run_id),
        )
        await self._check_run(run_id)
        async with aclosing(self._stream_rows(watch, start, None, until_terminal, progress)) as frames:
            async for frame in frames:
                for run in frame.items:
                    yield run

    async def watch_all_run_updates(
        self,
        wanted: RunFilter | None = None,
        first: int = 100,
        after: str | None = None,
        related: Related = NOTHING_RELATED,
        progress: Progress | None = None,
        attributes: Attributes = None,
    ) -> AsyncGenerator[Frame[Run], None]:
        """The `first` newest runs that match, then every run that is created, changes, or leaves the
        filter. `after` is the cursor of a frame. Of what is there at first only these attributes are
        read, or all."""
        if not 0 <= first <= MAX_PAGE:
            raise InvalidArgument(f"first must be between 0 and {MAX_PAGE}, not {first}")
        by_members = wanted is not None and wanted.has_paused_actions is not None
        scopes = self._seen
        if wanted is not None:
            scopes = narrowed(scopes, wanted.project, wanted.domain)
        watch = RowMailbox(
            run_matcher(wanted),
            True,
            None,
            None,
            related.descendants or by_members,
            related.events,
            scopes,
        )
        names = RUNS.names(with_revision(attributes))
        start = Start(
            ("watched runs", names, wanted, self._seen),
            lambda: select(*RUNS.select(names)).where(*in_scopes(self._seen), *run_conditions(wanted)),
            order_of_runs(Order()),
            lambda found: found.rows(Run, names),
            names=names,
            most=first,
        )
        async with aclosing(self._stream_rows(watch, start, after, False, progress)) as frames:
            async for frame in frames:
                yield frame

    async def watch_all_action_updates(
        self,
        run_id: RunIdentifier,
        wanted: ActionFilter | None = None,
        after: str | None = None,
        until_terminal: bool = False,
        related: Related = NOTHING_RELATED,
        progress: Progress | None = None,
        attributes: Attributes = None,
    ) -> AsyncGenerator[Frame[Action], None]:
        """The actions of a run that match, parents before their children, then every one that is created,
        changes, or leaves the filter; with `until_terminal`, until the run has ended. `after` is the
        cursor of a frame. Of what is there at first only these attributes are read, or all. Raises
        RunNotFound."""
        watch = RowMailbox(
            action_matcher(wanted),
            False,
            run_id.key,
            None,
            related.descendants,
            related.events,
        )
        names = ACTIONS.names(with_revision(attributes))
        start = Start(
            ("watched actions", names, wanted),
            lambda: select(*ACTIONS.select(names)).where(c.run_key == _run_key, *action_conditions(wanted)),
            tree_order,
            lambda found: found.rows(Action, names),
            {"run_key": run_id.key},
            names,
            check=lambda: self._check_run(run_id),
        )
        await self._check_run(run_id)
        async with aclosing(self._stream_rows(watch, start, after, until_terminal, progress)) as frames:
            async for frame in frames:
                yield frame

    async def watch_action_updates(
        self,
        action_id: ActionIdentifier,
        until_terminal: bool = False,
        related: Related = NOTHING_RELATED,
        progress: Progress | None = None,
    ) -> AsyncGenerator[Action, None]:
        """The action now, then each newer version of it, new events counting as a change; with
        `until_terminal`, until it has ended. Raises ActionNotFound."""
        key = action_id.key
        watch = RowMailbox(match_all, False, action_id.run.key, key, related.descendants, events=True)
        start = Start(
            "watched action",
            lambda: select(*ACTION_COLUMNS).where(c.key == _key),
            tree_order,
            lambda found: found.rows(Action, ACTIONS.names(None)),
            {"key": key},
            check=lambda: self._check_action(action_id),
        )
        await self._check_action(action_id)
        async with aclosing(self._stream_rows(watch, start, None, until_terminal, progress)) as frames:
            async for frame in frames:
                for action in frame.items:
                    yield action

    async def watch_events(
        self,
        run_id: RunIdentifier,
        action_name: str | None = None,
        attempt: int | None = None,
        after: str | None = None,
        progress: Progress | None = None,
    ) -> AsyncGenerator[Frame[ActionEvent], None]:
        """The events of a run, or of one of its actions or attempts: first those that are there, then
        every one that is inserted, each once. `after` is the cursor of a frame. Raises RunNotFound, or
        ActionNotFound."""

        async def check() -> None:
            await self._check_run(run_id)
            if action is not None:
                await self._check_action(action)

        action = None
        if action_name is not None:
            action = ActionIdentifier(run_id.project, run_id.domain, run_id.name, action_name)
        await check()
        key = None if action is None else action.key
        watch, progress = EventMailbox(run_id.key, key, attempt), progress or Progress()
        await self._hub.join(watch)
        progress.begin(self._hub, watch)
        try:
            given = None if after is None else parse_watch_cursor(after)
            if given is not None and not await self._hub.resume(watch, given.position):
                given = None
            # Before anything is waited for: what comes into the mailbox from here on is behind it.
            joined, anew = watch.position, after is not None
            while True:
                stream = self._stream_events(watch, joined, given, anew and given is None, run_id, progress)
                async with aclosing(stream) as frames:
                    async for frame, complete in frames:
                        yield progress.give(frame, complete)
                await _patiently(check)
                watch.begin()
                joined, given, anew = watch.position, None, True
        finally:
            self._hub.leave(watch)

    async def watch_state_updates(
        self,
        run_id: RunIdentifier | None = None,
        after: str | None = None,
        progress: Progress | None = None,
    ) -> AsyncGenerator[Frame[ActionIdentifier], None]:
        """The identifiers of actions whose state was set or notified, of a run or of all. Begins with SYNCED
        unless `after`, the cursor of a frame, is given. RESYNC: states may have changed unseen. Raises
        RunNotFound."""
        hub, progress = self._hub, progress or Progress()
        watch = StateMailbox(run_id.key if run_id else None, self._seen)
        await hub.join(watch)
        progress.begin(hub, watch)
        try:
            if run_id is not None:
                await self._check_run(run_id)
            given, anew = None if after is None else parse_watch_cursor(after), after is not None
            is_resumed = given is not None and await hub.resume(watch, given.position)
            last = "" if given is None else self._cursor(given.position)
            while True:
                if not is_resumed:
                    if anew:
                        hub.figures.resyncs += 1
                        yield progress.give(self._resync(watch.position), complete=False)
                    last = self._cursor(watch.position)
                    yield progress.give(Frame(FrameKind.SYNCED, [], [], last))
                while not watch.overflowed:
                    if watch.pending:
                        items, watch.pending = list(watch.pending.values()), {}
                        next_cursor = self._cursor(watch.position)
                        for at in range(0, len(items), MAX_ROWS):
                            is_last = at + MAX_ROWS >= len(items)
                            last = next_cursor if is_last else last
                            some = items[at : at + MAX_ROWS]
                            yield progress.give(Frame(FrameKind.CHANGE, some, [], last), is_last)
                    else:
                        await progress.wait(watch.woken)
                if run_id is not None:
                    await _patiently(partial(self._check_run, run_id))
                watch.begin()
                is_resumed, anew = False, True
        finally:
            hub.leave(watch)

    def _resync(self, position: FeedPosition) -> Frame[Any]:
        return Frame(FrameKind.RESYNC, [], [], self._cursor(position))

    def _cursor(self, position: FeedPosition, page: str | None = None) -> str:
        return _text_of(WatchCursor(position, page))

    async def _check_run(self, run_id: RunIdentifier) -> None:
        async with self._database.read() as connection:
            statement = select(c.name).where(c.run_key == run_id.key, is_root, *in_scopes(self._seen))
            if await connection.scalar(statement) is None:
                raise RunNotFound(f"there is no run {run_id}")

    async def _check_action(self, action_id: ActionIdentifier) -> None:
        exists = select(c.name).where(c.key == action_id.key, *in_scopes(self._seen))
        async with self._database.read() as connection:
            if await connection.scalar(exists) is None:
                raise ActionNotFound(f"there is no action {action_id}")

    async def _stream_rows(
        self,
        watch: RowMailbox,
        start: Start[Any],
        after: str | None,
        until_terminal: bool,
        progress: Progress | None,
    ) -> AsyncGenerator[Frame[Any], None]:
        hub, progress = self._hub, progress or Progress()
        await hub.join(watch)
        progress.begin(hub, watch)
        try:
            given = None if after is None else parse_watch_cursor(after)
            if given is not None and not await hub.resume(watch, given.position):
                given = None
            begun = watch.position if given is None else given.position
            if given is None and after is not None:
                hub.figures.resyncs += 1
                yield progress.give(self._resync(begun), complete=False)
            complete, page = given is not None and given.page is None, given.page if given else None
            while True:
                if not complete:
                    async with aclosing(self._stream_snapshot(watch, start, begun, page)) as frames:
                        async for frame in frames:
                            yield progress.give(frame, frame.kind is FrameKind.SYNCED)
                last = self._cursor(begun)
                if until_terminal and await _patiently(lambda: self._has_ended(watch)):
                    await _patiently(hub.poll)
                    watch.ended = True
                while not watch.overflowed:
                    sizes = watch.sizes
                    items, removed = watch.take()
                    if items or removed:
                        next_cursor = self._cursor(watch.position)
                        parts = list(parts_of([sizes[item.key] for item in items]))
                        count = max(len(parts), -(-len(removed) // MAX_ROWS))
                        for number in range(count):
                            start_, end = parts[number] if number < len(parts) else (0, 0)
                            gone = removed[number * MAX_ROWS : (number + 1) * MAX_ROWS]
                            is_last = number == count - 1
                            last = next_cursor if is_last else last
                            frame = Frame(FrameKind.CHANGE, items[start_:end], gone, last)
                            yield progress.give(frame, is_last)
                    elif until_terminal and watch.ended:
                        return
                    else:
                        await progress.wait(watch.woken)
                if start.check is not None:
                    await _patiently(start.check)
                watch.begin()
                hub.figures.resyncs += 1
                complete, page, begun = False, None, watch.position
                yield progress.give(self._resync(begun), complete=False)
        finally:
            hub.leave(watch)

    async def _stream_snapshot(
        self, watch: RowMailbox, start: Start[Any], begun: FeedPosition, page: str | None
    ) -> AsyncGenerator[Frame[Any], None]:
        """What is there, in pages, and that it is complete. An interrupted one is taken up at its page."""
        size, is_one_page, left = PageSize(start.names), page is None, start.most
        if left is not None and page is not None:
            try:
                left, page = _read_left(page)
            except InvalidCursor:
                watch.overflow()
                return
        coming: asyncio.Task[tuple[Page[Any], list[int]]] | None = asyncio.create_task(
            self._page(start, size.rows, page, left)
        )
        try:
            while coming is not None and not watch.overflowed:
                try:
                    found, sizes = await coming
                except InvalidCursor:
                    watch.overflow()
                    return
                watch.note(found.items)
                size.note(sizes)
                after = None if left is None else left - len(found.items)
                page = found.end_cursor if found.has_next and after != 0 else None
                # The next page is read while this one is executed and sent.
                coming = None
                if page is not None:
                    coming = asyncio.create_task(self._page(start, size.rows, page, after))
                for begin, end in parts_of(sizes):
                    # Behind the last page all that is missing is what comes into the mailbox.
                    behind = page if end == len(sizes) else found.cursor(end - 1)
                    if behind is not None and left is not None:
                        behind = f"{left - end}:{behind}"
                    items = part(found.items, begin, end)
                    yield Frame(FrameKind.SNAPSHOT, items, [], self._cursor(begun, behind))
                left = after
                is_one_page = is_one_page and page is None
            if start.check is not None and not is_one_page:
                # What was removed between two pages is not complete with the first of them.
                await _patiently(start.check)
        finally:
            if coming is not None:
                coming.cancel()
                await asyncio.gather(coming, return_exceptions=True)
        if not watch.overflowed:
            watch.end_snapshot(self._hub.figures.looks)
            yield Frame(FrameKind.SYNCED, [], [], self._cursor(begun))

    async def _page(
        self, start: "Start[T]", rows: int, after: str | None, most: int | None = None
    ) -> tuple[Page[T], list[int]]:
        """A page of so many rows, and how large each of them is."""
        request = PageRequest(rows if most is None else min(rows, most), after)

        async def fetch() -> tuple[Page[T], list[int]]:
            sizes: list[int] = []

            def read(found: ResultSet) -> Sequence[T]:
                sizes[:] = found.sizes()
                return start.read(found)

            page = await fetch_page(
                self._database, start.key, start.statement, start.order, request, read, start.values
            )
            return page, sizes

        return await _patiently(fetch)

    async def _has_ended(self, watch: RowMailbox) -> bool:
        which = c.key == watch.action_key if watch.action_key else (c.run_key == watch.run_key) & is_root
        async with self._database.read() as connection:
            phase = await connection.scalar(select(c.phase).where(which))
        return phase is not None and bool(phase.is_terminal)

    async def _stream_events(
        self,
        watch: EventMailbox,
        joined: FeedPosition,
        given: WatchCursor | None,
        anew: bool,
        run_id: RunIdentifier,
        progress: Progress,
    ) -> AsyncGenerator[tuple[Frame[ActionEvent], bool], None]:
        """The frames, each with whether none is known to follow, until the run may have been removed. What
        came behind `joined` is in the mailbox."""
        sent = joined if given is None else given.position
        if anew:
            self._hub.figures.resyncs += 1
            yield self._resync(sent), False
        if given is None or given.page is not None:
            begun_at = given.page if given else None
            seen = ~written_after(e.transaction_id, sent)
            async with aclosing(self._event_pages(watch, seen, _by_time, begun_at)) as pages:
                is_one_page = begun_at is None
                async for items, page in pages:
                    is_one_page = is_one_page and page is None
                    if not is_one_page and not await self._is_up_to_date(watch):
                        return
                    yield Frame(FrameKind.SNAPSHOT, items, [], self._cursor(sent, page)), False
            if not is_one_page:
                # What was removed between two pages is not complete with the first of them.
                await _patiently(lambda: self._check_run(run_id))
            yield Frame(FrameKind.SYNCED, [], [], self._cursor(sent)), sent == joined
        until = joined
        while not watch.must_restart:
            if sent != until:
                between = written_after(e.transaction_id, sent) & ~(written_after(e.transaction_id, until))
                async with aclosing(self._event_pages(watch, between, _by_transaction, None)) as pages:
                    async for items, page in pages:
                        if not await self._is_up_to_date(watch):
                            break
                        last = self._cursor(until if page is None else sent)
                        yield Frame(FrameKind.CHANGE, items, [], last), page is None
                sent = until
            if watch.overflowed:
                # The database has them all; from here on the mailbox has what comes behind `until`.
                watch.take()
                watch.overflowed = False
                until = watch.position
            elif watch.pending:
                items, sizes = watch.take()
                until = watch.position
                for begin, end in parts_of(sizes):
                    is_last = end == len(items)
                    last = self._cursor(until if is_last else sent)
                    yield Frame(FrameKind.CHANGE, items[begin:end], [], last), is_last
                sent = until
            else:
                await progress.wait(watch.woken)

    async def _is_up_to_date(self, watch: EventMailbox) -> bool:
        """Whether what was just read does not come from behind a failover that lost what was sent before:
        the hub, which would notice, may not have read anything since."""
        await _patiently(self._hub.poll)
        return not watch.must_restart

    async def _event_pages(
        self, watch: EventMailbox, which: ColumnElement[bool], order: Keyset, page: str | None
    ) -> AsyncGenerator[tuple[Sequence[ActionEvent], str | None], None]:
        """Pages of events, each with the cursor behind it where more follow."""
        named = (c.project, c.domain, c.run_name, c.name)
        statement = select(*EVENT_COLUMNS, *named).join(actions, e.action_key == c.key).where(which)
        if watch.action_key is not None:
            statement = statement.where(e.action_key == watch.action_key)
        else:
            first, last = watch.run_key + bytes(16), watch.run_key + b"\xff" * 16
            statement = statement.where(e.action_key.between(first, last))
        if watch.attempt is not None:
            statement = statement.where(e.attempt == watch.attempt)
        names = {column.name for column in EVENT_COLUMNS}
        start = Start(
            object(),
            lambda: statement,
            order,
            lambda found: [_named_event(row) for row in found.decoded()],
            names=names,
        )
        more, size = True, PageSize(names)
        while more:
            found, sizes = await self._page(start, size.rows, page)
            size.note(sizes)
            more = found.has_next
            page = found.end_cursor if more else None
            for begin, end in parts_of(sizes):
                yield found.items[begin:end], page if end == len(sizes) else found.cursor(end - 1)


def _read_left(page: str) -> tuple[int, str]:
    """How many rows are left of those that a snapshot is to have, and behind which cursor. Raises
    InvalidCursor."""
    left, _, cursor = page.partition(":")
    if not (left.isdecimal() and 0 < int(left[:5]) <= MAX_PAGE):
        raise InvalidCursor("no stream of this server gave this cursor out")
    return int(left), cursor


# All who get the same changes get them with the same cursor.
@lru_cache(64)
def _text_of(cursor: WatchCursor) -> str:
    return str(cursor)


async def _patiently(read: Callable[[], Awaitable[T]]) -> T:
    """What it returns, once the database is there: a stream that has begun does not break off for that."""
    while True:
        try:
            return await read()
        except DatabaseUnavailable:
            await asyncio.sleep(random.uniform(0, _RETRY))


_by_time = Keyset("EVENT_TIME", e.occurred_at, False, (e.action_key, e.attempt, e.phase, e.version))
_by_transaction = Keyset(
    "EVENT_TRANSACTION", e.transaction_id, False, (e.action_key, e.attempt, e.phase, e.version)
)


def _named_event(row: Sequence[Any]) -> ActionEvent:
    return event_of(row, ActionIdentifier(*row[len(EVENT_COLUMNS) : len(EVENT_COLUMNS) + 4]))


def with_revision(attributes: Attributes) -> Attributes:
    """The attributes with those that a watch needs to tell newer from older."""
    return None if attributes is None else attributes | {"key", "revision"}
