"""Records every operation: a log line, metrics, and a span if tracing is on."""

import random
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import structlog
from graphql import GraphQLError
from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.types import Scope

from graph.execution import Operation

if TYPE_CHECKING:  # an extra, which may not be installed
    from graph.observability.tracing import OperationSpan, Tracing

logger = structlog.get_logger("rungraph.operations")

LoggedOperations = Literal["all", "slow", "none"]
Transport = Literal["http", "sse", "websocket"]

REQUEST_ID = b"x-request-id"
"""The header for the request id of the client, which the response repeats."""

_VALID_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")
_SCOPE_KEY = "rungraph.request_id"

_MAX_NAME = 100
"""Characters of an operation's name that are logged."""

_SERVER_ERRORS = frozenset({"INTERNAL_SERVER_ERROR", "SERVICE_UNAVAILABLE", "TIMEOUT"})
"""Codes of errors that the client did not cause."""

_BUCKETS = (0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0)


class Telemetry:
    """Records the operations of one server. `logged` selects which ones are logged: `all`, only those that
    are `slow` or failed, or `none`. With `tracing`, each one has a span."""

    def __init__(self, logged: LoggedOperations = "slow", tracing: "Tracing | None" = None) -> None:
        self.logged = logged
        self.slow_after = 1.0
        """Seconds after which an operation counts as slow."""
        self.tracing = tracing
        self.registry = CollectorRegistry()
        self.websockets = 0
        """Open connections."""
        self._operations = Counter(
            "rungraph_operations",
            "Completed operations, by type, root field and outcome.",
            ["type", "field", "outcome"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "rungraph_operation_seconds",
            "Duration of executed queries and mutations.",
            ["type", "field"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._errors = Counter(
            "rungraph_errors", "Errors in responses, by code.", ["code"], registry=self.registry
        )
        # The lookup of a metric by its labels takes the library longer than counting.
        self._counting: dict[tuple[str, str, str], Counter] = {}
        self._timing: dict[tuple[str, str], Histogram] = {}

    def start(self, scope: Scope, transport: Transport) -> "OperationRecord":
        """The record of an HTTP request, or of an operation over a WebSocket. From here on, log lines of this
        task have its request id."""
        request_id = scope.get(_SCOPE_KEY) or _bind_request_id(scope)
        span = None
        if self.tracing is not None:
            span = self.tracing.begin(scope["headers"])
            structlog.contextvars.bind_contextvars(trace_id=span.trace_id)
        return OperationRecord(self, request_id, transport, span)

    @contextmanager
    def connection(self, scope: Scope) -> Iterator[None]:
        """Counts a WebSocket while it is open."""
        _bind_request_id(scope)
        logger.debug("websocket opened")
        self.websockets += 1
        try:
            yield
        finally:
            self.websockets -= 1
            logger.debug("websocket closed")

    def record_refusal(self, code: str) -> None:
        """Count a request that was refused before there was an operation."""
        self.count_errors([code])
        self.count("none", "none", "refused", 0)

    def count_errors(self, codes: Iterable[str]) -> None:
        """Count errors in responses."""
        for code in codes:
            self._errors.labels(code).inc()

    def count(self, type: str, field: str, outcome: str, seconds: float) -> None:
        """Count a completed operation."""
        counter = self._counting.get((type, field, outcome))
        if counter is None:
            counter = self._counting[type, field, outcome] = self._operations.labels(type, field, outcome)
        counter.inc()
        if outcome == "refused" or type == "subscription":  # whose duration is up to the client
            return
        histogram = self._timing.get((type, field))
        if histogram is None:
            histogram = self._timing[type, field] = self._seconds.labels(type, field)
        histogram.observe(seconds)


@dataclass(slots=True)
class OperationRecord:
    """An operation that is running, or a request that is about to become one."""

    _telemetry: Telemetry
    request_id: str
    transport: Transport
    _span: "OperationSpan | None"
    caller: str | None = None
    """The key of the caller, once authenticated."""
    executed: bool = False
    """Whether anything was executed; otherwise the operation was refused."""
    _codes: dict[str, None] = field(default_factory=dict)
    _started_at: float = field(default_factory=time.perf_counter)

    def record_result(self, executed: bool, errors: Sequence[GraphQLError]) -> None:
        """Record a result that the client receives."""
        self.executed = self.executed or executed
        if errors:
            self.record_errors(errors)

    def record_errors(self, errors: Iterable[GraphQLError]) -> None:
        """Record errors that the client receives."""
        self.record_codes([str((error.extensions or {}).get("code")) for error in errors])

    def record_codes(self, codes: list[str]) -> None:
        """Record errors with these codes that the client receives."""
        self._telemetry.count_errors(codes)
        self._codes.update(dict.fromkeys(codes))

    def finish(self, operation: Operation | None, status: int | None = None) -> None:
        """Log and count the operation. It is None if the document is not valid; `status` is of the HTTP
        response."""
        seconds = time.perf_counter() - self._started_at
        telemetry = self._telemetry
        type, root_field = ("none", "none") if operation is None else (operation.type, operation.field)
        outcome = "refused" if not self.executed else "error" if self._codes else "ok"
        telemetry.count(type, root_field, outcome, seconds)
        failed = not _SERVER_ERRORS.isdisjoint(self._codes) if self._codes else False
        is_slow = seconds >= telemetry.slow_after and type != "subscription"
        if telemetry.logged == "all" or (telemetry.logged == "slow" and (failed or is_slow)):
            self._log(operation, outcome, status, seconds, logger.warning if failed else logger.info)
        if self._span is not None:
            named = None if operation is None else (type, operation.name or root_field)
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
                line["name"] = operation.name[:_MAX_NAME]
        if self._codes:
            line["errors"] = list(self._codes)
        if status is not None:
            line["status"] = status
        log("operation", **line, duration_ms=round(seconds * 1000, 3))


def _bind_request_id(scope: Scope) -> str:
    """The id of a request, for all its log lines: the one of its header if that is valid, or a new one."""
    request_id = ""
    for name, value in scope["headers"]:
        if name == REQUEST_ID and _VALID_ID.fullmatch(value):
            request_id = value.decode()
    request_id = scope[_SCOPE_KEY] = request_id or f"{random.getrandbits(128):032x}"
    structlog.contextvars.bind_contextvars(request_id=request_id)
    return request_id
