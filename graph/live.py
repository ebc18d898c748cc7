"""Owns what subscriptions share: those that ask the same have one source, one execution and one encoding.

A subscription begins by itself, with what is there now or with what it missed. Once it has given out
everything that was seen so far, it goes on like all others that ask the same, and joins them. Who is too slow
for that leaves them, and catches up by itself behind its last cursor.
"""

import asyncio
import json
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from graphql import SKIP, DocumentNode, GraphQLError, VariableNode, Visitor, get_operation_ast, parse, visit
from graphql.language.visitor import VisitorAction
from strawberry.types.execution import PreExecutionError

from graph.context import Context
from graph.errors import breaks_a_stream
from repo import Identity, Progress

_BATCH = 0.02
"""Seconds between two frames that are shared: what comes meanwhile comes together."""
_MOST_BATCHES = 50
"""How many times longer it waits when there is more to do than can be done."""
_MOST_WAITING = 32
"""Frames that wait for one client; then it catches up by itself."""
_LOOK = (0.02, 1.0)
"""Seconds after which a stream that waits looks whether it can join others, at first and at most."""

Results = AsyncGenerator[Any, None]


@dataclass(frozen=True, slots=True)
class Piece:
    """A result of an operation, encoded."""

    text: str
    """What the payload of its message is."""
    errors: list[GraphQLError]
    """What ends the operation; empty where it goes on."""
    cursor: str | None
    """Behind which a stream of frames goes on."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What a client asks for."""

    query: str
    variables: dict[str, Any] | None
    operation_name: str | None


class _Listener:
    """A client that has joined others."""

    def __init__(self) -> None:
        self.is_behind = False
        self._pieces: deque[Piece] = deque()
        self._ended = False
        self._error: BaseException | None = None
        self._woken = asyncio.Event()

    @property
    def waiting(self) -> int:
        """How many pieces it has not been sent."""
        return len(self._pieces)

    def put(self, piece: Piece) -> None:
        """Send it this piece, or none any more where it is too slow."""
        if len(self._pieces) == _MOST_WAITING:
            self._pieces.clear()
            self.is_behind = True
        elif not self.is_behind:
            self._pieces.append(piece)
        self._woken.set()

    def end(self, error: BaseException | None) -> None:
        """There is nothing more to come, for this reason."""
        self._ended, self._error = True, error
        self._woken.set()

    async def pieces(self) -> AsyncGenerator[Piece, None]:
        """What was put, until the end, or until it is behind."""
        while not self.is_behind:
            if self._pieces:
                yield self._pieces.popleft()
            elif self._ended:
                if self._error is not None:
                    raise self._error
                return
            else:
                self._woken.clear()
                await self._woken.wait()


class _Shared:
    """A stream with all who have joined it."""

    def __init__(
        self,
        results: Results,
        pending: asyncio.Task[Any],
        progress: Progress,
        encode: Callable[[Any], Piece],
        forget: Callable[[], None],
    ) -> None:
        self.results = results
        self._progress = progress
        self._encode = encode
        self._forget = forget
        self._listeners: set[_Listener] = set()
        self._rests = False
        self._pending: asyncio.Task[Any] = pending
        self._closing: asyncio.Task[None] | None = None
        self._pumping = asyncio.create_task(self._pump())
        # Not at the end of the task itself: one that is cancelled at once never comes there.
        self._pumping.add_done_callback(self._end)

    @property
    def is_drained(self) -> bool:
        """Whether all who have joined were given everything that was seen so far."""
        return (self._rests or self._progress.waits) and self._progress.is_drained

    def join(self, listener: _Listener) -> None:
        """It gets what comes from here on."""
        self._listeners.add(listener)

    def leave(self, listener: _Listener) -> None:
        """It gets nothing more. The last one ends the stream."""
        self._listeners.discard(listener)
        if not self._listeners:
            self._forget()
            self._pumping.cancel()

    async def _pump(self) -> None:
        while (result := await self._pending) is not None:
            piece = self._encode(result)
            for listener in self._listeners:
                listener.put(piece)
            if piece.errors:
                return
            self._rests = True
            await asyncio.sleep(_BATCH)
            for _ in range(_MOST_BATCHES):
                # Where most have not been sent the last ones, it is this process that is slow, and not
                # they: what comes meanwhile comes together.
                if 2 * sum(listener.waiting > 2 for listener in self._listeners) <= len(self._listeners):
                    break
                await asyncio.sleep(_BATCH)
            self._rests = False
            self._pending = asyncio.create_task(_next(self.results))

    def _end(self, pumping: asyncio.Task[None]) -> None:
        # What was raised is for those who listen to say.
        error = None if pumping.cancelled() else pumping.exception()
        self._forget()
        for listener in self._listeners:
            listener.end(error)
        self._closing = asyncio.create_task(_close(self.results, self._pending))


class Live:
    """The operations of one server that may go on for long."""

    def __init__(self, encode: Callable[[Any], str]) -> None:
        """`encode` makes the payload of a result."""
        self.operations = 0
        """Those that go on."""
        self._encode = encode
        self._shared: dict[Hashable, _Shared] = {}

    @property
    def sources(self) -> int:
        """Streams that several may have joined."""
        return len(self._shared)

    async def pieces(
        self,
        ask: Ask,
        new_context: Callable[[], Awaitable[object]],
        execute: Callable[[object], Awaitable[Results]],
    ) -> AsyncGenerator[Piece, None]:
        """The results of an operation, to its end. `execute` begins it, in a context of its own."""
        self.operations += 1
        after: str | None = None
        try:
            while True:
                context = await new_context()
                if isinstance(context, Context):
                    context.resume_after = after
                alone = _Alone(await execute(context))
                shared, listener = None, _Listener()
                try:
                    try:
                        while shared is None:
                            if await alone.has_come():
                                if (result := alone.take()) is None:
                                    return
                                piece = self._piece(result, context)
                                yield piece
                                after = piece.cursor
                                if piece.errors:
                                    return
                            elif isinstance(context, Context):
                                shared = self._place(ask, context, alone)
                        shared.join(listener)
                    finally:
                        await alone.close()
                    async with aclosing(listener.pieces()) as pieces:
                        async for piece in pieces:
                            yield piece
                            after = piece.cursor
                            if piece.errors:
                                return
                finally:
                    if shared is not None:
                        shared.leave(listener)
                if not listener.is_behind:
                    return
        finally:
            self.operations -= 1

    def _place(self, ask: Ask, context: Context, alone: "_Alone") -> _Shared | None:
        """The stream to join now, if there is one that has given out exactly the same."""
        progress = context.progress
        if not (progress.waits and progress.is_drained):
            return None
        key = _key(ask, context.identity)
        shared = self._shared.get(key)
        if shared is None:
            # The first one becomes what the others join.
            results, pending = alone.give_away()
            shared = self._shared[key] = _Shared(
                results,
                pending,
                progress,
                lambda result: self._piece(result, context),
                lambda: self._forget(key, results),
            )
        return shared if shared.results is alone.results or shared.is_drained else None

    def _forget(self, key: Hashable, results: Results) -> None:
        if key in self._shared and self._shared[key].results is results:
            del self._shared[key]

    def _piece(self, result: Any, context: object) -> Piece:
        errors = list(getattr(result, "errors", None) or ())
        # An operation that was refused, or a stream that broke: not just a field of a result.
        ends = isinstance(result, PreExecutionError) or all(error.path is None for error in errors)
        cursor = context.progress.cursor if isinstance(context, Context) else None
        ended_by = errors if ends or breaks_a_stream(errors) else []
        return Piece(self._encode(result), ended_by, cursor)


class _Alone:
    """The results of an operation that nobody has joined."""

    def __init__(self, results: Results) -> None:
        self.results = results
        self._pending: asyncio.Task[Any] | None = None
        self._patience = _LOOK[0]
        self._is_ours = True

    async def has_come(self) -> bool:
        """Whether something has come; False after some waiting."""
        if self._pending is None:
            self._pending = asyncio.create_task(_next(self.results))
            self._patience = _LOOK[0]
        done, _ = await asyncio.wait({self._pending}, timeout=self._patience)
        self._patience = min(2 * self._patience, _LOOK[1])
        return bool(done)

    def take(self) -> Any:
        """What has come; None at the end."""
        assert self._pending is not None
        pending, self._pending = self._pending, None
        return pending.result()

    def give_away(self) -> tuple[Results, asyncio.Task[Any]]:
        """The results and what is awaited of them, which are somebody else's now."""
        assert self._pending is not None
        pending, self._pending, self._is_ours = self._pending, None, False
        return self.results, pending

    async def close(self) -> None:
        """End it, unless it was given away."""
        if self._is_ours:
            await _close(self.results, self._pending)


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


def _key(ask: Ask, identity: Identity) -> Hashable:
    """What two clients have to have in common to get the same from now on. Where each of them goes on from
    is no part of it."""
    variables = dict(ask.variables or {})
    document = parse(ask.query)
    operation = get_operation_ast(document, ask.operation_name)
    assert operation is not None, "an operation without a name, or one that is not there, does not run"
    for field in operation.selection_set.selections:
        for argument in getattr(field, "arguments", None) or ():
            if argument.name.value == "after" and isinstance(argument.value, VariableNode):
                name = argument.value.name.value
                if _uses(document, name) == 1:
                    variables.pop(name, None)
    return ask.query, ask.operation_name, json.dumps(variables, sort_keys=True), identity


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
