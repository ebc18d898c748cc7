"""`Client`: reads runs, follows them, and aborts them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, overload

from .connecting import Download, Endpoint, event_stream_error
from .enums import ActionOrderField, ArtifactKind, LogLevel
from .errors import ApiError
from .operations import ActionReference, LogQuery, Operation, Operations, Pages, RunReference, log_conditions
from .protocol import EVENT_STREAM, data_of
from .sockets import Response, Transport
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


class Client:
    """Reads what is recorded. Threads may share it.

    Without arguments it uses the settings of `track`: RUNGRAPH_URL, RUNGRAPH_TOKEN or a file with one,
    RUNGRAPH_PROJECT and RUNGRAPH_DOMAIN. `timeout` is how many seconds a response may take, `outage` how many
    a server may be unavailable while a run is followed. All methods raise ApiError. A run is a name in the
    client's project and domain, a RunIdentifier, or a Run; an action is an Action, an ActionIdentifier, or a
    run and a name."""

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
        self._transport = Transport(timeout)
        self._outage = outage

    def run(self, run: RunReference) -> Run:
        """A run as it is now."""
        return self._call(self._operations.run(run))

    def runs(
        self,
        *,
        limit: int | None = None,
        order_by: ActionOrderField | None = None,
        ascending: bool = False,
        **filter: Unpack[RunFilter],
    ) -> Iterator[Run]:
        """The runs that match, newest first; read page by page. Without `project` and `domain` those of the
        client count; None stands for all."""
        return self._pages(self._operations.runs(limit, order_by, ascending, filter))

    def action(self, target: RunReference | ActionReference, name: str | None = None) -> Action:
        """An action as it is now."""
        return self._call(self._operations.action(target, name))

    def actions(
        self,
        run: RunReference,
        *,
        limit: int | None = None,
        order_by: ActionOrderField | None = None,
        ascending: bool = False,
        **filter: Unpack[ActionFilter],
    ) -> Iterator[Action]:
        """The actions of a run that match, parents first; read page by page."""
        return self._pages(self._operations.actions(run, limit, order_by, ascending, filter))

    def events(
        self,
        target: RunReference | ActionReference,
        name: str | None = None,
        *,
        attempt: int | None = None,
    ) -> Iterator[ActionEvent]:
        """The events of a run, or of one of its actions: action by action, by attempt, phase and version."""
        return self._follow(EventStream(self._operations.event_variables(target, name, attempt)))

    def logs(
        self,
        target: RunReference | ActionReference,
        name: str | None = None,
        *,
        attempt: int | None = None,
        follow: bool = False,
        search: str | None = None,
        stream: str | None = None,
        levels: Iterable[LogLevel] | None = None,
    ) -> Iterator[LogLine]:
        """The lines of an action's log, of a run that of its root: of the latest attempt, by default. With
        `follow` also new ones, until the attempt has ended."""
        action = self._identifier(target, name)
        number = attempt if attempt is not None else self._call(self._operations.attempt(action))
        query = LogQuery(action, number, log_conditions(search, stream, levels))
        if follow:
            yield from self._follow(LogStream(query))
            return
        end, has_more = 0, True
        while has_more:
            page = self._call(query.page(end))
            yield from page.lines
            end, has_more = page.end, page.has_more

    def artifacts(
        self,
        target: RunReference | ActionReference,
        name: str | None = None,
        *,
        attempt: int | None = None,
        kinds: Iterable[ArtifactKind] | None = None,
    ) -> list[Artifact]:
        """The last 1000 artifacts of an action, of a run those of its root; by attempt, kind and name."""
        return self._call(self._operations.artifacts(self._identifier(target, name), attempt, kinds))

    def read_artifact(self, artifact: Artifact) -> bytes:
        """The bytes of an artifact."""
        return b"".join(self.artifact_chunks(artifact))

    def artifact_chunks(self, artifact: Artifact) -> Iterator[bytes]:
        """The bytes of an artifact in parts. SIGNATURE_EXPIRED if it was read too long ago, DIGEST_MISMATCH
        at the end if these are other bytes."""
        download = Download(self._endpoint, artifact)
        with self._transport.open(download.request) as response:
            if response.status != 200:
                raise download.error(response, response.read_all(self._transport.seconds))
            while part := download.checked(response.read(self._transport.seconds)):
                yield part

    def watch(self, run: RunReference, **filter: Unpack[ActionFilter]) -> Iterator[Change]:
        """The actions of a run that match as they are, then each change, until the run has ended. Resumes
        after lost connections."""
        return self._follow(ActionStream(self._operations.watch_variables(run, filter)))

    def wait(self, run: RunReference, timeout: float | None = None) -> Run:
        """The run when it has ended. Raises TimeoutError after so many seconds."""
        versions = self._follow(RunStream({"run": self._operations.run_variable(run)}), timeout)
        last = deque(versions, maxlen=1)
        return last[0] if last else self.run(run)

    @overload
    def abort(self, target: RunReference, reason: str | None = None) -> AbortRunPayload: ...

    @overload
    def abort(self, target: ActionReference, reason: str | None = None) -> AbortActionPayload: ...

    def abort(
        self, target: RunReference | ActionReference, reason: str | None = None
    ) -> AbortRunPayload | AbortActionPayload:
        """Requests the abort of a run or an action. `requested` is false if it had ended, or the abort had
        been requested before; `abort` of the result is the progress."""
        return self._call(self._operations.abort(target, reason))

    def execute(self, document: str, variables: dict[str, Any] | None = None) -> dict[str, Any]:
        """The data of any query or mutation."""
        return self._call(Operation(document, variables or {}, lambda data: data))

    def close(self) -> None:
        """Closes its connections."""
        self._transport.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _identifier(self, target: RunReference | ActionReference, name: str | None) -> dict[str, str]:
        known = self._operations.known_action(target, name)
        return known if known is not None else self._call(self._operations.root(target))

    def _call(self, operation: Operation[T]) -> T:
        request = self._endpoint.request(operation.document, operation.variables)
        return operation.read(data_of(request.url, *self._transport.exchange(request)))

    def _pages(self, pages: Pages[T]) -> Iterator[T]:
        while (operation := pages.next()) is not None:
            yield from self._call(operation)

    def _open(self, stream: Stream[Any]) -> Response:
        request = self._endpoint.request(stream.document, stream.variables, EVENT_STREAM)
        response = self._transport.open(request)
        if not response.headers.get("content-type", "").startswith(EVENT_STREAM):
            with response:
                raise event_stream_error(request.url, response, response.read_all(self._transport.seconds))
        return response

    def _follow(self, stream: Stream[T], timeout: float | None = None) -> Iterator[T]:
        follower = Follower(stream, self._endpoint.url, self._outage, timeout)
        while not stream.is_done:
            try:
                with self._open(stream) as response:
                    follower.begin()
                    while not stream.is_done:
                        data = response.read(follower.seconds_left(TICK_SECONDS))
                        yield from follower.received(data)
                        if data is None and (check := stream.check()) is not None:
                            yield from stream.checked(self._call(check))
            except ApiError as error:
                time.sleep(follower.seconds_left(follower.pause(error)))
