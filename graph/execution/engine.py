"""Executes operations: looks them up, executes them compiled or by Strawberry, and encodes results."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Collection
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
from graphql import DocumentNode, GraphQLError, default_field_resolver, default_type_resolver, parse, validate
from graphql import ExecutionResult as CoreResult
from graphql.execution.execute import create_source_event_stream
from graphql.execution.values import VariableValues, get_variable_values
from strawberry import Schema
from strawberry.execution import optimized_is_awaitable
from strawberry.http import process_result
from strawberry.types import ExecutionResult
from strawberry.types.execution import PreExecutionError
from strawberry.types.graphql import OperationType
from strawberry.types.info import Info

from graph.errors import ClientErrors, show
from graph.execution.executor import CompiledExecutor
from graph.execution.inputs import MISSING, Inputs, variables_of
from graph.execution.operations import Operation, Operations
from graph.limits.documents import OperationLimits
from graph.strawberry_internals import core_schema
from repo import DeadlineExceeded

T = TypeVar("T")

ALL_TYPES = frozenset(OperationType)

LONG_DOCUMENT = 4096
"""Characters from which on a new document is parsed and validated in a thread."""

_encoder = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class Answer:
    """An encoded result."""

    body: bytes
    """The response of the GraphQL specification as JSON."""
    errors: list[GraphQLError]
    has_data: bool
    """False if nothing was executed: then the response has no `data`."""


class TimedOut(ExecutionResult):
    """The result of an operation that exceeded the timeout."""


def formatted(result: Any) -> dict[str, Any]:
    """The response of a result; without `data` if nothing was executed."""
    body: dict[str, Any] = dict(process_result(result))
    if result.data is None and result.errors and not isinstance(result, TimedOut):
        if all(error.path is None for error in result.errors):
            del body["data"]
    return body


def encode(value: object) -> bytes:
    """Strict JSON of an execution's result, with integers of any size."""
    try:
        return _encoder.encode(value)
    except (UnicodeEncodeError, RecursionError):  # half of a surrogate pair
        plain = msgspec.to_builtins(value)
        return json.dumps(plain, separators=(",", ":"), allow_nan=False).encode()


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

    async def learned(self, query: str, operation_name: str | None) -> Operation | None:
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
        self,
        query: str,
        variables: dict[str, Any] | None,
        operation_name: str | None,
        context: object,
        allowed: Collection[OperationType] = ALL_TYPES,
        extensions: dict[str, Any] | None = None,
        is_large: bool = False,
    ) -> Answer:
        """The encoded response. Raises what Schema.execute raises. With `is_large` the variables are coerced
        in a thread."""
        result = await self.execute(query, variables, operation_name, context, allowed, extensions, is_large)
        body = formatted(result)
        return Answer(encode(body), list(result.errors or ()), "data" in body)

    async def execute(
        self,
        query: str,
        variables: dict[str, Any] | None,
        operation_name: str | None,
        context: object,
        allowed: Collection[OperationType] = ALL_TYPES,
        extensions: dict[str, Any] | None = None,
        is_large: bool = False,
    ) -> ExecutionResult:
        """The result of a query or mutation, to be encoded by `encode`. Raises what Schema.execute raises."""
        operation = await self.learned(query, operation_name) if self.compiles else None
        executor = await self._executor(
            operation, variables, operation_name, context, allowed, extensions, is_large
        )
        if executor is not None and executor.operation.operation.value != "subscription":
            return await self._within_timeout(self._run(executor))
        executing: Awaitable[ExecutionResult] = self.schema.execute(
            query,
            variable_values=variables,
            context_value=context,
            operation_name=operation_name,
            allowed_operation_types=allowed,
            operation_extensions=extensions,
        )
        return await self._within_timeout(executing)

    async def _within_timeout(self, result: Awaitable[T]) -> T | TimedOut:
        """The result, or an error if it is not there in time."""
        timeout = asyncio.timeout(self._timeout)
        try:
            async with timeout:
                return await result
        except TimeoutError:
            if not timeout.expired():
                raise
            text = f"The operation took longer than {self._timeout:g} seconds and was cancelled. Its writes "
            text += "may have been committed; it can be repeated."
            return TimedOut(None, [show(GraphQLError(text, original_error=DeadlineExceeded(text)))])

    async def stream(
        self,
        query: str,
        variables: dict[str, Any] | None,
        operation_name: str | None,
        context: object,
        allowed: Collection[OperationType] = ALL_TYPES,
        extensions: dict[str, Any] | None = None,
        is_large: bool = False,
    ) -> AsyncGenerator[Any, None]:
        """The results of any operation: one of a query or mutation, all of a subscription."""
        operation = await self.learned(query, operation_name) if self.compiles else None
        executor = await self._executor(
            operation, variables, operation_name, context, allowed, extensions, is_large
        )
        if executor is None:
            results: AsyncGenerator[Any, None] = await self.schema.stream(
                query,
                variable_values=variables,
                context_value=context,
                operation_name=operation_name,
                allowed_operation_types=allowed,
                operation_extensions=extensions,
            )
            operation = self.operation(query, operation_name)
            if operation is None or operation.node.operation.value == "subscription":
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
                    yield _shown(await result if executor.is_awaitable(result) else result)
        except Exception as error:
            if not isinstance(error, GraphQLError):
                error = GraphQLError(str(error), original_error=error)
            yield _shown(CoreResult(None, [error]))

    async def _run(self, executor: CompiledExecutor) -> ExecutionResult:
        result: Any = executor.execute_operation()
        return _shown(await result if executor.is_awaitable(result) else result)

    async def _executor(
        self,
        operation: Operation | None,
        variables: dict[str, Any] | None,
        operation_name: str | None,
        context: object,
        allowed: Collection[OperationType],
        extensions: dict[str, Any] | None,
        is_large: bool,
    ) -> CompiledExecutor | None:
        """The executor of a valid operation; None if Strawberry has to execute it or report what is wrong."""
        if (
            operation is None
            or not operation.is_plain
            or OperationType(operation.node.operation.value) not in allowed
        ):
            return None
        if is_large:
            async with self._reading_variables:
                read = await asyncio.to_thread(self._read, operation, variables, operation_name)
        else:
            read = self._read(operation, variables, operation_name)
        if read is None:
            return None
        inputs, values, conditions = read
        return CompiledExecutor(
            operation.variant(conditions),
            inputs,
            variables,
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
            operation_extensions=extensions,
        )

    def _read(
        self, operation: Operation, variables: dict[str, Any] | None, operation_name: str | None
    ) -> tuple[dict[str, Any] | None, VariableValues | None, dict[str, Any]] | None:
        """The variables as resolvers accept them or as graphql-core coerces them, and those for
        `@skip` and `@include`; None if they are not valid."""
        limits = self._limits
        if limits is not None and limits.refusal(
            operation.document, operation_name, variables, operation.cost
        ):
            return None
        inputs = self._inputs(operation, variables)
        if inputs is not None:
            return inputs, None, inputs
        values = self._coerce(operation, variables)
        return None if values is None else (None, values, values.coerced)

    def _inputs(self, operation: Operation, variables: dict[str, Any] | None) -> dict[str, Any] | None:
        """The variables as resolvers accept them; None if graphql-core has to coerce them."""
        if operation.variables is None:
            return None
        given, inputs = variables or {}, {}
        try:
            for variable in operation.variables:
                if variable.name in given:
                    inputs[variable.name] = variable.coerce(given[variable.name])
                elif variable.default is not MISSING:
                    inputs[variable.name] = variable.default
                elif variable.is_required:
                    return None
        except Exception:
            return None
        return inputs

    def _coerce(self, operation: Operation, variables: dict[str, Any] | None) -> VariableValues | None:
        definitions = operation.node.variable_definitions or ()
        # Strawberry reports all errors; here one is enough.
        values = get_variable_values(self._core_schema, definitions, variables or {}, max_errors=1)
        return values if isinstance(values, VariableValues) else None

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
            if limits is not None:
                operation.cost = limits.cost(self._core_schema, document, operation.node)
        return operation


def _shown(result: CoreResult) -> ExecutionResult:
    errors = [show(error) for error in result.errors] if result.errors else None
    return ExecutionResult(data=result.data, errors=errors)
