"""Streams of events, each event once, and of actions whose state was set."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing, suppress
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, and_, func, select

from repo.actions.event_rows import EVENT_COLUMNS, event_of
from repo.domain.cursors import FeedPosition, WatchCursor
from repo.domain.errors import InvalidCursor
from repo.domain.identifiers import ActionIdentifier
from repo.domain.models import ActionEvent
from repo.sql.database import Database
from repo.sql.filters import written_after
from repo.sql.paging import Keyset
from repo.sql.statements import ResultSet
from repo.tables import action_events, actions
from repo.watch.mailboxes import EventMailbox, StateMailbox
from repo.watch.snapshots import PageSize, SnapshotQuery
from repo.watch.stream import Frame, FrameKind, Stream, cursor_text, parts_of, until_available

c = actions.c
e = action_events.c

_by_key = Keyset("EVENT_KEY", e.action_key, False, (e.attempt, e.phase, e.version))
"""The order of the primary key: the events of a run action by action, in pages that each read only their
own rows."""
_by_transaction = Keyset(
    "EVENT_TRANSACTION", e.transaction_id, False, (e.action_key, e.attempt, e.phase, e.version)
)
SLICE = 2_000
"""Events in a slice of changes; more, if one transaction inserted more."""

Check = Callable[[], Awaitable[None]]


async def event_frames(
    stream: Stream[Any],
    database: Database,
    mailbox: EventMailbox,
    check: Check,
    check_run: Check,
    after: str | None,
) -> AsyncGenerator[Frame[ActionEvent], None]:
    """The frames of a stream of events, from the cursor `after` on. `check` raises if its subject does not
    exist, `check_run` only if the run does not."""
    hub = stream.hub
    await check()
    await hub.join(mailbox)
    try:
        cursor = await hub.resume(mailbox, after)
        # Read before the next await: everything later is put into the mailbox.
        joined, is_restart = mailbox.position, after is not None and cursor is None
        while True:
            if is_restart:
                yield stream.resync(joined)
            # A page in a cursor may be one that another version's snapshot had.
            with suppress(InvalidCursor):
                async with aclosing(_frames(stream, database, mailbox, joined, cursor, check_run)) as frames:
                    async for frame, is_complete in frames:
                        yield stream.mark(frame, is_complete)
            await until_available(check)
            mailbox.begin()
            joined, cursor, is_restart = mailbox.position, None, True
    finally:
        hub.leave(mailbox)


async def _frames(
    stream: Stream[Any],
    database: Database,
    mailbox: EventMailbox,
    joined: FeedPosition,
    cursor: WatchCursor | None,
    check_run: Check,
) -> AsyncGenerator[tuple[Frame[ActionEvent], bool], None]:
    """The frames, each with whether it completes what it is part of, until the stream must restart. Events
    after `joined` are in the mailbox."""

    async def is_current() -> bool:
        # Events that were just read may come from a database that lost, in a failover, what was sent before.
        # A poll would notice.
        await until_available(stream.hub.poll)
        return not mailbox.must_restart

    sent = joined if cursor is None else cursor.position
    if cursor is None or cursor.page is not None:
        start = cursor.page if cursor else None
        seen = _is_about(mailbox) & ~written_after(e.transaction_id, sent)
        async with aclosing(_pages(database, seen, _by_key, start)) as pages:
            is_one_page = start is None
            async for items, page in pages:
                is_one_page = is_one_page and page is None
                if not is_one_page and not await is_current():
                    return
                yield Frame(FrameKind.SNAPSHOT, items, [], cursor_text(sent, page)), False
        if not is_one_page:
            # If the run was removed between two pages, they are no whole snapshot.
            await until_available(check_run)
        yield Frame(FrameKind.SYNCED, [], [], cursor_text(sent)), sent == joined
    until = joined
    while not mailbox.must_restart:
        if sent != until:
            async with aclosing(_changes(database, mailbox, sent, until)) as changes:
                async for items, is_last in changes:
                    if not await is_current():
                        break
                    yield Frame(FrameKind.CHANGE, items, [], cursor_text(until if is_last else sent)), is_last
            sent = until
        if mailbox.overflowed:
            # The database has all of them; what comes after `until` goes into the mailbox again.
            mailbox.clear()
            mailbox.overflowed = False
            until = mailbox.position
        elif mailbox.pending:
            items, sizes = mailbox.take()
            until = mailbox.position
            for begin, end in parts_of(sizes):
                is_last = end == len(items)
                last = cursor_text(until if is_last else sent)
                yield Frame(FrameKind.CHANGE, items[begin:end], [], last), is_last
            sent = until
        else:
            await stream.wait()


async def _changes(
    database: Database, mailbox: EventMailbox, since: FeedPosition, until: FeedPosition
) -> AsyncGenerator[tuple[Sequence[ActionEvent], bool], None]:
    """Pages of the events inserted between two positions, oldest transaction first, each with whether it is
    the last one. They are read in slices of whole transactions, since each page may sort its slice."""
    number = e.transaction_id
    between = and_(written_after(number, since), ~written_after(number, until), _is_about(mailbox))
    start: int | None = min((since.upper, *since.open))
    while start is not None:
        # An index has no use for the alternatives of the exact conditions, but for this.
        rest = between & (number >= start)
        end = await until_available(partial(_start_of_next_slice, database, rest))
        which = rest if end is None else rest & (number < end)
        async with aclosing(_pages(database, which, _by_transaction, None)) as pages:
            async for items, page in pages:
                yield items, page is None and end is None
        start = end


async def _start_of_next_slice(database: Database, rest: ColumnElement[bool]) -> int | None:
    number = e.transaction_id
    last = select(number).where(rest).order_by(number).offset(SLICE).limit(1).scalar_subquery()
    async with database.read() as connection:
        start: int | None = await connection.scalar(select(func.min(number)).where(rest, number > last))
    return start


def _is_about(mailbox: EventMailbox) -> ColumnElement[bool]:
    """Whether an event belongs to the run, the action or the attempt of a stream."""
    if mailbox.action_key is None:
        which: ColumnElement[bool] = e.action_key.between(
            mailbox.run_key + bytes(16), mailbox.run_key + b"\xff" * 16
        )
    else:
        which = e.action_key == mailbox.action_key
    return which if mailbox.attempt is None else which & (e.attempt == mailbox.attempt)


async def _pages(
    database: Database, which: ColumnElement[bool], order: Keyset, page: str | None
) -> AsyncGenerator[tuple[Sequence[ActionEvent], str | None], None]:
    """Pages of events, each with the cursor of the next one, if there is one."""
    named = (c.project, c.domain, c.run_name, c.name)
    # An outer join, although each event has an action: else SQLite would begin with the actions, and sort.
    statement = select(*EVENT_COLUMNS, *named).outerjoin(actions, e.action_key == c.key).where(which)
    names, start = {column.name for column in EVENT_COLUMNS}, len(EVENT_COLUMNS)

    def read(found: ResultSet) -> list[ActionEvent]:
        action_ids: dict[bytes, ActionIdentifier] = {}
        events = []
        for row in found.decoded():
            if (action_id := action_ids.get(row[0])) is None:
                action_id = action_ids[row[0]] = ActionIdentifier(*row[start : start + 4])
            events.append(event_of(row, action_id))
        return events

    query = SnapshotQuery(object(), lambda: statement, order, read, names=names)
    more, size = True, PageSize(names)
    while more:
        found, sizes = await query.page(database, size.rows, page)
        size.note(sizes)
        more = found.has_next
        page = found.end_cursor if more else None
        for begin, end in parts_of(sizes):
            yield found.items[begin:end], page if end == len(sizes) else found.cursor(end - 1)


async def state_frames(
    stream: Stream[Any], mailbox: StateMailbox, check: Check, after: str | None
) -> AsyncGenerator[Frame[ActionIdentifier], None]:
    """The frames of a stream of actions whose state was set, from the cursor `after` on. `check` raises if
    its run does not exist."""
    hub = stream.hub
    await hub.join(mailbox)
    try:
        await check()
        cursor, is_restart = await hub.resume(mailbox, after), after is not None
        last = "" if cursor is None else cursor_text(cursor.position)
        while True:
            if cursor is None:
                if is_restart:
                    yield stream.resync(mailbox.position)
                last = cursor_text(mailbox.position)
                yield stream.mark(Frame(FrameKind.SYNCED, [], [], last), True)
            while not mailbox.overflowed:
                if mailbox.is_empty:
                    await stream.wait()
                    continue
                next_cursor, items = cursor_text(mailbox.position), mailbox.take()
                for start, end in parts_of([0] * len(items)):
                    is_last = end == len(items)
                    last = next_cursor if is_last else last
                    yield stream.mark(Frame(FrameKind.CHANGE, items[start:end], [], last), is_last)
            await until_available(check)
            mailbox.begin()
            cursor, is_restart = None, True
    finally:
        hub.leave(mailbox)
