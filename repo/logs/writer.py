"""Appends lines: numbers them under the lock of their log's head, and keeps its chunks few and its size
within the quota."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from itertools import starmap
from typing import Any

from sqlalchemy import ColumnElement, Delete, Select, and_, bindparam, delete, select

from repo.domain.errors import ActionNotFound, InvalidArgument
from repo.domain.identifiers import ActionIdentifier
from repo.domain.logs import MAX_NUMBER, MAX_STREAMS, AppendResult, LogLevel
from repo.logs.chunks import MAX_LINES, MAX_SIZE, Chunk, pack, unpack
from repo.sql.batches import fetch_for_rows, fetch_having, insert_new, update_rows
from repo.sql.errors import CONSTRAINT_VIOLATED
from repo.sql.statements import Returning
from repo.sql.transactions import Transaction
from repo.tables import actions, log_chunks, log_heads

h = log_heads.c
k = log_chunks.c

LogKey = tuple[bytes, int]
"""The key of an action, and the number of an attempt."""

_HEAD = (
    h.action_key,
    h.attempt,
    h.line_count,
    h.byte_count,
    h.stored_bytes,
    h.first_error,
    h.omitted_first,
    h.omitted_last,
    h.streams,
    h.tail,
)
_MAX_TAIL = 24
"""Chunks at the end of a log whose sizes its head knows."""
_IN_THREAD = 16 * 1024
"""Bytes from which on chunks are packed in a thread."""
_EXCESS = 16
"""This part of the quota is freed beyond what is needed, so that not every call removes chunks."""
_TRIMMED_AT_ONCE = 500
"""Chunks whose sizes are read at a time."""


@dataclass(frozen=True, slots=True)
class Append:
    """Checked lines to append to a stream of an attempt."""

    action: ActionIdentifier
    attempt: int
    stream: str
    lines: Sequence[tuple[str, int, int, int]]
    """Text, time in microseconds since 1970, level or 0, and UTF-8 bytes with the line end."""
    cut: int
    """How many of them were cut."""
    offset: int | None

    @property
    def key(self) -> LogKey:
        """The log."""
        return self.action.key, self.attempt


@dataclass(slots=True)
class _Head:
    """The head of a log, and the chunks that a transaction adds."""

    key: LogKey
    line_count: int
    byte_count: int
    stored_bytes: int
    first_error: int | None
    omitted_first: int | None
    omitted_last: int | None
    streams: dict[str, int]
    """The next offset of each stream."""
    tail: list[list[int]]
    """First number, bytes and last number of the newest chunks, oldest first."""
    added: list[Chunk] = field(default_factory=list)
    merged_from: int | None = None
    """The stored chunks from this number on become part of the first one that is added."""

    def append(self, request: Append) -> AppendResult:
        """Number the lines of a request that are not stored yet."""
        known = self.streams.get(request.stream)
        if known is None and len(self.streams) >= MAX_STREAMS:
            raise InvalidArgument(f"a log has at most {MAX_STREAMS} streams").of(request)
        known = known or 0
        offset = known if request.offset is None else request.offset
        lines, first = request.lines[max(0, known - offset) :], None
        repeated, missing = len(request.lines) - len(lines), 0
        if lines:
            missing = max(0, offset - known)
            number, first = self.line_count + missing, self.line_count + missing + 1
            if number + len(lines) > MAX_NUMBER:
                raise InvalidArgument(f"a log has at most {MAX_NUMBER} lines").of(request)
            self._add(request.stream, lines, number)
            self.streams[request.stream] = known + missing + len(lines)
        return AppendResult(
            appended=len(lines),
            repeated=repeated,
            missing=missing,
            cut=request.cut,
            next_offset=self.streams.get(request.stream, known),
            first_number=first,
            last_number=self.line_count if lines else None,
            is_truncated=False,
        )

    def _add(self, stream: str, lines: Sequence[tuple[str, int, int, int]], number: int) -> None:
        if not self.added:
            self.added.append(Chunk(self.line_count + 1))
        for text, time, level, size in lines:
            chunk = self.added[-1]
            if not chunk.has_room_for(size, number + 1 - self.line_count):
                chunk = Chunk(self.line_count + 1)
                self.added.append(chunk)
            number += 1
            chunk.add(number, stream, time, level, text, size)
            if self.first_error is None and level >= LogLevel.ERROR:
                self.first_error = number
            self.line_count = number
            self.byte_count += size
            self.stored_bytes += size

    def choose_merge(self) -> None:
        """Decide which of the newest stored chunks the first added one absorbs: those not much larger, so
        that each line is rewritten a few times at most, and only a few small chunks are left."""
        size, until = self.added[0].size, self.added[0].last
        while self.tail:
            first, stored, _ = self.tail[-1]
            is_apart = self.omitted_last is not None and first <= self.omitted_last
            if is_apart or stored > 2 * size or stored + size > MAX_SIZE or until - first >= MAX_LINES:
                break
            self.tail.pop()
            self.merged_from, size = first, size + stored

    def row(self) -> dict[str, Any]:
        """The row of the head."""
        return {
            "action_key": self.key[0],
            "attempt": self.key[1],
            "line_count": self.line_count,
            "byte_count": self.byte_count,
            "stored_bytes": self.stored_bytes,
            "first_error": self.first_error,
            "omitted_first": self.omitted_first,
            "omitted_last": self.omitted_last,
            "streams": self.streams,
            "tail": self.tail,
        }


async def append(
    quota: int, transaction: Transaction, requests: Sequence[Append], now: datetime
) -> list[AppendResult]:
    """Append the lines of the requests, in order. `quota` is the bytes that are kept of a log. Raises
    ActionNotFound before anything is written, and InvalidArgument."""
    heads = await _lock(transaction, requests, now)
    results: list[AppendResult] = []
    for request in requests:
        work = partial(heads[request.key].append, request)
        results.append(await _off_loop(sum(size for *_, size in request.lines), work))
    written = [head for head in heads.values() if head.added]
    for head in written:
        head.choose_merge()
    await _merge(transaction, written)
    rows = await _packed(written)
    await insert_new(transaction, log_chunks, rows)
    for head in written:
        if head.stored_bytes > quota:
            await _trim(transaction, head, quota)
    await update_rows(transaction, log_heads, [{**head.row(), "updated_at": now} for head in written])
    return [
        replace(result, is_truncated=heads[request.key].omitted_first is not None)
        for request, result in zip(requests, results, strict=True)
    ]


async def _lock(transaction: Transaction, requests: Sequence[Append], now: datetime) -> dict[LogKey, _Head]:
    """The heads of the logs, locked in the order of all writers; new ones are inserted."""
    keys = sorted({request.key for request in requests})
    rows = await _lock_stored(transaction, keys)
    if missing := sorted(set(keys) - rows.keys()):
        named = {request.action.key: request.action for request in requests}
        of_actions = [key for key, _ in missing]
        found = await fetch_having(transaction, "lock logged", actions.c.key, of_actions, _locked_action)
        known = {key for (key,) in found}
        for key, _ in missing:
            if key not in known:
                raise ActionNotFound(f"there is no action {named[key]}").of(named[key])
        new = [_Head(key, 0, 0, 0, None, None, None, {}, []).row() for key in missing]
        times = {"created_at": now, "updated_at": now}
        try:
            await insert_new(transaction, log_heads, [{**row, **times} for row in new])
        except CONSTRAINT_VIOLATED:
            raise ActionNotFound("the action was just removed") from None
        rows |= await _lock_stored(transaction, missing)
    # One that is still missing was removed with its run since.
    for request in requests:
        if request.key not in rows:
            raise ActionNotFound(f"there is no action {request.action}").of(request.action)
    return rows


async def _lock_stored(transaction: Transaction, keys: Sequence[LogKey]) -> dict[LogKey, _Head]:
    def make(restricted: Callable[[Any], Any]) -> Select[Any]:
        statement: Select[Any] = restricted(select(*_HEAD))
        return statement.order_by(h.action_key, h.attempt).with_for_update(of=log_heads)

    rows = await fetch_for_rows(transaction, "lock logs", (h.action_key, h.attempt), keys, make)
    return {(row[0], row[1]): _Head((row[0], row[1]), *row[2:]) for row in rows}


def _locked_action(restricted: Callable[[Select[Any]], Select[Any]]) -> Select[Any]:
    return (
        restricted(select(actions.c.key)).order_by(actions.c.key).with_for_update(key_share=True, of=actions)
    )


async def _merge(transaction: Transaction, heads: Iterable[_Head]) -> None:
    """Put the lines of stored chunks in front of the added ones, and delete the former."""
    by_key = {head.key: head for head in heads if head.merged_from is not None}
    if not by_key:
        return
    ends = [(*key, head.merged_from) for key, head in by_key.items()]
    stored = await fetch_for_rows(
        transaction, "merge chunks", (k.action_key, k.attempt, k.first), ends, _delete_from, at_least=True
    )
    before: dict[LogKey, list[list[Any]]] = {}
    for row in stored:
        before.setdefault((row[0], row[1]), []).append(row[2:])
    total = sum(size for *_, size, _ in stored)
    for key, rows in before.items():
        rows.sort()
        head = by_key[key]
        chunks = await _off_loop(total, partial(list, starmap(unpack, rows)))
        for later in (*chunks[1:], head.added[0]):
            chunks[0].extend(later)
        head.added[0] = chunks[0]


def _delete_from(restricted: Callable[[Any], Any]) -> Returning:
    statement: Delete = restricted(delete(log_chunks))
    return statement.returning(k.action_key, k.attempt, k.first, k.size, k.data)


async def _packed(heads: Sequence[_Head]) -> list[dict[str, Any]]:
    """The rows of the added chunks."""
    rows = []
    total = sum(chunk.size for head in heads for chunk in head.added)
    for head in heads:
        packed = await _off_loop(total, partial(list, map(pack, head.added)))
        for chunk, data in zip(head.added, packed, strict=True):
            head.tail.append([chunk.first, chunk.size, chunk.last])
            rows.append(
                {
                    "action_key": head.key[0],
                    "attempt": head.key[1],
                    "first": chunk.first,
                    "last": chunk.last,
                    "size": chunk.size,
                    "levels": chunk.level_mask,
                    "data": data,
                }
            )
        head.tail = head.tail[-_MAX_TAIL:]
    return rows


async def _off_loop(size: int, work: Callable[[], Any]) -> Any:
    """The result of `work`, in a thread if it is about so many bytes that it would hold up the event loop."""
    return await asyncio.to_thread(work) if size > _IN_THREAD else work()


async def _trim(transaction: Transaction, head: _Head, quota: int) -> None:
    """Remove chunks from the middle: the first part, half of the quota, and the newest chunks stay."""
    wanted, kept, after = quota - quota // _EXCESS, 0, head.omitted_last or 0
    of_log = {"action_key": head.key[0], "attempt": head.key[1]}
    while True:
        rows = await transaction.fetch("sizes of chunks", _sizes, {**of_log, "after": after})
        doomed: list[int] = []
        for first, last, size in rows:
            after = first
            if head.omitted_first is None and kept + size <= quota // 2:
                kept += size
            elif head.stored_bytes <= wanted or last == head.line_count:
                break
            else:
                head.omitted_first, head.omitted_last = head.omitted_first or first, last
                head.stored_bytes -= size
                doomed.append(first)
        if doomed:
            values = {**of_log, "from": doomed[0], "to": doomed[-1]}
            await transaction.fetch("trim chunks", _delete_between, values)
        if len(rows) < _TRIMMED_AT_ONCE or after != rows[-1][0] or head.stored_bytes <= wanted:
            return


def _sizes() -> Select[Any]:
    statement = select(k.first, k.last, k.size).where(_is_of_log(), k.first > _parameter("after", k.first))
    return statement.order_by(k.first).limit(_TRIMMED_AT_ONCE)


def _delete_between() -> Returning:
    which = k.first.between(_parameter("from", k.first), _parameter("to", k.first))
    return delete(log_chunks).where(_is_of_log(), which).returning(k.first)


def _is_of_log() -> ColumnElement[bool]:
    return and_(
        k.action_key == _parameter("action_key", k.action_key), k.attempt == _parameter("attempt", k.attempt)
    )


def _parameter(name: str, column: Any) -> Any:
    return bindparam(name, type_=column.type)
