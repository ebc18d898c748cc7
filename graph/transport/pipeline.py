"""Shared by all transports: limits, contexts, execution, shared subscriptions and telemetry."""

from collections.abc import Awaitable, Callable, Collection

from starlette.requests import HTTPConnection
from strawberry.schema.exceptions import CannotGetOperationTypeError
from strawberry.types import ExecutionResult
from strawberry.types.graphql import OperationType

from graph.auth.caller import Caller
from graph.errors import no_such_operation
from graph.execution import Answer, Engine, Operation, OperationRequest, encode, formatted
from graph.limits.clients import ClientLimits
from graph.limits.trusted_documents import refuse_hashes
from graph.observability.telemetry import OperationRecord, Telemetry
from graph.transport.request import Resolve
from graph.transport.shared_subscriptions import SharedSubscriptions

NewContext = Callable[[HTTPConnection, Caller], Awaitable[object]]
"""Creates `info.context` for each operation. May raise RequestRefused."""


class Pipeline:
    """Handed to the HTTP endpoint and to each WebSocket connection."""

    def __init__(
        self,
        engine: Engine,
        new_context: NewContext,
        *,
        telemetry: Telemetry | None = None,
        client_limits: ClientLimits | None = None,
        resolve: Resolve = refuse_hashes,
    ) -> None:
        self.engine = engine
        self.new_context = new_context
        self.telemetry = telemetry or Telemetry()
        self.client_limits = client_limits or ClientLimits()
        self.resolve = resolve
        self.subscriptions = SharedSubscriptions(
            lambda result: encode(formatted(result)), engine.load_operation
        )

    async def answer(
        self, request: OperationRequest, context: object, allowed: Collection[OperationType]
    ) -> Answer:
        """The response to a query or mutation. Raises InvalidOperationTypeError if it is not `allowed`."""
        try:
            return await self.engine.answer(request, context, allowed)
        except CannotGetOperationTypeError as error:
            shown = no_such_operation(error)
            body = formatted(ExecutionResult(data=None, errors=[shown]))
            return Answer(encode(body), [shown], has_data=False)

    def finish(
        self, record: OperationRecord, query: str, operation_name: str | None, status: int | None = None
    ) -> None:
        """Record the end of an operation, which is validated only if that was not done before."""
        operation: Operation | None = self.engine.operations.get(query, operation_name)
        if operation is None and record.executed:
            operation = self.engine.operation(query, operation_name)
        record.finish(operation, status)
