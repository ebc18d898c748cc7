"""OpenTelemetry tracing: a span for each operation and, below it, for each of its PostgreSQL statements.
Imported only if tracing is enabled, since its dependencies are optional. OpenTelemetry's environment
variables configure exporter and sampling."""

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

_MAX_NAME = 100
"""Maximum length of an operation's name in a span."""

_SHUTDOWN_TIMEOUT = 3.0
"""Seconds for sending the last spans when the server stops."""

Headers = Iterable[tuple[bytes, bytes]]


class OperationSpan:
    """The span of a running operation. Statements of the same task and its child tasks are below it."""

    def __init__(self, span: Span) -> None:
        self._span = span
        self.trace_id = trace.format_trace_id(span.get_span_context().trace_id)
        """The trace id as 32 hexadecimal digits."""

    def end(
        self, operation: tuple[str, str] | None, caller: str | None, codes: Sequence[str], failed: bool
    ) -> None:
        """Ends the span. Type and name are known for valid documents. `codes` are the client's error codes;
        a code that is not the client's fault marks the span as failed."""
        span = self._span
        if span.is_recording():
            if operation is not None:
                type, name = operation[0], operation[1][:_MAX_NAME]
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
    """Creates and exports spans."""

    def __init__(self) -> None:
        # The environment has precedence.
        is_named = SERVICE_NAME in OTELResourceDetector().detect().attributes
        resource = Resource.create({} if is_named else {SERVICE_NAME: "rungraph"})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._tracer = self._provider.get_tracer("rungraph")
        self._parents = TraceContextTextMapPropagator()

    def begin(self, headers: Headers) -> OperationSpan:
        """Starts the span of an operation in this task, below the span of a `traceparent` header."""
        parent = self._parents.extract(headers, context.Context(), _HEADERS)
        span = self._tracer.start_span("operation", parent, SpanKind.SERVER)
        # Never detached, since the task belongs to the operation.
        context.attach(trace.set_span_in_context(span))
        return OperationSpan(span)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Exports spans and instruments statements while the context is open."""
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        statements = AsyncPGInstrumentor()  # type: ignore[no-untyped-call]
        statements.instrument(tracer_provider=_StatementTracerProvider(self._provider))
        try:
            yield
        finally:
            statements.uninstrument()
            # Without a receiver the exporter retries for longer than the server's stop may take.
            sending = threading.Thread(target=self._provider.shutdown, daemon=True)
            sending.start()
            await asyncio.to_thread(sending.join, _SHUTDOWN_TIMEOUT)


class _StatementTracerProvider(trace.TracerProvider):
    """Provides the tracer for asyncpg."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider

    def get_tracer(self, *args: Any, **kwargs: Any) -> Tracer:
        return _StatementTracer(self._provider.get_tracer(*args, **kwargs))


class _StatementTracer(Tracer):
    """Creates spans only for statements of operations, not for background polls. A failed statement is
    marked without the database's message, which may contain values."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def start_span(self, *args: Any, **kwargs: Any) -> Span:
        if not trace.get_current_span().get_span_context().is_valid:
            return trace.INVALID_SPAN
        return self._tracer.start_span(
            *args, **{**kwargs, "record_exception": False, "set_status_on_exception": False}
        )

    @contextmanager
    def start_as_current_span(self, *args: Any, **kwargs: Any) -> Iterator[Span]:  # type: ignore[override]
        with trace.use_span(
            self.start_span(*args, **kwargs),
            end_on_exit=True,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            yield span


class _Headers(Getter[Headers]):
    """Reads ASGI headers."""

    def get(self, carrier: Headers, key: str) -> list[str] | None:
        return [value.decode("latin-1") for name, value in carrier if name == key.encode()] or None

    def keys(self, carrier: Headers) -> list[str]:
        return [name.decode("latin-1") for name, _ in carrier]


_HEADERS = _Headers()
