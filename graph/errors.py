"""The errors that clients see, with their codes. Errors of the repository and of GraphQL have a code in
their extensions. Any other error is masked and logged with an id, which is all that the client sees."""

import re
import uuid
from collections.abc import Iterable, Iterator
from typing import Any

import structlog
from graphql import GraphQLError, GraphQLSyntaxError
from strawberry.extensions import SchemaExtension
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError

from graph.item_errors import path_extensions
from repo import DatabaseUnavailable, DeadlineExceeded, RepoError

logger = structlog.get_logger("rungraph.graph")


_IN_VARIABLES = re.compile(r"Variable '\$(\w+)' has invalid value(?: at ([\w.\[\]]+))?: ")
_STEP = re.compile(r"\[(\d+)\]|\.?(\w+)")

_PASSING = {DatabaseUnavailable.code, DeadlineExceeded.code}
"""Codes of transient errors."""

CODES = {
    "BAD_USER_INPUT": "A value in the operation is invalid. `path` and `index` name the place.",
    "NOT_FOUND": "The object is not stored, or the caller may not see it.",
    "CONFLICT": "The call contradicts what is stored, such as a second root action of a run.",
    "UNAUTHENTICATED": "The request has no valid credential (401; a websocket closes with 4403).",
    "FORBIDDEN": "The caller's roles do not allow this, or a cross-origin request was refused (403).",
    "QUOTA_EXCEEDED": "A limit of the server does not allow to store more; the message names it.",
    "DIGEST_MISMATCH": "The bytes of an upload are not those that were announced (422); none were stored.",
    "SIGNATURE_INVALID": "A signed address was changed, or is of another server (403).",
    "SIGNATURE_EXPIRED": "A signed address is too old (403); request a new one.",
    "RATE_LIMITED": "Too many operations, connections or invalid tokens (429). `retryAfter` is in seconds.",
    "TIMEOUT": "The operation took too long and was stopped. A mutation may have been stored; repeat it.",
    "SERVICE_UNAVAILABLE": "The database or the OpenID provider is unavailable; repeat the call.",
    "LOG_LINK_REFUSED": "The server does not read logs at this address (403).",
    "LOG_LINK_FAILED": "The server of a linked log did not answer as expected (502); the message says why.",
    "GRAPHQL_PARSE_FAILED": "The document is not GraphQL.",
    "GRAPHQL_VALIDATION_FAILED": "The document does not match the schema, or the variables their types.",
    "OPERATION_RESOLUTION_FAILURE": "The document has no operation with this name.",
    "QUERY_NOT_IN_SAFELIST": "The server executes trusted documents only, and this is none (403).",
    "PERSISTED_QUERY_NOT_FOUND": "No trusted document has this hash (404).",
    "PERSISTED_QUERY_NOT_SUPPORTED": "A hash without its document, to a server without trusted documents.",
    "BAD_REQUEST": "The HTTP request is malformed (400).",
    "NOT_ACCEPTABLE": "The server offers none of the accepted media types (406).",
    "METHOD_NOT_ALLOWED": "The operation cannot be sent by this HTTP method (405).",
    "PAYLOAD_TOO_LARGE": "The body is larger than `RUNGRAPH_MAX_BODY_BYTES`, or than announced (413).",
    "UNSUPPORTED_MEDIA_TYPE": "The body is not JSON (415).",
    "INTERNAL_SERVER_ERROR": "Unexpected. `id` in the extensions is the `error_id` of the server's log.",
}
"""All error codes of the API with their meaning."""


class RequestRefused(Exception):
    """A request that is refused before execution, with an HTTP status and one GraphQL error."""

    def __init__(self, status: int, code: str, message: str, **headers: str) -> None:
        """`headers` are response headers, with underscores for hyphens."""
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self.extensions: dict[str, object] = {"code": code}
        """GraphQL extensions; `retryAfter` is for WebSocket clients, which get no headers."""
        if "retry_after" in headers:
            self.extensions["retryAfter"] = int(headers["retry_after"])


def invalid_token(reason: str) -> RequestRefused:
    """The 401 response to an invalid token. The reason must not repeat any of the token."""
    return RequestRefused(
        401,
        "UNAUTHENTICATED",
        f"Invalid token: {reason}",
        WWW_Authenticate='Bearer realm="rungraph", error="invalid_token"',
    )


class ClientErrors(SchemaExtension):
    """Adds the code to each error of a result and masks unexpected errors."""

    _was_executed = False

    def on_operation(self) -> Iterator[None]:
        yield
        self._show(self.execution_context.result)

    def on_execute(self) -> Iterator[None]:
        self._was_executed = True
        yield

    def on_stream_result(self, result: Any) -> Iterator[None]:
        self._show(result)
        yield

    def _show(self, result: Any) -> None:
        if getattr(result, "errors", None):
            result.errors = [show(error, not self._was_executed) for error in result.errors]


def show(error: GraphQLError, rejected: bool = False) -> GraphQLError:
    """The error as the client sees it; `rejected` means before execution."""
    if "code" in (error.extensions or {}):
        return error
    cause = error.original_error
    if isinstance(cause, DatabaseUnavailable):
        reason = f"{type(cause.__cause__).__name__}: {cause.__cause__}".partition("\n")[0]
        logger.warning("the database is not available", path=error.path, reason=reason)
    if isinstance(cause, RepoError) and cause.code != RepoError.code:
        place = path_extensions(cause.place) if cause.place else {}
        return _with(error, str(cause), code=cause.code, **place)
    if isinstance(cause, CannotGetOperationTypeError):
        return no_such_operation(cause)
    if isinstance(error, GraphQLSyntaxError):
        return _with(error, error.message, code="GRAPHQL_PARSE_FAILED")
    if _is_mistake(error):
        code = "GRAPHQL_VALIDATION_FAILED" if rejected else "BAD_USER_INPUT"
        return _with(error, error.message, code=code, **_place_in_variables(error.message))
    error_id = uuid.uuid4().hex
    logger.error("unexpected error", error_id=error_id, path=error.path, exc_info=cause or error)
    return _with(error, "Internal server error", code=RepoError.code, id=error_id)


def _place_in_variables(message: str) -> dict[str, Any]:
    """The path of an invalid value in the variables, which graphql-core states only in its message."""
    found = _IN_VARIABLES.match(message)
    if found is None:
        return {}
    steps = (int(step[1]) if step[1] else step[2] for step in _STEP.finditer(found[2] or ""))
    return path_extensions((found[1], *steps))


def breaks_a_stream(errors: Iterable[GraphQLError] | None) -> bool:
    """Whether a result with these errors ends a subscription. Its missing data might not be sent again,
    while a client that resumes from its last cursor misses nothing."""
    return any((error.extensions or {}).get("code") in _PASSING for error in errors or ())


def no_such_operation(error: CannotGetOperationTypeError) -> GraphQLError:
    """The error for an operation name that is not in the document."""
    name = error.operation_name
    message = "The document holds no operation" + ("." if name is None else f' named "{name}".')
    return GraphQLError(message, extensions={"code": "OPERATION_RESOLUTION_FAILURE"})


def _is_mistake(error: GraphQLError) -> bool:
    """Whether the error is the client's fault. An error raised by a resolver or a stream is not, unless it
    says so."""
    cause = error.original_error
    if isinstance(cause, GraphQLError | InvalidOperationTypeError):
        return True
    # An error of a scalar has a location in the document; an error that ends a stream has none.
    return error.path is None and (cause is None or bool(error.nodes))


def _with(error: GraphQLError, message: str, **extensions: object) -> GraphQLError:
    return GraphQLError(
        message,
        nodes=error.nodes,
        source=error.source,
        positions=error.positions,
        path=error.path,
        extensions={**(error.extensions or {}), **extensions},
    )
