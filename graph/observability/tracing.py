"""Owns traces, in the way of OpenTelemetry: a span for each operation, and below it one for each statement
that PostgreSQL runs for it.

Only imported where traces are wanted, since what it needs is an extra. The environment variables of
OpenTelemetry say where spans go, and which are taken.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from opentelemetry import context, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.asyncpg import AsyncPGInstrumentor
from opentelemetry.propagators.textmap import Getter
from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_LONGEST_NAME = 100
"""Characters of an operation's name that a span has."""

_SENT_WITHIN = 3.0
"""Seconds that the last spans have to be sent when the server stops."""

Headers = Iterable[tuple[bytes, bytes]]


class OperationSpan:
    """The span of an operation that goes on. Statements that are run meanwhile, in the same task and in
    those that it starts, are below it."""

    def __init__(self, span: Span) -> None:
        self._span = span
        self.trace_id = trace.format_trace_id(span.get_span_context().trace_id)
        """The trace that it belongs to, as 32 hexadecimal digits."""

    def end(
        self, named: tuple[str, str] | None, caller: str | None, codes: Sequence[str], failed: bool
    ) -> None:
        """The operation is over. Its type and name are known where its document is valid. `codes` are of
        the errors that the client was told; where one of them is no fault of the client's, it has failed."""
        span = self._span
        if span.is_recording():
            if named is not None:
                type, name = named[0], named[1][:_LONGEST_NAME]
                span.update_name(f"{type} {name}")
                span.set_attribute("graphql.operation.type", type)
                span.set_attribute("graphql.operation.name", name)
            if caller is not None:
                span.set_attribute("enduser.id", caller)
            if codes:
                span.set_attribute("error.type", codes[0])
            if failed:
                span.set_status(Status(StatusCode.ERROR))
        span.end()


class Tracing:
    """What makes spans, and sends them."""

    def __init__(self) -> None:
        # What the environment says comes first.
        named = SERVICE_NAME in OTELResourceDetector().detect().attributes
        resource = Resource.create({} if named else {SERVICE_NAME: "rungraph"})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._tracer = self._provider.get_tracer("rungraph")
        self._parents = TraceContextTextMapPropagator()

    def begin(self, headers: Headers) -> OperationSpan:
        """The span of an operation that begins in this task; a header `traceparent` says what it is
        below."""
        parent = self._parents.extract(headers, context.Context(), _HEADERS)
        span = self._tracer.start_span("operation", parent, SpanKind.SERVER)
        # Never detached: the task belongs to the operation.
        context.attach(trace.set_span_in_context(span))
        return OperationSpan(span)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Spans are sent, and statements have some, as long as the context lasts."""
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        statements = AsyncPGInstrumentor()  # type: ignore[no-untyped-call]
        statements.instrument(tracer_provider=_OfStatements(self._provider))
        try:
            yield
        finally:
            statements.uninstrument()
            # It tries again and again where nobody takes them, for longer than a server may take to stop.
            sending = threading.Thread(target=self._provider.shutdown, daemon=True)
            sending.start()
            await asyncio.to_thread(sending.join, _SENT_WITHIN)


class _OfStatements(trace.TracerProvider):
    """Makes the tracer of the driver of PostgreSQL."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider

    def get_tracer(self, *given: Any, **named: Any) -> Tracer:
        return _StatementTracer(self._provider.get_tracer(*given, **named))


class _StatementTracer(Tracer):
    """Makes spans of statements that an operation needs, and of no others: a server looks at what was
    written all the time. They say that a statement failed, but not what the database said of it, which
    repeats values."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def start_span(self, *given: Any, **named: Any) -> Span:
        if not trace.get_current_span().get_span_context().is_valid:
            return trace.INVALID_SPAN
        return self._tracer.start_span(
            *given, **{**named, "record_exception": False, "set_status_on_exception": False}
        )

    @contextmanager
    def start_as_current_span(self, *given: Any, **named: Any) -> Iterator[Span]:  # type: ignore[override]
        with trace.use_span(
            self.start_span(*given, **named),
            end_on_exit=True,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            yield span


class _Headers(Getter[Headers]):
    """Finds headers of ASGI."""

    def get(self, carrier: Headers, key: str) -> list[str] | None:
        return [value.decode("latin-1") for name, value in carrier if name == key.encode()] or None

    def keys(self, carrier: Headers) -> list[str]:
        return [name.decode("latin-1") for name, _ in carrier]


_HEADERS = _Headers()
