"""Executes operations: looks them up, executes them compiled or by Strawberry, and encodes results."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Collection
from contextlib import aclosing
from typing import Any, TypeVar

from graphql import DocumentNode, GraphQLError, default_field_resolver, default_type_resolver, parse, validate
from graphql import ExecutionResult as CoreResult
from graphql.execution.execute import create_source_event_stream
from graphql.execution.values import VariableValues, get_variable_values
from strawberry import Schema
from strawberry.execution import optimized_is_awaitable
from strawberry.types import ExecutionResult
from strawberry.types.execution import PreExecutionError
from strawberry.types.graphql import OperationType
from strawberry.types.info import Info

from graph.errors import ClientErrors, show
from graph.execution.executor import CompiledExecutor
from graph.execution.inputs import Inputs, coerce_variables, variables_of
from graph.execution.operations import Operation, OperationRequest, Operations, cursor_variable
from graph.execution.results import Answer, TimedOut, encode, formatted, shown, timed_out
from graph.limits.documents import OperationLimits
from graph.strawberry_internals import core_schema

T = TypeVar("T")

ALL_TYPES = frozenset(OperationType)

LONG_DOCUMENT = 4096
"""Characters from which on a new document is parsed and validated in a thread."""


class Engine:
    """Executes operations of a schema, compiled where possible if `compiled`. A query or mutation is
    cancelled after `timeout` seconds.

    Compiled execution gives the same results as Strawberry's. It is not used for a schema with extensions
    other than our two, since an extension may observe anything.
    """

    def __init__(self, schema: Schema, compiled: bool = True, timeout: float | None = None) -> None:
        self.operations = Operations()
        self.schema = schema
        self._core_schema = core_schema(schema)
        self._timeout = timeout
        self._input_types = Inputs()
        # Only one thread each: threads share one interpreter.
        self._validating = asyncio.Lock()
        self._reading_variables = asyncio.Lock()
        extensions = schema.get_extensions()
        self._limits = next((each for each in extensions if isinstance(each, OperationLimits)), None)
        only_ours = all(type(each) in (ClientErrors, OperationLimits) for each in extensions)
        plain = not (schema.directives or schema.exception_handlers) and schema.config.info_class is Info
        self.compiles = compiled and only_ours and plain
        """Whether operations are compiled at all."""
        self.known = 0
        """Hits of the operation cache."""
        self.unknown = 0
        """Misses of the operation cache."""

    def operation(self, query: str, operation_name: str | None) -> Operation | None:
        """The operation, cached or now validated; None if it is not valid."""
        operation = self.operations.get(query, operation_name)
        if operation is not None:
            self.known += 1
            return operation
        self.unknown += 1
        return None if self._is_refused(query) else self._add(query, operation_name, self._validate(query))

    async def load_operation(self, query: str, operation_name: str | None) -> Operation | None:
        """The same without blocking the event loop for long: new documents are validated one at a time."""
        operation = self.operations.get(query, operation_name)
        if operation is not None:
            self.known += 1
            return operation
        if not self._is_refused(query):
            async with self._validating:
                if len(query) >= LONG_DOCUMENT and self.operations.get(query, operation_name) is None:
                    self.unknown += 1
                    return self._add(query, operation_name, await asyncio.to_thread(self._validate, query))
                operation = self.operation(query, operation_name)
                await asyncio.sleep(0)
                return operation
        return self.operation(query, operation_name)

    async def answer(
        self, request: OperationRequest, context: object, allowed: Collection[OperationType] = ALL_TYPES
    ) -> Answer:
        """The encoded response. Raises what Schema.execute raises."""
        result = await self.execute(request, context, allowed)
        body = formatted(result)
        return Answer(encode(body), list(result.errors or ()), "data" in body)

    async def execute(
        self, request: OperationRequest, context: object, allowed: Collection[OperationType] = ALL_TYPES
    ) -> ExecutionResult:
        """The result of a query or mutation, to be encoded by `encode`. Raises what Schema.execute raises."""
        executor = await self._executor(request, context, allowed)
        if executor is not None and executor.operation.operation.value != "subscription":
            return await self._within_timeout(self._run(executor))
        return await self._within_timeout(
            self.schema.execute(request.query, **_arguments(request, context, allowed))
        )

    async def _within_timeout(self, result: Awaitable[T]) -> T | TimedOut:
        """The result, or an error if it is not there in time."""
        timeout = asyncio.timeout(self._timeout)
        try:
            async with timeout:
                return await result
        except TimeoutError:
            if not timeout.expired():
                raise
            return timed_out(self._timeout)

    async def stream(
        self, request: OperationRequest, context: object, allowed: Collection[OperationType] = ALL_TYPES
    ) -> AsyncGenerator[Any, None]:
        """The results of any operation: one of a query or mutation, all of a subscription."""
        executor = await self._executor(request, context, allowed)
        if executor is None:
            results: AsyncGenerator[Any, None] = await self.schema.stream(
                request.query, **_arguments(request, context, allowed)
            )
            operation = self.operation(request.query, request.operation_name)
            if operation is None or operation.type == "subscription":
                return results
            return self._each_within_timeout(results)
        if executor.operation.operation.value == "subscription":
            return self._events(executor)
        return self._single(executor)

    async def _single(self, executor: CompiledExecutor) -> AsyncGenerator[ExecutionResult, None]:
        yield await self._within_timeout(self._run(executor))

    async def _each_within_timeout(self, results: AsyncGenerator[Any, None]) -> AsyncGenerator[Any, None]:
        async with aclosing(results):
            while (result := await self._within_timeout(anext(results, None))) is not None:
                yield result

    async def _events(self, executor: CompiledExecutor) -> AsyncGenerator[ExecutionResult, None]:
        stream: Any = create_source_event_stream(executor)
        if executor.is_awaitable(stream):
            stream = await stream
        if isinstance(stream, CoreResult):
            yield PreExecutionError(data=None, errors=[show(error) for error in stream.errors or ()])
            return
        try:
            name, complete = executor.completion_of_events()
            async with aclosing(stream) as payloads:
                async for payload in payloads:
                    if complete is not None:
                        try:
                            data = {name: complete(payload)}
                        except Exception:
                            pass  # graphql-core reports the error
                        else:
                            yield ExecutionResult(data=data, errors=None)
                            continue
                    result: Any = executor.build_per_event_executor(payload).execute_operation(False)
                    yield shown(await result if executor.is_awaitable(result) else result)
        except Exception as error:
            if not isinstance(error, GraphQLError):
                error = GraphQLError(str(error), original_error=error)
            yield shown(CoreResult(None, [error]))

    async def _run(self, executor: CompiledExecutor) -> ExecutionResult:
        result: Any = executor.execute_operation()
        return shown(await result if executor.is_awaitable(result) else result)

    async def _executor(
        self, request: OperationRequest, context: object, allowed: Collection[OperationType]
    ) -> CompiledExecutor | None:
        """The executor of a valid operation; None if Strawberry has to execute it or report what is wrong."""
        if not self.compiles:
            return None
        operation = await self.load_operation(request.query, request.operation_name)
        if operation is None or not operation.is_plain or OperationType(operation.type) not in allowed:
            return None
        if request.is_large:
            async with self._reading_variables:
                read = await asyncio.to_thread(self._read, operation, request)
        else:
            read = self._read(operation, request)
        if read is None:
            return None
        inputs, values, conditions = read
        executor = CompiledExecutor(
            operation.variant(conditions),
            inputs,
            request.variables,
            self._core_schema,
            operation.fragment_definitions,
            operation.fragments,
            None,
            context,
            operation.node,
            values,
            default_field_resolver,
            default_type_resolver,
            default_field_resolver,
            is_awaitable=optimized_is_awaitable,
            operation_extensions=request.extensions,
        )
        if request.is_large and executor.is_first:
            async with self._reading_variables:
                await asyncio.to_thread(getattr, executor, "variable_values")
        return executor

    def _read(
        self, operation: Operation, request: OperationRequest
    ) -> tuple[dict[str, Any] | None, VariableValues | None, dict[str, Any]] | None:
        """The variables as resolvers accept them or as graphql-core coerces them, and those for
        `@skip` and `@include`; None if they are not valid."""
        limits, variables = self._limits, request.variables
        if limits is not None and limits.refusal(
            operation.document, request.operation_name, variables, operation.cost
        ):
            return None
        inputs = coerce_variables(operation.variables, variables)
        if inputs is not None:
            return inputs, None, inputs
        definitions = operation.node.variable_definitions or ()
        # Strawberry reports all errors; here one is enough.
        values = get_variable_values(self._core_schema, definitions, variables or {}, max_errors=1)
        return (None, values, values.coerced) if isinstance(values, VariableValues) else None

    def _is_refused(self, query: str) -> bool:
        return self._limits is not None and query in self._limits.refused

    def _validate(self, query: str) -> tuple[DocumentNode, list[GraphQLError]] | None:
        """The document and its errors; None if it cannot be parsed."""
        limits = self._limits
        try:
            document = parse(query, max_tokens=None if limits is None else limits.tokens)
        except GraphQLError:
            return None
        return document, validate(self._core_schema, document, None if limits is None else limits.rules)

    def _add(
        self,
        query: str,
        operation_name: str | None,
        validated: tuple[DocumentNode, list[GraphQLError]] | None,
    ) -> Operation | None:
        """Cache a validated operation; None if it is not valid."""
        if validated is None:
            return None
        limits, (document, errors) = self._limits, validated
        if errors:
            if limits is not None:
                limits.refused.note(query, document, errors)
            return None
        operation = self.operations.add(query, operation_name, document)
        if operation is not None:
            operation.variables = variables_of(self._core_schema, operation.node, self._input_types)
            operation.cursor_variable = cursor_variable(self._core_schema, query, operation.node)
            if limits is not None:
                operation.cost = limits.cost(self._core_schema, document, operation.node)
        return operation


def _arguments(
    request: OperationRequest, context: object, allowed: Collection[OperationType]
) -> dict[str, Any]:
    """The request as arguments of Strawberry's schema."""
    return {
        "variable_values": request.variables,
        "context_value": context,
        "operation_name": request.operation_name,
        "allowed_operation_types": allowed,
        "operation_extensions": request.extensions,
    }
