"""Owns the way of an operation through the schema: known, compiled and encoded, or as Strawberry does it."""

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
from graph.limits.timeouts import Deadline
from repo import DeadlineExceeded

T = TypeVar("T")

ALL_TYPES = frozenset(OperationType)

_LONG = 4096
"""Characters of a document from which on it is looked at by a thread of its own."""

_encoder = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class Answer:
    """A result, encoded."""

    body: bytes
    """The response of the GraphQL specification as JSON."""
    errors: list[GraphQLError]
    has_data: bool
    """False where nothing was executed: then the response has no `data`."""


class BrokenOff(ExecutionResult):
    """What an operation results in that took too long."""


def formatted(result: Any) -> dict[str, Any]:
    """The result as the client gets it; without `data` where nothing was executed."""
    body: dict[str, Any] = dict(process_result(result))
    if result.data is None and result.errors and not isinstance(result, BrokenOff):
        if all(error.path is None for error in result.errors):
            del body["data"]
    return body


def encode(value: object) -> bytes:
    """Strict JSON of what an execution gives, of whatever size its numbers are."""
    try:
        return _encoder.encode(value)
    except (UnicodeEncodeError, RecursionError):  # half of a surrogate pair
        plain = msgspec.to_builtins(value)
        return json.dumps(plain, separators=(",", ":"), allow_nan=False).encode()


class Engine:
    """Executes operations of a schema. With `compiled`, what can be compiled is. A query or mutation that
    takes longer than `timeout` seconds is broken off.

    Both ways give the same results. A schema with other extensions than these two is executed as Strawberry
    does it, for an extension may look at everything.
    """

    def __init__(self, schema: Any, compiled: bool = True, timeout: float | None = None) -> None:
        self.operations = Operations()
        self.schema = schema
        self._deadline = None if timeout is None else Deadline(timeout)
        self._made = Inputs()
        # One at a time, of what takes long: threads share one interpreter.
        self._learning = asyncio.Lock()
        self._turn = asyncio.Lock()
        extensions = schema.get_extensions()
        self._limits = next((each for each in extensions if isinstance(each, OperationLimits)), None)
        known = all(type(each) in (ClientErrors, OperationLimits) for each in extensions)
        plain = not (schema.directives or schema.exception_handlers) and schema.config.info_class is Info
        self.compiles = compiled and known and plain
        """Whether anything is compiled."""
        self.known = 0
        """How often an operation was asked for that is remembered."""
        self.unknown = 0
        """How often one that is not."""

    def operation(self, query: str, operation_name: str | None) -> Operation | None:
        """What is known of an operation; None where it is not valid."""
        found = self.operations.get(query, operation_name)
        if found is not None:
            self.known += 1
            return found
        self.unknown += 1
        return self._learn(query, operation_name)

    async def learned(self, query: str, operation_name: str | None) -> Operation | None:
        """The same, in turn: while one that is not known yet is looked at, others are served."""
        known = self.operations.get(query, operation_name)
        if known is not None:
            self.known += 1
            return known
        if not self._is_refused(query):
            async with self._learning:
                if len(query) >= _LONG and self.operations.get(query, operation_name) is None:
                    self.unknown += 1
                    return self._note(query, operation_name, await asyncio.to_thread(self._examine, query))
                found = self.operation(query, operation_name)
                await asyncio.sleep(0)
                return found
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
        """What a client gets. Raises what Schema.execute raises. Variables that are large are looked at by
        another thread, which leaves this one to those who are served meanwhile."""
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
        """The result of a query or a mutation; its data is for `encode`. Raises what Schema.execute
        raises."""
        operation = await self.learned(query, operation_name) if self.compiles else None
        executor = await self._executor(
            operation, variables, operation_name, context, allowed, extensions, is_large
        )
        if executor is not None and executor.operation.operation.value != "subscription":
            return await self._in_time(self._run(executor))
        executing: Awaitable[ExecutionResult] = self.schema.execute(
            query,
            variable_values=variables,
            context_value=context,
            operation_name=operation_name,
            allowed_operation_types=allowed,
            operation_extensions=extensions,
        )
        return await self._in_time(executing)

    async def _in_time(self, result: Awaitable[T]) -> T | BrokenOff:
        """The result, or that it takes too long."""
        if self._deadline is None:
            return await result
        try:
            return await self._deadline.keep(result)
        except TimeoutError:
            seconds = f"{self._deadline.seconds:g} seconds"
            text = f"The operation took longer than {seconds}, and was broken off. What it was to write may "
            text += "have been kept; it may be sent again."
            return BrokenOff(None, [show(GraphQLError(text, original_error=DeadlineExceeded(text)))])

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
        """The results of any operation: one of a query or a mutation, all of a subscription."""
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
            return self._each_in_time(results)
        if executor.operation.operation.value == "subscription":
            return self._events(executor)
        return self._single(executor)

    async def _single(self, executor: CompiledExecutor) -> AsyncGenerator[ExecutionResult, None]:
        yield await self._in_time(self._run(executor))

    async def _each_in_time(self, results: AsyncGenerator[Any, None]) -> AsyncGenerator[Any, None]:
        async with aclosing(results):
            while (result := await self._in_time(anext(results, None))) is not None:
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
                            pass  # graphql-core says what is wrong with it
                        else:
                            yield ExecutionResult(data=data, errors=None)
                            continue
                    result: Any = executor.build_per_event_executor(payload).execute_operation(False)
                    yield _shown(await result if executor.is_awaitable(result) else result)
        except Exception as error:
            told = (
                error if isinstance(error, GraphQLError) else GraphQLError(str(error), original_error=error)
            )
            yield _shown(CoreResult(None, [told]))

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
        """What executes the operation; None where Strawberry has to, be it to say what is wrong."""
        if (
            operation is None
            or not operation.is_plain
            or OperationType(operation.node.operation.value) not in allowed
        ):
            return None
        if is_large:
            async with self._turn:
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
            self.schema._schema,
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
        """The variables as resolvers take them, or as graphql-core does, and those that say what is skipped;
        None where there is something wrong with them."""
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
        """The variables as resolvers take them; None where graphql-core has to look at them."""
        if operation.variables is None:
            return None
        given, made = variables or {}, {}
        try:
            for variable in operation.variables:
                if variable.name in given:
                    made[variable.name] = variable.coerce(given[variable.name])
                elif variable.default is not MISSING:
                    made[variable.name] = variable.default
                elif variable.is_needed:
                    return None
        except Exception:
            return None
        return made

    def _coerce(self, operation: Operation, variables: dict[str, Any] | None) -> VariableValues | None:
        definitions = operation.node.variable_definitions or ()
        # What is wrong with them Strawberry says: here the first mistake is enough.
        values = get_variable_values(self.schema._schema, definitions, variables or {}, max_errors=1)
        return values if isinstance(values, VariableValues) else None

    def _is_refused(self, query: str) -> bool:
        return self._limits is not None and query in self._limits.refused

    def _learn(self, query: str, operation_name: str | None) -> Operation | None:
        """Take note of an operation that was not seen before; None where it is not valid."""
        if self._is_refused(query):
            return None
        return self._note(query, operation_name, self._examine(query))

    def _examine(self, query: str) -> tuple[DocumentNode, list[GraphQLError]] | None:
        """The document, and what is wrong with it; None where it is no document at all."""
        limits = self._limits
        try:
            document = parse(query, max_tokens=None if limits is None else limits.tokens)
        except GraphQLError:
            return None
        return document, validate(self.schema._schema, document, None if limits is None else limits.rules)

    def _note(
        self, query: str, operation_name: str | None, examined: tuple[DocumentNode, list[GraphQLError]] | None
    ) -> Operation | None:
        """Remember what was found out; the operation, where it is valid."""
        if examined is None:
            return None
        limits, (document, errors) = self._limits, examined
        if errors:
            if limits is not None:
                limits.refused.note(query, document, errors)
            return None
        operation = self.operations.add(query, operation_name, document)
        if operation is not None:
            operation.variables = variables_of(self.schema._schema, operation.node, self._made)
            if limits is not None:
                operation.cost = limits.cost(self.schema._schema, document, operation.node)
        return operation


def _shown(result: CoreResult) -> ExecutionResult:
    errors = [show(error) for error in result.errors] if result.errors else None
    return ExecutionResult(data=result.data, errors=errors)
