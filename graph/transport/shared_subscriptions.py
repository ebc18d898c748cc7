"""Shared subscriptions: equal requests share one stream, one execution and one encoding.

Requests that arrive at the same moment start together, with a snapshot or with what they missed. A stream
that has sent everything merges with the other drained streams of the same operation. A subscriber that is too
slow leaves, and resumes by itself after its last cursor.
"""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable
from contextlib import aclosing, suppress
from typing import Any

from graphql import GraphQLError
from strawberry.types.execution import PreExecutionError

from graph.context import Context
from graph.errors import breaks_a_stream
from graph.execution import Operation, OperationRequest
from graph.transport.subscribers import EncodedResult, Subscriber
from repo import Access, Stream

FRAME_INTERVAL = 0.02
"""Seconds between two frames of changes, and between two starts of equal requests, which are batched."""
_MAX_WAIT = 1.0
"""Seconds that a stream waits, at each frame, for most of its subscribers."""
_SETTLE = 0.002
"""Seconds after which it checks again whether most have been sent the last frames."""

Results = AsyncGenerator[Any, None]
Execute = Callable[[object], Awaitable[Results]]


class SharedStream:
    """The results of an operation, and its subscribers."""

    def __init__(
        self, shared: "SharedSubscriptions", key: Hashable, context: object, execute: Execute
    ) -> None:
        """Streams with equal keys may merge; one without a key is never shared."""
        self._shared = shared
        self._key = key
        self._context = context
        self._execute = execute
        self.subscribers: set[Subscriber] = set()
        self._is_resting = False
        self._sent = asyncio.Event()
        self.wake_up = asyncio.Event()
        """Set when the next result has arrived, or a merge may be possible."""
        self.duplicates: set[SharedStream] = set()
        """Streams that wait to merge with this one."""
        self._results: Results | None = None
        self._next: asyncio.Task[Any] | None = None
        self._task: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None

    @property
    def _source(self) -> Stream[Any] | None:
        return self._context.stream if isinstance(self._context, Context) else None

    @property
    def is_drained(self) -> bool:
        """Whether everything that was read from the feed has been sent to all subscribers. Meaningful
        between polls."""
        source = self._source
        return source is not None and (self._is_resting or source.is_waiting) and source.is_drained

    @property
    def can_be_resumed(self) -> bool:
        """Whether a subscriber that leaves can resume after its last cursor."""
        return self._key is not None

    def join(self, subscriber: Subscriber) -> None:
        """Add a subscriber, which gets the results from here on."""
        subscriber.stream = self
        self.subscribers.add(subscriber)

    def leave(self, subscriber: Subscriber) -> None:
        """Remove a subscriber. The last one ends the stream."""
        self.subscribers.discard(subscriber)
        if not self.subscribers:
            self._shared.forget(self._key, self)
            if self._task is not None:
                self._task.cancel()

    def note_sent(self) -> None:
        """Continue, if the stream was waiting for a subscriber to be sent a result."""
        self._sent.set()

    def start(self) -> None:
        """Execute the operation."""
        if isinstance(self._context, Context):
            self._context.on_waiting = self.try_merge
        self._task = asyncio.create_task(self._run())
        # Not at the end of the task itself, which is not reached if it is cancelled at once.
        self._task.add_done_callback(self._end)

    async def _run(self) -> None:
        self._results = await self._execute(self._context)
        while True:
            if self._key is None or self._shared.primary.get(self._key) is self:
                result = await anext(self._results, None)
            elif await self._wait_or_merge():
                return
            else:
                assert self._next is not None
                result, self._next = self._next.result(), None
            if result is None:
                return
            encoded = self._encode(result)
            self.subscribers -= {each for each in self.subscribers if not each.put(encoded)}
            if encoded.errors or not self.subscribers:
                return
            if self._source is not None and self._source.is_complete:
                self._is_resting = True
                self.try_merge()
                await asyncio.sleep(FRAME_INTERVAL)
            await self._wait_for_most()
            self._is_resting = False

    async def _wait_or_merge(self) -> bool:
        """Wait for the next result; True if the stream has merged with the primary one instead."""
        assert self._results is not None
        self._next = asyncio.create_task(_next(self._results))
        self._next.add_done_callback(lambda _: self.wake_up.set())
        while True:
            await self.wake_up.wait()
            self.wake_up.clear()
            if self._next.done():
                return False
            source, primary = self._source, self._shared.primary.get(self._key)
            if source is None or primary is None or primary is self:
                continue
            async with source.between_polls():
                if self.is_drained and primary.is_drained:
                    for subscriber in self.subscribers:
                        primary.join(subscriber)
                    self.subscribers = set()
                    return True

    def try_merge(self) -> None:
        """The stream is idle: become the primary one of its key, or merge with it when both are drained."""
        if self._key is None or not self.subscribers or not self.is_drained:
            return
        primary = self._shared.primary.setdefault(self._key, self)
        if primary is self:
            for duplicate in self.duplicates:
                if duplicate.is_drained:
                    duplicate.wake_up.set()
        else:
            primary.duplicates.add(self)
            if primary.is_drained:
                self.wake_up.set()

    def release_duplicates(self) -> None:
        """This stream has ended: another one becomes primary."""
        for duplicate in self.duplicates:
            duplicate.try_merge()
        self.duplicates = set()

    async def _wait_for_most(self) -> None:
        """Wait while most subscribers have not been sent the last frames: then this process is slow, not
        they, and changes are batched meanwhile. Without a limit for subscribers that cannot resume by
        themselves."""
        if not self._are_most_behind():
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(None if self._key is None else _MAX_WAIT):
                while self._are_most_behind():
                    self._sent.clear()
                    await self._sent.wait()
                    await asyncio.sleep(_SETTLE if len(self.subscribers) > 1 else 0)

    def _are_most_behind(self) -> bool:
        return 2 * sum(subscriber.waiting > 2 for subscriber in self.subscribers) > len(self.subscribers)

    def _encode(self, result: Any) -> EncodedResult:
        errors: list[GraphQLError] = list(getattr(result, "errors", None) or ())
        # A refused operation or a broken stream, and not just a field of a result.
        ends = isinstance(result, PreExecutionError) or all(error.path is None for error in errors)
        ended_by = errors if ends or breaks_a_stream(errors) else []
        cursor = None if self._source is None else self._source.cursor
        return EncodedResult(self._shared.encode(result), ended_by, cursor, errors)

    def _end(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        self._shared.forget(self._key, self)
        for subscriber in self.subscribers:
            subscriber.end(error)
        if self._results is not None:
            self._closing = asyncio.create_task(_close(self._results, self._next))
        self._context = None  # which refers to this stream


class SharedSubscriptions:
    """The operations of one server that are being executed with a stream of results."""

    def __init__(
        self,
        encode: Callable[[Any], bytes],
        operation: Callable[[str, str | None], Awaitable[Operation | None]],
    ) -> None:
        """`encode` encodes the payload of a result; `operation` loads an operation."""
        self.operations = 0
        """Running operations."""
        self.subscriptions: Counter[str] = Counter()
        """Running subscriptions, by field."""
        self.encode = encode
        self._operation = operation
        self.primary: dict[Hashable, SharedStream] = {}
        """By key, the stream with which others merge."""
        self._starting: dict[Hashable, SharedStream] = {}
        self._not_before: dict[Hashable, float] = {}

    @property
    def sources(self) -> int:
        """Streams that others of the same key merge with."""
        return len(self.primary)

    async def results(
        self,
        request: OperationRequest,
        new_context: Callable[[], Awaitable[object]],
        execute: Execute,
        write: Callable[[EncodedResult], bool] | None = None,
    ) -> AsyncGenerator[EncodedResult, None]:
        """The results of an operation, except those that `write` could write at once. `execute` starts the
        operation in a context of its own."""
        self.operations += 1
        subscriber = Subscriber(write)
        field: str | None = None
        try:
            while True:
                context = await new_context()
                if isinstance(context, Context):
                    context.resume_after = subscriber.cursor
                operation = await self._operation(request.query, request.operation_name)
                if operation is not None and operation.type == "subscription" and field is None:
                    field = operation.field
                    self.subscriptions[field] += 1
                stream = self._stream_of(request, operation, context, execute)
                stream.join(subscriber)
                del context, stream  # what was read with it lives as long as the stream
                try:
                    async with aclosing(subscriber.results()) as results:
                        async for result in results:
                            yield result
                            if result.errors:
                                return
                finally:
                    last = subscriber.stream
                    if isinstance(last, SharedStream):
                        last.leave(subscriber)
                if last is not None:
                    return
        finally:
            self.operations -= 1
            if field is not None:
                self.subscriptions[field] -= 1

    def _stream_of(
        self, request: OperationRequest, operation: Operation | None, context: object, execute: Execute
    ) -> SharedStream:
        """The stream of a request: its own, or one that an equal request is about to start."""
        if operation is None or operation.type != "subscription" or not isinstance(context, Context):
            stream = SharedStream(self, None, context, execute)
            stream.start()
            return stream
        start = stream_key(request, context.caller.access), context.resume_after
        if start not in self._starting:
            key = stream_key(request, context.caller.access, operation.cursor_variable)
            self._starting[start] = SharedStream(self, key, context, execute)
            loop = asyncio.get_running_loop()
            start_at = self._not_before.get(start, 0.0)
            if start_at <= loop.time():
                loop.call_soon(self._start, start)
            else:
                loop.call_at(start_at, self._start, start)
        return self._starting[start]

    def _start(self, start: Hashable) -> None:
        stream, loop = self._starting.pop(start), asyncio.get_running_loop()
        if stream.subscribers:
            stream.start()
            self._not_before[start] = loop.time() + FRAME_INTERVAL
            loop.call_later(2 * FRAME_INTERVAL, self._forget_start, start)

    def _forget_start(self, start: Hashable) -> None:
        if self._not_before.get(start, 0.0) <= asyncio.get_running_loop().time():
            self._not_before.pop(start, None)

    def forget(self, key: Hashable, stream: SharedStream) -> None:
        """Remove a stream that has ended."""
        primary = self.primary.get(key)
        if primary is stream:
            del self.primary[key]
            stream.release_duplicates()
        elif primary is not None:
            primary.duplicates.discard(stream)


async def _close(results: Results, pending: asyncio.Task[Any] | None) -> None:
    """Close the results; `pending` is waiting for the next one."""
    try:
        if pending is not None:
            pending.cancel()
            await asyncio.gather(pending, return_exceptions=True)
    finally:
        await results.aclose()


async def _next(results: Results) -> Any:
    """The next result, or None at the end."""
    return await anext(results, None)


def stream_key(request: OperationRequest, access: Access, without: str | None = None) -> Hashable:
    """Equal for requests that get the same results; `without` one of the variables."""
    variables = request.variables or {}
    if without is not None:
        variables = {name: value for name, value in variables.items() if name != without}
    arguments = json.dumps([variables, request.extensions], sort_keys=True, default=repr)
    return request.query, request.operation_name, arguments, access
