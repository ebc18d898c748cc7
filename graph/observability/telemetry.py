"""Owns what is told of every operation: a line in the log, figures, and a span where there is tracing."""

import random
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import structlog
from graphql import GraphQLError
from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.types import Scope

from graph.execution import Operation
from graph.transport.shared_subscriptions import Piece

if TYPE_CHECKING:  # an extra, which may not be installed
    from graph.observability.tracing import OperationSpan, Tracing

logger = structlog.get_logger("rungraph.operations")

LoggedOperations = Literal["all", "slow", "none"]
Transport = Literal["http", "sse", "websocket"]

REQUEST_ID = b"x-request-id"
"""The header in which a client gives a request a name, and gets it back."""

_SANE_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")
_KEY = "rungraph.request_id"

_SLOW = 1.0
"""Seconds from which on an operation counts as slow."""

_LONGEST_NAME = 100
"""Characters of an operation's name that are logged."""

_OURS = frozenset({"INTERNAL_SERVER_ERROR", "SERVICE_UNAVAILABLE", "TIMEOUT"})
"""Codes of what is not the client's fault."""

_BUCKETS = (0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0)


class Telemetry:
    """What one server tells. `logged` says which operations have a line: `all`, or those that are slow or
    failed, or `none`. With `tracing` each has a span."""

    def __init__(self, logged: LoggedOperations = "slow", tracing: "Tracing | None" = None) -> None:
        self.logged = logged
        self.tracing = tracing
        self.registry = CollectorRegistry()
        self.websockets = 0
        """Connections that are open."""
        self._operations = Counter(
            "rungraph_operations",
            "Operations that came to their end, by their root field, and how.",
            ["type", "field", "outcome"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "rungraph_operation_seconds",
            "How long queries and mutations took that were executed.",
            ["type", "field"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._errors = Counter(
            "rungraph_errors", "Errors that clients were told.", ["code"], registry=self.registry
        )
        # To look a figure up by its labels takes the library longer than to count.
        self._counting: dict[tuple[str, str, str], Counter] = {}
        self._timing: dict[tuple[str, str], Histogram] = {}

    def begin(self, scope: Scope, transport: Transport) -> "Call":
        """A request that came in, or an operation of a websocket. What is logged for it from here on has
        its request id."""
        request_id = scope.get(_KEY) or _note_request(scope)
        span = None
        if self.tracing is not None:
            span = self.tracing.begin(scope["headers"])
            structlog.contextvars.bind_contextvars(trace_id=span.trace_id)
        return Call(self, request_id, transport, span)

    @contextmanager
    def connection(self, scope: Scope) -> Iterator[None]:
        """A websocket, as long as it is open."""
        _note_request(scope)
        logger.debug("websocket opened")
        self.websockets += 1
        try:
            yield
        finally:
            self.websockets -= 1
            logger.debug("websocket closed")

    def refused(self, code: str) -> None:
        """Somebody was refused before there was an operation."""
        self.count_errors([code])
        self.count("none", "none", "refused", 0)

    def count_errors(self, codes: Iterable[str]) -> None:
        """Clients were told of these."""
        for code in codes:
            self._errors.labels(code).inc()

    def count(self, type: str, field: str, outcome: str, seconds: float) -> None:
        """An operation came to its end."""
        counter = self._counting.get((type, field, outcome))
        if counter is None:
            counter = self._counting[type, field, outcome] = self._operations.labels(type, field, outcome)
        counter.inc()
        if outcome == "refused" or type == "subscription":  # which goes on for as long as somebody watches
            return
        histogram = self._timing.get((type, field))
        if histogram is None:
            histogram = self._timing[type, field] = self._seconds.labels(type, field)
        histogram.observe(seconds)


class Call:
    """A request, or an operation, that goes on."""

    __slots__ = ("_began", "_codes", "_span", "_telemetry", "caller", "executed", "request_id", "transport")

    def __init__(
        self, telemetry: Telemetry, request_id: str, transport: Transport, span: "OperationSpan | None"
    ) -> None:
        self.request_id = request_id
        self.transport: Transport = transport
        self.caller: str | None = None
        """The key of who asked for it, once that is known."""
        self.executed = False
        """Whether anything was executed: else it was refused."""
        self._telemetry = telemetry
        self._span = span
        self._codes: dict[str, None] = {}
        self._began = time.perf_counter()

    def gave(self, piece: Piece) -> None:
        """The client was sent one of its results."""
        self.executed = self.executed or not piece.errors
        if piece.problems:
            self.note(piece.problems)

    def note(self, errors: Iterable[GraphQLError]) -> None:
        """The client was told of these."""
        self.note_codes([str((error.extensions or {}).get("code")) for error in errors])

    def note_codes(self, codes: list[str]) -> None:
        """The client was told of errors with these codes."""
        self._telemetry.count_errors(codes)
        self._codes.update(dict.fromkeys(codes))

    def end(self, operation: Operation | None, status: int | None = None) -> None:
        """It is over: `operation`, where its document is valid, answered with this status of HTTP."""
        seconds = time.perf_counter() - self._began
        telemetry = self._telemetry
        type, field = ("none", "none") if operation is None else (operation.type, operation.field)
        outcome = "refused" if not self.executed else "error" if self._codes else "ok"
        telemetry.count(type, field, outcome, seconds)
        failed = not _OURS.isdisjoint(self._codes) if self._codes else False
        is_slow = seconds >= _SLOW and type != "subscription"
        if telemetry.logged == "all" or (telemetry.logged == "slow" and (failed or is_slow)):
            self._log(operation, outcome, status, seconds, logger.warning if failed else logger.info)
        if self._span is not None:
            named = None if operation is None else (type, operation.name or field)
            self._span.end(named, self.caller, list(self._codes), failed)

    def _log(
        self, operation: Operation | None, outcome: str, status: int | None, seconds: float, log: Any
    ) -> None:
        line: dict[str, object] = {"transport": self.transport, "outcome": outcome}
        if self.caller is not None:
            line["caller"] = self.caller
        if operation is not None:
            line |= {"type": operation.type, "field": operation.field}
            if operation.name is not None:
                line["name"] = operation.name[:_LONGEST_NAME]
        if self._codes:
            line["errors"] = list(self._codes)
        if status is not None:
            line["status"] = status
        log("operation", **line, duration_ms=round(seconds * 1000, 3))


def _note_request(scope: Scope) -> str:
    """The id of a request, which is in every line that is logged for it: the client's where it sent one
    that may stand anywhere, else a new one."""
    request_id = ""
    for name, value in scope["headers"]:
        if name == REQUEST_ID and _SANE_ID.fullmatch(value):
            request_id = value.decode()
    request_id = scope[_KEY] = request_id or f"{random.getrandbits(128):032x}"
    structlog.contextvars.bind_contextvars(request_id=request_id)
    return request_id
