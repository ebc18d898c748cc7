"""Streams of runs and actions: a snapshot in pages, then what comes into the mailbox."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from sqlalchemy import select

from repo.domain.cursors import FeedPosition
from repo.domain.errors import InvalidCursor
from repo.domain.pages import MAX_PAGE, Page
from repo.sql.database import Database
from repo.tables import actions, is_root
from repo.watch.mailboxes import RowMailbox
from repo.watch.snapshots import PageSize, SnapshotQuery
from repo.watch.stream import MAX_ROWS, Frame, FrameKind, Stream, cursor_text, part, parts_of, until_available

c = actions.c


async def row_frames(
    stream: Stream[Any],
    database: Database,
    mailbox: RowMailbox,
    query: SnapshotQuery[Any],
    after: str | None = None,
    until_terminal: bool = False,
) -> AsyncGenerator[Frame[Any], None]:
    """The frames of a stream of runs or actions, from the cursor `after` on."""
    hub = stream.hub
    if query.check is not None:
        await query.check()
    await hub.join(mailbox)
    try:
        cursor = await hub.resume(mailbox, after)
        begun = mailbox.position if cursor is None else cursor.position
        if cursor is None and after is not None:
            yield stream.resync(begun)
        is_complete, page = cursor is not None and cursor.page is None, cursor.page if cursor else None
        while True:
            if not is_complete:
                async with aclosing(_snapshot(stream, database, mailbox, query, begun, page)) as frames:
                    async for frame in frames:
                        yield stream.mark(frame, frame.kind is FrameKind.SYNCED)
            last = cursor_text(begun)
            if until_terminal and await until_available(lambda: _has_ended(database, mailbox)):
                await until_available(hub.poll)
                mailbox.ended = True
            while not mailbox.overflowed:
                if mailbox.is_empty:
                    if until_terminal and mailbox.ended:
                        return
                    await stream.wait()
                    continue
                items, removed, sizes = mailbox.take()
                next_cursor = cursor_text(mailbox.position)
                parts = list(parts_of(sizes))
                count = max(len(parts), -(-len(removed) // MAX_ROWS))
                for number in range(count):
                    start, end = parts[number] if number < len(parts) else (0, 0)
                    some_removed = removed[number * MAX_ROWS : (number + 1) * MAX_ROWS]
                    # Only the last frame of a poll moves the cursor: a client that resumes gets all of them.
                    is_last = number == count - 1
                    last = next_cursor if is_last else last
                    yield stream.mark(Frame(FrameKind.CHANGE, items[start:end], some_removed, last), is_last)
            if query.check is not None:
                await until_available(query.check)
            mailbox.begin()
            is_complete, page, begun = False, None, mailbox.position
            yield stream.resync(begun)
    finally:
        hub.leave(mailbox)


async def _snapshot(
    stream: Stream[Any],
    database: Database,
    mailbox: RowMailbox,
    query: SnapshotQuery[Any],
    begun: FeedPosition,
    page: str | None,
) -> AsyncGenerator[Frame[Any], None]:
    """The rows that exist, in pages from `page` on, then SYNCED. Stops early if the mailbox overflows."""
    size, is_one_page, left = PageSize(query.names), page is None, query.limit
    if left is not None and page is not None:
        try:
            left, page = _parse_limited(page)
        except InvalidCursor:
            mailbox.overflow()
            return
    next_page: asyncio.Task[tuple[Page[Any], list[int]]] | None = asyncio.create_task(
        query.page(database, size.rows, page, left)
    )
    try:
        while next_page is not None and not mailbox.overflowed:
            try:
                found, sizes = await next_page
            except InvalidCursor:
                mailbox.overflow()
                return
            mailbox.note_sent(found.items)
            size.note(sizes)
            left_after = None if left is None else left - len(found.items)
            page = found.end_cursor if found.has_next and left_after != 0 else None
            # The next page is read while this one is executed and sent.
            next_page = None
            if page is not None:
                next_page = asyncio.create_task(query.page(database, size.rows, page, left_after))
            for start, end in parts_of(sizes):
                # After the last page, a client that resumes needs only what came into the mailbox.
                resume_at = page if end == len(sizes) else found.cursor(end - 1)
                if resume_at is not None and left is not None:
                    resume_at = f"{left - end}:{resume_at}"
                items = part(found.items, start, end)
                yield Frame(FrameKind.SNAPSHOT, items, [], cursor_text(begun, resume_at))
            left = left_after
            is_one_page = is_one_page and page is None
        if query.check is not None and not is_one_page:
            # If the run was removed between two pages, they are no whole snapshot.
            await until_available(query.check)
    finally:
        if next_page is not None:
            next_page.cancel()
            await asyncio.gather(next_page, return_exceptions=True)
    if not mailbox.overflowed:
        mailbox.end_snapshot(stream.hub.metrics.polls)
        yield Frame(FrameKind.SYNCED, [], [], cursor_text(begun))


async def _has_ended(database: Database, mailbox: RowMailbox) -> bool:
    which = c.key == mailbox.action_key if mailbox.action_key else (c.run_key == mailbox.run_key) & is_root
    async with database.read() as connection:
        phase = await connection.scalar(select(c.phase).where(which))
    return phase is not None and bool(phase.is_terminal)


def _parse_limited(page: str) -> tuple[int, str]:
    """How many rows of a limited snapshot are left, and the cursor of the page. Raises InvalidCursor."""
    left, _, cursor = page.partition(":")
    if not (left.isdecimal() and 0 < int(left[:5]) <= MAX_PAGE):
        raise InvalidCursor("no stream of this server issued this cursor")
    return int(left), cursor
