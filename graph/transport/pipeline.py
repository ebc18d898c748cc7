"""What operations need over any transport: limits, a context, execution, shared subscriptions, telemetry."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Collection
from typing import Any

from starlette.requests import HTTPConnection
from strawberry.schema.exceptions import CannotGetOperationTypeError
from strawberry.types import ExecutionResult
from strawberry.types.graphql import OperationType

from graph.auth.caller import Caller
from graph.errors import no_such_operation
from graph.execution import Operation
from graph.execution.engine import ALL_TYPES, Answer, Engine, encode, formatted
from graph.limits.rate_limits import Throttle
from graph.limits.trusted_documents import only_texts
from graph.observability.telemetry import OperationRecord, Telemetry
from graph.transport.request import Parameters, Resolve
from graph.transport.shared_subscriptions import SharedSubscriptions
from graph.transport.subscribers import OperationRequest

NewContext = Callable[[HTTPConnection, Caller], Awaitable[object]]
"""Creates what resolvers get as `info.context`, for each operation. May raise RequestRefused."""


class Pipeline:
    """Handed to the HTTP endpoint and to each WebSocket connection."""

    def __init__(
        self,
        engine: Engine,
        new_context: NewContext,
        *,
        telemetry: Telemetry | None = None,
        throttle: Throttle | None = None,
        resolve: Resolve = only_texts,
    ) -> None:
        self.engine = engine
        self.new_context = new_context
        self.telemetry = telemetry or Telemetry()
        self.throttle = throttle or Throttle()
        self.resolve = resolve
        self.subscriptions = SharedSubscriptions(lambda result: encode(formatted(result)), engine.learned)

    async def answer(
        self, parameters: Parameters, context: object, allowed: Collection[OperationType]
    ) -> Answer:
        """The response to a query or mutation. Raises InvalidOperationTypeError if it is not `allowed`."""
        try:
            return await self.engine.answer(
                parameters.query,
                parameters.variables,
                parameters.operation_name,
                context,
                allowed,
                parameters.extensions,
                parameters.are_large,
            )
        except CannotGetOperationTypeError as error:
            shown = no_such_operation(error)
            body = formatted(ExecutionResult(data=None, errors=[shown]))
            return Answer(encode(body), [shown], has_data=False)

    async def stream(
        self, request: OperationRequest, context: object, allowed: Collection[OperationType] = ALL_TYPES
    ) -> AsyncGenerator[Any, None]:
        """The results of an operation of any type."""
        return await self.engine.stream(
            request.query,
            request.variables,
            request.operation_name,
            context,
            allowed,
            request.extensions,
            request.is_large,
        )

    def finish(
        self, record: OperationRecord, query: str, operation_name: str | None, status: int | None = None
    ) -> None:
        """Record the end of an operation, which is validated only if that was not done before."""
        operation: Operation | None = self.engine.operations.get(query, operation_name)
        if operation is None and record.executed:
            operation = self.engine.operation(query, operation_name)
        record.finish(operation, status)
