"""Results of operations and their encoding as JSON."""

import json
from dataclasses import dataclass
from typing import Any

import msgspec
from graphql import ExecutionResult as CoreResult
from graphql import GraphQLError
from strawberry.http import process_result
from strawberry.types import ExecutionResult

from graph.errors import show
from repo import DeadlineExceeded

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


def timed_out(seconds: float | None) -> TimedOut:
    """The result of an operation that took longer than `seconds`."""
    text = f"The operation took longer than {seconds:g} seconds and was cancelled. Its writes "
    text += "may have been committed; it can be repeated."
    return TimedOut(None, [show(GraphQLError(text, original_error=DeadlineExceeded(text)))])


def shown(result: CoreResult) -> ExecutionResult:
    """A result of graphql-core, with its errors as the client sees them."""
    errors = [show(error) for error in result.errors] if result.errors else None
    return ExecutionResult(data=result.data, errors=errors)


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
