"""Streams of events, each event once, and of actions whose state was set."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Any

from sqlalchemy import ColumnElement, select

from repo.actions.event_rows import EVENT_COLUMNS, event_of
from repo.domain.cursors import FeedPosition, WatchCursor
from repo.domain.identifiers import ActionIdentifier
from repo.domain.models import ActionEvent
from repo.sql.database import Database
from repo.sql.filters import written_after
from repo.sql.paging import Keyset
from repo.tables import action_events, actions
from repo.watch.mailboxes import EventMailbox, StateMailbox
from repo.watch.snapshots import PageSize, SnapshotQuery
from repo.watch.stream import Frame, FrameKind, Stream, cursor_text, parts_of, until_available

c = actions.c
e = action_events.c

_by_time = Keyset("EVENT_TIME", e.occurred_at, False, (e.action_key, e.attempt, e.phase, e.version))
_by_transaction = Keyset(
    "EVENT_TRANSACTION", e.transaction_id, False, (e.action_key, e.attempt, e.phase, e.version)
)

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
        seen = ~written_after(e.transaction_id, sent)
        async with aclosing(_pages(database, mailbox, seen, _by_time, start)) as pages:
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
            between = written_after(e.transaction_id, sent) & ~written_after(e.transaction_id, until)
            async with aclosing(_pages(database, mailbox, between, _by_transaction, None)) as pages:
                async for items, page in pages:
                    if not await is_current():
                        break
                    last = cursor_text(until if page is None else sent)
                    yield Frame(FrameKind.CHANGE, items, [], last), page is None
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


async def _pages(
    database: Database, mailbox: EventMailbox, which: ColumnElement[bool], order: Keyset, page: str | None
) -> AsyncGenerator[tuple[Sequence[ActionEvent], str | None], None]:
    """Pages of events, each with the cursor of the next one, if there is one."""
    named = (c.project, c.domain, c.run_name, c.name)
    statement = select(*EVENT_COLUMNS, *named).join(actions, e.action_key == c.key).where(which)
    if mailbox.action_key is not None:
        statement = statement.where(e.action_key == mailbox.action_key)
    else:
        first, last = mailbox.run_key + bytes(16), mailbox.run_key + b"\xff" * 16
        statement = statement.where(e.action_key.between(first, last))
    if mailbox.attempt is not None:
        statement = statement.where(e.attempt == mailbox.attempt)
    names, start = {column.name for column in EVENT_COLUMNS}, len(EVENT_COLUMNS)
    query = SnapshotQuery(
        object(),
        lambda: statement,
        order,
        lambda found: [event_of(row, ActionIdentifier(*row[start : start + 4])) for row in found.decoded()],
        names=names,
    )
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
