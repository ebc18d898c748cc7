"""Owns what subscriptions share: those that request the same have one source, one execution and one encoding.

Those that come at the same moment begin together, with what is there now or with what they missed. Once such
a stream has given out everything that was seen so far, it goes on like all others that request the same, and
becomes one with them. Who is too slow for that leaves, and catches up behind its last cursor.
"""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any

from graphql import SKIP, DocumentNode, GraphQLError, OperationDefinitionNode, VariableNode, Visitor, visit
from graphql.language.visitor import VisitorAction
from strawberry.types.execution import PreExecutionError

from graph.context import Context
from graph.errors import breaks_a_stream
from graph.execution import Operation
from graph.transport.frames import text_frame
from repo import Access, Progress

FRAME_INTERVAL = 0.02
"""Seconds between two frames of what changes, and between two beginnings of those that request the same: what
comes meanwhile comes together."""
_MAX_WAIT = 1.0
"""Seconds that a stream waits, at each frame, for most of those who get it."""
_SETTLE = 0.002
"""Seconds after which it looks again whether they have taken the last ones."""
MAX_WAITING = 32
"""Frames that wait for one client; then it catches up by itself."""
MAX_WAITING_BYTES = 64 * 1024
"""Bytes of them, beyond which no further one waits."""
_POLL = (0.02, 1.0)
"""Seconds after which a stream that waits looks whether it can join others, at first and at most."""

Results = AsyncGenerator[Any, None]


@dataclass(slots=True)
class EncodedResult:
    """A result of an operation, encoded."""

    body: bytes
    """What the payload of its message is."""
    errors: list[GraphQLError]
    """What ends the operation; empty where it goes on."""
    cursor: str | None
    """Behind which a stream of frames goes on."""
    problems: Sequence[GraphQLError] = ()
    """All errors in it, also those of single fields."""
    _before: bytes = b""
    _frame: bytes = b""

    def frame(self, before: bytes) -> bytes:
        """The frame of a websocket with this payload, and what comes before it in the message: the same one
        for those whose operations have the same id."""
        if before != self._before:
            self._before, self._frame = before, text_frame(before, self.body, b"}")
        return self._frame


@dataclass(frozen=True, slots=True)
class OperationRequest:
    """What a client asks for."""

    query: str
    variables: dict[str, Any] | None
    operation_name: str | None
    extensions: dict[str, Any] | None = None
    is_large: bool = False
    """Whether it takes milliseconds to look at the variables."""


class Subscriber:
    """A client that gets what a stream gives out."""

    __slots__ = ("_ended", "_error", "_is_busy", "_waiting", "_size", "_waiter", "_write", "cursor", "stream")

    def __init__(self, write: Callable[[EncodedResult], bool] | None) -> None:
        self.stream: SharedStream | None = None
        """Where it gets its results; None where it was too slow, and gets none."""
        self.cursor: str | None = None
        """Of the last result that was sent."""
        self._write = write
        # There are many of these: a list and a future take less than a deque and an event, which has one too.
        self._waiting: list[EncodedResult] = []
        self._size = 0
        self._is_busy = False
        self._ended = False
        self._error: BaseException | None = None
        self._waiter: asyncio.Future[None] | None = None

    @property
    def waiting(self) -> int:
        """How many results it has not been sent."""
        return len(self._waiting)

    def put(self, result: EncodedResult) -> bool:
        """Send it this result; False where it is too slow, and gets none any more."""
        write = self._write
        if write and not self._waiting and not self._is_busy and not result.errors and write(result):
            self.cursor = result.cursor
            return True
        waits_long = len(self._waiting) >= MAX_WAITING or self._size > MAX_WAITING_BYTES
        if self._waiting and waits_long and self.stream is not None and self.stream.goes_on_elsewhere:
            self._waiting.clear()
            self._size = 0
            self.stream = None
            self._wake()
            return False
        self._waiting.append(result)
        self._size += len(result.body)
        self._wake()
        return True

    def end(self, error: BaseException | None) -> None:
        """There is nothing more to come, for this reason."""
        self._ended, self._error = True, error
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def results(self) -> AsyncGenerator[EncodedResult, None]:
        """What was put and could not be written at once, until the end, or until it was too slow."""
        while self.stream is not None:
            if self._waiting:
                result = self._waiting.pop(0)
                self._size -= len(result.body)
                self._is_busy = True
                yield result
                self._is_busy = False
                self.cursor = result.cursor
                if self.stream is not None:
                    self.stream.note_sent()
            elif self._ended:
                if self._error is not None:
                    raise self._error
                return
            else:
                self._waiter = asyncio.get_running_loop().create_future()
                await self._waiter


class SharedStream:
    """The results of an operation, and who gets them."""

    def __init__(
        self,
        shared: "SharedSubscriptions",
        key: Hashable,
        context: object,
        execute: Callable[[object], Awaitable[Results]],
    ) -> None:
        """Those with the same `key` may become one; a stream without one stays alone."""
        self._shared = shared
        self._key = key
        self._context = context
        self._execute = execute
        self._progress = context.progress if isinstance(context, Context) else Progress()
        self._subscribers: set[Subscriber] = set()
        self._rests = False
        self._taken = asyncio.Event()
        self._results: Results | None = None
        self._pending: asyncio.Task[Any] | None = None
        self._pump_task: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None

    @property
    def is_drained(self) -> bool:
        """Whether all who get it were given everything that was seen so far."""
        return (self._rests or self._progress.waits) and self._progress.is_drained

    @property
    def is_wanted(self) -> bool:
        """Whether somebody gets it."""
        return bool(self._subscribers)

    @property
    def goes_on_elsewhere(self) -> bool:
        """Whether who leaves it may get the rest from another one, behind the last cursor."""
        return self._key is not None

    def join(self, subscriber: Subscriber) -> None:
        """It gets what comes from here on."""
        subscriber.stream = self
        self._subscribers.add(subscriber)

    def leave(self, subscriber: Subscriber) -> None:
        """It gets nothing more. The last one ends the stream."""
        self._subscribers.discard(subscriber)
        if not self._subscribers:
            self._shared.forget(self._key, self)
            if self._pump_task is not None:
                self._pump_task.cancel()

    def note_sent(self) -> None:
        """Somebody was sent one of the results that wait."""
        self._taken.set()

    def begin(self) -> None:
        """Execute it."""
        self._pump_task = asyncio.create_task(self._pump())
        # Not at the end of the task itself: one that is cancelled at once never comes there.
        self._pump_task.add_done_callback(self._end)

    async def _pump(self) -> None:
        self._results = await self._execute(self._context)
        while True:
            if self._key is None or self._shared.is_joined(self._key, self):
                result = await _next(self._results)
            elif not await self._has_come():
                return  # all who got it get another one now
            else:
                assert self._pending is not None
                result, self._pending = self._pending.result(), None
            if result is None:
                return
            result = self._encoded(result)
            self._subscribers -= {each for each in self._subscribers if not each.put(result)}
            if result.errors or not self._subscribers:
                return
            if self._progress.is_complete:
                self._rests = True
                await asyncio.sleep(FRAME_INTERVAL)
            await self._wait_for_most()
            self._rests = False

    async def _has_come(self) -> bool:
        """Wait for a result; False where the stream became one with another, which goes on."""
        assert self._results is not None
        self._pending = pending = asyncio.create_task(_next(self._results))
        patience = _POLL[0]
        while not pending.done():
            await asyncio.wait({pending}, timeout=patience)
            patience = min(2 * patience, _POLL[1])
            if pending.done() or not (self._progress.waits and self._progress.is_drained):
                continue
            other = self._shared.meet(self._key, self)
            if other is None:
                await asyncio.wait({pending})
            elif other.is_drained:
                for subscriber in self._subscribers:
                    other.join(subscriber)
                self._subscribers = set()
                return False
        return True

    async def _wait_for_most(self) -> None:
        """Where most have not been sent the last ones, it is this process that is slow, and not they: what
        comes meanwhile comes together. Who cannot catch up by itself is waited for without end."""
        if not self._are_most_behind():
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(None if self._key is None else _MAX_WAIT):
                while self._are_most_behind():
                    self._taken.clear()
                    await self._taken.wait()
                    await asyncio.sleep(_SETTLE if len(self._subscribers) > 1 else 0)

    def _are_most_behind(self) -> bool:
        return 2 * sum(subscriber.waiting > 2 for subscriber in self._subscribers) > len(self._subscribers)

    def _encoded(self, result: Any) -> EncodedResult:
        errors = list(getattr(result, "errors", None) or ())
        # An operation that was refused, or a stream that broke: not just a field of a result.
        ends = isinstance(result, PreExecutionError) or all(error.path is None for error in errors)
        ended_by = errors if ends or breaks_a_stream(errors) else []
        return EncodedResult(self._shared.encode(result), ended_by, self._progress.cursor, errors)

    def _end(self, pump_task: asyncio.Task[None]) -> None:
        # What was raised is for those who listen to say.
        error = None if pump_task.cancelled() else pump_task.exception()
        self._shared.forget(self._key, self)
        for subscriber in self._subscribers:
            subscriber.end(error)
        if self._results is not None:
            self._closing = asyncio.create_task(_close(self._results, self._pending))


class SharedSubscriptions:
    """The operations of one server that may go on for long."""

    def __init__(
        self,
        encode: Callable[[Any], bytes],
        operation: Callable[[str, str | None], Awaitable[Operation | None]],
    ) -> None:
        """`encode` makes the payload of a result; `operation` gives what is known of an operation."""
        self.operations = 0
        """Those that go on."""
        self.subscriptions: Counter[str] = Counter()
        """How many of them are subscriptions, by field."""
        self.encode = encode
        self._operation = operation
        self._joined: dict[Hashable, SharedStream] = {}
        self._starting: dict[Hashable, SharedStream] = {}
        self._not_before: dict[Hashable, float] = {}

    @property
    def sources(self) -> int:
        """Streams that all who request the same have become one with."""
        return len(self._joined)

    async def results(
        self,
        request: OperationRequest,
        new_context: Callable[[], Awaitable[object]],
        execute: Callable[[object], Awaitable[Results]],
        write: Callable[[EncodedResult], bool] | None = None,
    ) -> AsyncGenerator[EncodedResult, None]:
        """The results of an operation, to its end, but those that `write` could write at once. `execute`
        begins the operation, in a context of its own."""
        self.operations += 1
        subscriber = Subscriber(write)
        watched: str | None = None
        try:
            while True:
                context = await new_context()
                if isinstance(context, Context):
                    context.resume_after = subscriber.cursor
                operation = await self._operation(request.query, request.operation_name)
                if operation is not None and operation.type == "subscription" and watched is None:
                    watched = operation.field
                    self.subscriptions[watched] += 1
                self._stream_of(request, operation, context, execute).join(subscriber)
                del context  # what was read by it is the stream's
                try:
                    async with aclosing(subscriber.results()) as results:
                        async for result in results:
                            yield result
                            if result.errors:
                                return
                finally:
                    stream = subscriber.stream
                    if stream is not None:
                        stream.leave(subscriber)
                if stream is not None:
                    return
        finally:
            self.operations -= 1
            if watched is not None:
                self.subscriptions[watched] -= 1

    def _stream_of(
        self,
        request: OperationRequest,
        operation: Operation | None,
        context: object,
        execute: Callable[[object], Awaitable[Results]],
    ) -> SharedStream:
        """The stream of a request: its own, or one that an equal request started at the same moment."""
        if operation is None or operation.type != "subscription" or not isinstance(context, Context):
            stream = SharedStream(self, None, context, execute)
            stream.begin()
            return stream
        start = _key(request, context.caller.access), context.resume_after
        if start not in self._starting:
            key = _key(request, context.caller.access, after_variable(operation.document, operation.node))
            self._starting[start] = SharedStream(self, key, context, execute)
            loop = asyncio.get_running_loop()
            begin_at = self._not_before.get(start, 0.0)
            if begin_at <= loop.time():
                loop.call_soon(self._begin, start)
            else:
                loop.call_at(begin_at, self._begin, start)
        return self._starting[start]

    def _begin(self, start: Hashable) -> None:
        stream, loop = self._starting.pop(start), asyncio.get_running_loop()
        if stream.is_wanted:
            stream.begin()
            self._not_before[start] = loop.time() + FRAME_INTERVAL
            loop.call_later(2 * FRAME_INTERVAL, self._forget_beginning, start)

    def _forget_beginning(self, start: Hashable) -> None:
        if self._not_before.get(start, 0.0) <= asyncio.get_running_loop().time():
            self._not_before.pop(start, None)

    def is_joined(self, key: Hashable, stream: SharedStream) -> bool:
        """Whether this is what all others become one with."""
        return self._joined.get(key) is stream

    def meet(self, key: Hashable, stream: SharedStream) -> SharedStream | None:
        """The stream that has the same to give out, if there is one; else this is what others become one
        with."""
        other = self._joined.get(key)
        if other is None:
            self._joined[key] = stream
        return other

    def forget(self, key: Hashable, stream: SharedStream) -> None:
        """The stream is at its end."""
        if self._joined.get(key) is stream:
            del self._joined[key]


async def _close(results: Results, pending: asyncio.Task[Any] | None) -> None:
    """End the results, of which one may be awaited."""
    try:
        if pending is not None:
            pending.cancel()
            await asyncio.gather(pending, return_exceptions=True)
    finally:
        await results.aclose()


async def _next(results: Results) -> Any:
    """The next result; None at the end."""
    return await anext(results, None)


def _key(request: OperationRequest, access: Access, without: str | None = None) -> Hashable:
    """What two clients have to have in common to get the same; `without` one variable."""
    variables = request.variables or {}
    if without is not None:
        variables = {name: value for name, value in variables.items() if name != without}
    given = json.dumps([variables, request.extensions], sort_keys=True, default=repr)
    return request.query, request.operation_name, given, access


def after_variable(document: DocumentNode, operation: OperationDefinitionNode) -> str | None:
    """The variable that says from where a client goes on, and nothing else: it makes no difference once all
    was given out."""
    for field in operation.selection_set.selections:
        for argument in getattr(field, "arguments", None) or ():
            if argument.name.value == "after" and isinstance(argument.value, VariableNode):
                name = argument.value.name.value
                if _uses(document, name) == 1:
                    return name
    return None


class _Uses(Visitor):
    """Counts how often a variable is used."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.count = 0
        self._name = name

    def enter_variable_definition(self, *_: Any) -> VisitorAction:
        return SKIP

    def enter_variable(self, node: VariableNode, *_: Any) -> None:
        self.count += node.name.value == self._name


def _uses(document: DocumentNode, name: str) -> int:
    counting = _Uses(name)
    visit(document, counting)
    return counting.count
