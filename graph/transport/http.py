"""HTTP endpoint: parses requests, executes operations, and responds with JSON or server-sent events."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from datetime import timedelta
from functools import partial
from typing import Any

import msgspec
from graphql import GraphQLError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.http.streaming import SSETransport, merge_stream_with_heartbeat
from strawberry.schema.exceptions import InvalidOperationTypeError
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL
from strawberry.types.graphql import OperationType

from graph.auth.caller import Caller
from graph.errors import RequestRefused, breaks_a_stream, show
from graph.execution import OperationRequest, encode
from graph.limits.clients import Connection
from graph.observability.telemetry import REQUEST_ID, OperationRecord
from graph.state import state_of
from graph.transport.pipeline import Pipeline
from graph.transport.request import (
    EVENT_STREAM,
    GRAPHQL_RESPONSE,
    HTML,
    JSON,
    accepts,
    negotiate,
    read_request,
)
from graph.transport.websocket import CONNECTION, Socket, WebSocketHandler

ANSWERS = (JSON, GRAPHQL_RESPONSE, EVENT_STREAM)
"""The media types of responses; the first is for clients without an Accept header."""

# A GET must not change anything: any page can make a browser send one, with its cookies.
ALLOWED = {"GET": {OperationType.QUERY}, "POST": {OperationType.QUERY, OperationType.MUTATION}}

_PING = ": ping\n\n"
"""A comment in an event stream that keeps the connection alive."""

_HEADERS = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
"""Headers of all responses of the API: not cached, and inert if displayed as a page."""

_VARY = (b"vary", b"Accept")

INIT_TIMEOUT = timedelta(seconds=10)
"""How long a WebSocket may take to send `connection_init`."""


class GraphQLEndpoint(GraphQL[object, None]):
    """The ASGI application at /graphql.

    The maximum size of a request body is `max_body_bytes`. Browsers that request a page get `graphiql`. A
    WebSocket may have `max_subscriptions` operations at a time; those of pages from other origins than the
    server's and `allowed_origins` are rejected.
    """

    websocket_adapter_class = Socket

    def __init__(
        self,
        pipeline: Pipeline,
        *,
        max_body_bytes: int,
        graphiql: Callable[[Request], Awaitable[Response]] | None,
        max_subscriptions: int,
        allowed_origins: Sequence[str] = (),
    ) -> None:
        super().__init__(
            pipeline.engine.schema,
            graphql_ide=None,
            subscription_protocols=[GRAPHQL_TRANSPORT_WS_PROTOCOL],
            connection_init_wait_timeout=INIT_TIMEOUT,
            max_subscriptions_per_connection=max_subscriptions,
            allowed_origins=allowed_origins,
        )
        self.pipeline = pipeline
        self.graphql_transport_ws_handler_class = partial(WebSocketHandler, pipeline)  # type: ignore[assignment]
        self._max_body_bytes = max_body_bytes
        self._turn = asyncio.Lock()
        self._graphiql = graphiql
        self._events = SSETransport()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self.pipeline.client_limits.connection() as connection:
            if scope["type"] == "websocket":
                await self._handle_websocket(WebSocket(scope, receive, send), connection)
            else:
                await self._handle_request(Request(scope, receive), connection, send)

    async def _handle_websocket(self, websocket: WebSocket, connection: Connection) -> None:
        try:
            connection.comes_from(websocket)
        except RequestRefused as refusal:
            self.pipeline.telemetry.record_refusal(refusal.code)
            await websocket.send_denial_response(self._refuse(refusal))
            return
        websocket.scope[CONNECTION] = connection
        # Each operation gets a context of its own.
        with self.pipeline.telemetry.connection(websocket.scope):
            await self.run(websocket, context=None)

    async def _handle_request(self, request: Request, connection: Connection, send: Send) -> None:
        scope, receive = request.scope, request.receive
        record = self.pipeline.telemetry.start(scope, "http")
        try:
            connection.comes_from(request)
            response = await self._respond(request, record, connection)
        except RequestRefused as refusal:
            response = self._refuse(refusal)
            record.record_codes([refusal.code])
            record.finish(None, refusal.status)
        except ClientDisconnect:
            return
        except Exception as error:  # clients expect a GraphQL error, whatever it is
            response = self._fail(error, record)
        response.raw_headers += (_VARY, (REQUEST_ID, record.request_id.encode()))
        await response(scope, receive, send)

    async def _respond(self, request: Request, record: OperationRecord, connection: Connection) -> Response:
        if request.method not in ALLOWED:
            raise _not_allowed("Send GraphQL requests by GET or POST.", "GET, POST")
        if request.method == "GET" and self._graphiql is not None and "query" not in request.query_params:
            media_type = negotiate(request, (*ANSWERS, HTML))
            if media_type == HTML:
                return await self._graphiql(request)
        else:
            media_type = negotiate(request, ANSWERS)
        # Before the body, which is only read for authenticated callers.
        caller = await state_of(request).authenticator.authenticate(request)
        record.caller = caller.key
        connection.belongs_to(caller)
        await self.pipeline.client_limits.admit(caller)
        operation = await read_request(request, self._max_body_bytes, self._turn, self.pipeline.resolve)
        context = await self.pipeline.new_context(request, caller)
        if media_type == EVENT_STREAM:
            return self._stream(request, record, caller, operation, context)
        try:
            answer = await self.pipeline.answer(operation, context, ALLOWED[request.method])
        except InvalidOperationTypeError as error:
            if error.operation_type is not OperationType.SUBSCRIPTION:
                raise _not_allowed("Send mutations by POST.", "POST") from None
            if accepts(request, EVENT_STREAM):
                return self._stream(request, record, caller, operation, context)
            message = f"Subscriptions require `Accept: {EVENT_STREAM}` or a WebSocket."
            raise RequestRefused(406, "NOT_ACCEPTABLE", message) from None
        # GraphQL over HTTP: application/json responds with 200 even if nothing was executed.
        status = 400 if media_type == GRAPHQL_RESPONSE and not answer.has_data else 200
        response = _response(answer.body, status, media_type)
        record.executed = answer.has_data
        if answer.errors:
            record.record_errors(answer.errors)
        self.pipeline.finish(record, operation.query, operation.operation_name, response.status_code)
        return response

    def _stream(
        self,
        request: Request,
        record: OperationRecord,
        caller: Caller,
        operation: OperationRequest,
        context: object,
    ) -> Response:
        """The "distinct connections mode" of the graphql-sse protocol: `next` per result, then `complete`."""
        record.transport = "sse"
        first = [context]

        async def new_context() -> object:
            return first.pop() if first else await self.pipeline.new_context(request, caller)

        async def execute(context: object) -> AsyncGenerator[Any, None]:
            allowed = ALLOWED[request.method] | {OperationType.SUBSCRIPTION}
            return await self.pipeline.engine.stream(operation, context, allowed)

        async def events() -> AsyncGenerator[Any, None]:
            authenticator = state_of(request).authenticator
            with authenticator.open_session(caller) as session:
                try:
                    async with (
                        aclosing(
                            self.pipeline.subscriptions.results(operation, new_context, execute)
                        ) as results,
                        aclosing(session.while_valid(results)) as valid_results,
                    ):
                        async for result in valid_results:
                            record.record_result(not result.errors, result.problems)
                            yield _event(b"next", result.body)
                            if result.errors:
                                break
                except RequestRefused as refusal:
                    record.record_codes([refusal.code])
                    yield _event(b"next", encode(_errors(refusal)))
                finally:
                    self.pipeline.finish(record, operation.query, operation.operation_name, 200)
            yield _event(b"complete")

        stream = merge_stream_with_heartbeat(
            events, lambda: _PING, self._events.heartbeat_interval, send_initial_heartbeat=False
        )
        return StreamingResponse(stream(), headers=dict(self._events.headers))

    def _fail(self, error: Exception, record: OperationRecord) -> Response:
        """The response to a request that failed outside of the execution."""
        shown = show(GraphQLError(str(error), original_error=error))
        status = 503 if breaks_a_stream([shown]) else 500
        record.record_errors([shown])
        record.finish(None, status)
        return _response(encode({"errors": [shown.formatted]}), status)

    def _refuse(self, refusal: RequestRefused) -> Response:
        return _response(encode(_errors(refusal)), refusal.status, headers=refusal.headers)

    def decode_json(self, data: str | bytes) -> object:
        return msgspec.json.decode(data)

    def encode_json(self, data: object) -> str:
        """Strict JSON as text, since Strawberry would send bytes as binary frames."""
        return encode(data).decode()


def _response(
    body: bytes, status: int, media_type: str = JSON, headers: dict[str, str] | None = None
) -> Response:
    response = Response(body, status, headers, f"{media_type}; charset=utf-8")
    response.raw_headers.extend(_HEADERS)
    return response


def _event(kind: bytes, data: bytes = b"") -> bytes:
    """A server-sent event. Its lines end with LF, since some clients detect its end by two of them."""
    return b"event: %b\ndata: %b\n\n" % (kind, data)


def _errors(refusal: RequestRefused) -> dict[str, object]:
    return {"errors": [{"message": str(refusal), "extensions": refusal.extensions}]}


def _not_allowed(message: str, allow: str) -> RequestRefused:
    return RequestRefused(405, "METHOD_NOT_ALLOWED", message, allow=allow)
