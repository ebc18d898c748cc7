"""`AsyncClient`: the methods of `Client` for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, overload

from .connecting import Download, Endpoint, event_stream_error
from .enums import ActionOrderField, ArtifactKind, LogLevel
from .errors import ApiError
from .operations import ActionReference, LogQuery, Operation, Operations, Pages, RunReference, log_conditions
from .protocol import EVENT_STREAM, data_of
from .streaming import AsyncResponse, AsyncTransport
from .streams import TICK_SECONDS, ActionStream, EventStream, Follower, LogStream, RunStream, Stream
from .types import (
    AbortActionPayload,
    AbortRunPayload,
    Action,
    ActionEvent,
    Artifact,
    Change,
    LogLine,
    Run,
)

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .filters import ActionFilter, RunFilter

T = TypeVar("T")


class AsyncClient:
    """As `Client`, for asyncio: lists and streams are asynchronous iterators, all else is awaited. Close
    it, or use `async with`."""

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        project: str | None = None,
        domain: str | None = None,
        *,
        timeout: float = 30.0,
        outage: float = 300.0,
    ) -> None:
        self._endpoint = Endpoint(url, token, project, domain)
        self._operations = Operations(self._endpoint.project, self._endpoint.domain)
        self._transport = AsyncTransport(timeout)
        self._outage = outage

    async def run(self, run: RunReference) -> Run:
        """A run as it is now."""
        return await self._call(self._operations.run(run))

    def runs(
        self,
        *,
        limit: int | None = None,
        order_by: ActionOrderField | None = None,
        ascending: bool = False,
        **filter: Unpack[RunFilter],
    ) -> AsyncGenerator[Run, None]:
        """The runs that match, newest first; read page by page. Without `project` and `domain` those of the
        client count; None stands for all."""
        return self._pages(self._operations.runs(limit, order_by, ascending, filter))

    async def action(self, target: RunReference | ActionReference, name: str | None = None) -> Action:
        """An action as it is now."""
        return await self._call(self._operations.action(target, name))

    def actions(
        self,
        run: RunReference,
        *,
        limit: int | None = None,
        order_by: ActionOrderField | None = None,
        ascending: bool = False,
        **filter: Unpack[ActionFilter],
    ) -> AsyncGenerator[Action, None]:
        """The actions of a run that match, parents first; read page by page."""
        return self._pages(self._operations.actions(run, limit, order_by, ascending, filter))

    def events(
        self,
        target: RunReference | ActionReference,
        name: str | None = None,
        *,
        attempt: int | None = None,
    ) -> AsyncGenerator[ActionEvent, None]:
        """The events of a run, or of one of its actions: action by action, by attempt, phase and version."""
        return self._follow(EventStream(self._operations.event_variables(target, name, attempt)))

    async def logs(
        self,
        target: RunReference | ActionReference,
        name: str | None = None,
        *,
        attempt: int | None = None,
        follow: bool = False,
        search: str | None = None,
        stream: str | None = None,
        levels: Iterable[LogLevel] | None = None,
    ) -> AsyncGenerator[LogLine, None]:
        """The lines of an action's log, of a run that of its root: of the latest attempt, by default. With
        `follow` also new ones, until the attempt has ended."""
        action = await self._identifier(target, name)
        number = attempt if attempt is not None else await self._call(self._operations.attempt(action))
        query = LogQuery(action, number, log_conditions(search, stream, levels))
        if follow:
            async for line in self._follow(LogStream(query)):
                yield line
            return
        end, has_more = 0, True
        while has_more:
            page = await self._call(query.page(end))
            for line in page.lines:
                yield line
            end, has_more = page.end, page.has_more

    async def artifacts(
        self,
        target: RunReference | ActionReference,
        name: str | None = None,
        *,
        attempt: int | None = None,
        kinds: Iterable[ArtifactKind] | None = None,
    ) -> list[Artifact]:
        """The last 1000 artifacts of an action, of a run those of its root; by attempt, kind and name."""
        action = await self._identifier(target, name)
        return await self._call(self._operations.artifacts(action, attempt, kinds))

    async def read_artifact(self, artifact: Artifact) -> bytes:
        """The bytes of an artifact."""
        return b"".join([part async for part in self.artifact_chunks(artifact)])

    async def artifact_chunks(self, artifact: Artifact) -> AsyncGenerator[bytes, None]:
        """The bytes of an artifact in parts. SIGNATURE_EXPIRED if it was read too long ago, DIGEST_MISMATCH
        at the end if these are other bytes."""
        download = Download(self._endpoint, artifact)
        async with await self._transport.open(download.request) as response:
            if response.status != 200:
                raise download.error(response, await response.read_all(self._transport.seconds))
            while part := download.checked(await response.read(self._transport.seconds)):
                yield part

    def watch(self, run: RunReference, **filter: Unpack[ActionFilter]) -> AsyncGenerator[Change, None]:
        """The actions of a run that match as they are, then each change, until the run has ended. Resumes
        after lost connections."""
        return self._follow(ActionStream(self._operations.watch_variables(run, filter)))

    async def wait(self, run: RunReference, timeout: float | None = None) -> Run:
        """The run when it has ended. Raises TimeoutError after so many seconds."""
        last: Run | None = None
        async for version in self._follow(RunStream({"run": self._operations.run_variable(run)}), timeout):
            last = version
        return await self.run(run) if last is None else last

    @overload
    async def abort(self, target: RunReference, reason: str | None = None) -> AbortRunPayload: ...

    @overload
    async def abort(self, target: ActionReference, reason: str | None = None) -> AbortActionPayload: ...

    async def abort(
        self, target: RunReference | ActionReference, reason: str | None = None
    ) -> AbortRunPayload | AbortActionPayload:
        """Requests the abort of a run or an action. `requested` is false if it had ended, or the abort had
        been requested before; `abort` of the result is the progress."""
        return await self._call(self._operations.abort(target, reason))

    async def execute(self, document: str, variables: dict[str, Any] | None = None) -> dict[str, Any]:
        """The data of any query or mutation."""
        return await self._call(Operation(document, variables or {}, lambda data: data))

    async def close(self) -> None:
        """Closes its connections."""
        self._transport.close()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _identifier(self, target: RunReference | ActionReference, name: str | None) -> dict[str, str]:
        known = self._operations.known_action(target, name)
        return known if known is not None else await self._call(self._operations.root(target))

    async def _call(self, operation: Operation[T]) -> T:
        request = self._endpoint.request(operation.document, operation.variables)
        return operation.read(data_of(request.url, *await self._transport.exchange(request)))

    async def _pages(self, pages: Pages[T]) -> AsyncGenerator[T, None]:
        while (operation := pages.next()) is not None:
            for item in await self._call(operation):
                yield item

    async def _open(self, stream: Stream[Any]) -> AsyncResponse:
        request = self._endpoint.request(stream.document, stream.variables, EVENT_STREAM)
        response = await self._transport.open(request)
        if not response.headers.get("content-type", "").startswith(EVENT_STREAM):
            async with response:
                body = await response.read_all(self._transport.seconds)
                raise event_stream_error(request.url, response, body)
        return response

    async def _follow(self, stream: Stream[T], timeout: float | None = None) -> AsyncGenerator[T, None]:
        follower = Follower(stream, self._endpoint.url, self._outage, timeout)
        while not stream.is_done:
            try:
                async with await self._open(stream) as response:
                    follower.begin()
                    while not stream.is_done:
                        data = await response.read(follower.seconds_left(TICK_SECONDS))
                        for item in follower.received(data):
                            yield item
                        if data is None and (check := stream.check()) is not None:
                            for item in stream.checked(await self._call(check)):
                                yield item
            except ApiError as error:
                await asyncio.sleep(follower.seconds_left(follower.pause(error)))
