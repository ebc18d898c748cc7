"""Owns the endpoint of GraphQL: what a request is answered with, as JSON or as server-sent events."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from datetime import timedelta
from typing import Any

import orjson
from graphql import GraphQLError
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.http.streaming import SSETransport, merge_stream_with_heartbeat
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL
from strawberry.types import ExecutionResult
from strawberry.types.graphql import OperationType

from graph.auth.authentication import Authenticator
from graph.auth.caller import Caller
from graph.errors import RequestRefused, breaks_a_stream, no_such_operation, show
from graph.execution import Operation
from graph.execution.engine import Answer, Engine, encode, formatted
from graph.limits.rate_limits import Connection, Throttle
from graph.limits.trusted_documents import only_texts
from graph.observability.telemetry import REQUEST_ID, Call, Telemetry
from graph.transport.request import (
    EVENT_STREAM,
    GRAPHQL_RESPONSE,
    HTML,
    JSON,
    Parameters,
    Resolve,
    accepts,
    negotiate,
    read_parameters,
)
from graph.transport.shared_subscriptions import Ask, Live
from graph.transport.websocket import CONNECTION, Socket, WebSocketHandler
from graph.web.security import API_HEADERS

ANSWERS = (JSON, GRAPHQL_RESPONSE, EVENT_STREAM)
"""The media types of answers; the first is for clients that name none."""

# A GET must change nothing: browsers send one to any server, for any page that asks them to.
ALLOWED = {
    "GET": {OperationType.QUERY},
    "POST": {OperationType.QUERY, OperationType.MUTATION},
}

_PING = ": ping\n\n"
"""A comment in a stream of events: it says that the connection is still there."""

_VARY = (b"vary", b"Accept")

_INIT_WITHIN = timedelta(seconds=10)
"""How long a websocket may take to say `connection_init`."""


class GraphQLEndpoint(GraphQL[object, None]):
    """The ASGI application at /graphql.

    `new_context` makes what resolvers see as `info.context`, for each operation; it may raise RequestRefused.
    `app.state.authenticator` finds the caller.
    `max_body_bytes` is the largest body that is read. `graphiql` is what a browser gets that asks for a page.
    One websocket may have `max_subscriptions` at a time. A page from another origin may open one only if that
    is one of `allowed_origins`.
    """

    websocket_adapter_class = Socket
    graphql_transport_ws_handler_class = WebSocketHandler

    def __init__(
        self,
        engine: Engine,
        new_context: Callable[[HTTPConnection, Caller], Awaitable[object]],
        *,
        max_body_bytes: int,
        graphiql: Callable[[Request], Awaitable[Response]] | None,
        max_subscriptions: int,
        allowed_origins: Sequence[str] = (),
        telemetry: Telemetry | None = None,
        throttle: Throttle | None = None,
        resolve: Resolve = only_texts,
    ) -> None:
        super().__init__(
            engine.schema,
            graphql_ide=None,
            subscription_protocols=[GRAPHQL_TRANSPORT_WS_PROTOCOL],
            connection_init_wait_timeout=_INIT_WITHIN,
            max_subscriptions_per_connection=max_subscriptions,
            allowed_origins=allowed_origins,
        )
        self.engine = engine
        self.telemetry = telemetry or Telemetry()
        self.throttle = throttle or Throttle()
        self.resolve = resolve
        self.new_context = new_context
        self._max_body_bytes = max_body_bytes
        self._turn = asyncio.Lock()
        self._graphiql = graphiql
        self._events = SSETransport()
        self.live = Live(lambda result: encode(formatted(result)), engine.learned)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self.throttle.connection() as connection:
            if scope["type"] == "websocket":
                await self._converse(WebSocket(scope, receive, send), connection)
            else:
                await self._answer_request(Request(scope, receive), connection, send)

    async def _converse(self, websocket: WebSocket, connection: Connection) -> None:
        try:
            connection.comes_from(websocket)
        except RequestRefused as refusal:
            self.telemetry.refused(refusal.code)
            await websocket.send_denial_response(self._refuse(refusal))
            return
        websocket.scope[CONNECTION] = connection
        # Without a context: each of its operations gets one.
        with self.telemetry.connection(websocket.scope):
            await self.run(websocket, context=None)

    async def _answer_request(self, request: Request, connection: Connection, send: Send) -> None:
        scope, receive = request.scope, request.receive
        call = self.telemetry.begin(scope, "http")
        try:
            connection.comes_from(request)
            response = await self._respond(request, call, connection)
        except RequestRefused as refusal:
            response = self._refuse(refusal)
            call.note_codes([refusal.code])
            call.end(None, refusal.status)
        except ClientDisconnect:
            return
        except Exception as error:  # whatever it is, a client of the API gets an answer of the API
            response = self._fail(error, call)
        response.raw_headers += (_VARY, (REQUEST_ID, call.request_id.encode()))
        await response(scope, receive, send)

    async def _respond(self, request: Request, call: Call, connection: Connection) -> Response:
        if request.method not in ALLOWED:
            raise _not_allowed("GraphQL is asked by GET or POST.", "GET, POST")
        if request.method == "GET" and self._graphiql is not None and "query" not in request.query_params:
            media_type = negotiate(request, (*ANSWERS, HTML))
            if media_type == HTML:
                return await self._graphiql(request)
        else:
            media_type = negotiate(request, ANSWERS)
        # Before the body: nobody has it read who may not call.
        caller = await request.app.state.authenticator.authenticate(request)
        call.caller = caller.key
        connection.belongs_to(caller)
        await self.throttle.admit(caller)
        parameters = await read_parameters(request, self._max_body_bytes, self._turn, self.resolve)
        context = await self.new_context(request, caller)
        if media_type == EVENT_STREAM:
            return self._stream(request, call, caller, parameters, context)
        try:
            answer = await self._execute(request.method, parameters, context)
        except InvalidOperationTypeError as error:
            if error.operation_type is not OperationType.SUBSCRIPTION:
                raise _not_allowed("Mutations are sent by POST.", "POST") from None
            if accepts(request, EVENT_STREAM):
                return self._stream(request, call, caller, parameters, context)
            message = f"A subscription is answered as {EVENT_STREAM} or over a websocket; accept one."
            raise RequestRefused(406, "NOT_ACCEPTABLE", message) from None
        response = self._answer(answer, media_type)
        call.executed = answer.has_data
        if answer.errors:
            call.note(answer.errors)
        call.end(self.known(parameters.query, parameters.operation_name, call), response.status_code)
        return response

    def known(self, query: str, operation_name: str | None, call: Call) -> Operation | None:
        """What is known of an operation that is over; None where it is not valid, as far as that is known
        without looking at it again."""
        found = self.engine.operations.get(query, operation_name)
        return self.engine.operation(query, operation_name) if found is None and call.executed else found

    async def _execute(self, method: str, parameters: Parameters, context: object) -> Answer:
        try:
            return await self.engine.answer(
                parameters.query,
                parameters.variables,
                parameters.operation_name,
                context,
                ALLOWED[method],
                parameters.extensions,
                parameters.are_large,
            )
        except CannotGetOperationTypeError as error:
            body = formatted(ExecutionResult(data=None, errors=[no_such_operation(error)]))
            return Answer(encode(body), [no_such_operation(error)], has_data=False)

    def _answer(self, answer: Answer, media_type: str) -> Response:
        # application/json says 200 also for what could not be executed: so wants the specification.
        status = 400 if media_type == GRAPHQL_RESPONSE and not answer.has_data else 200
        return _of_the_api(Response(answer.body, status, media_type=f"{media_type}; charset=utf-8"))

    def _stream(
        self, request: Request, call: Call, caller: Caller, parameters: Parameters, context: object
    ) -> Response:
        """The "distinct connections" mode of the graphql-sse protocol: `next` per result, then `complete`."""
        call.transport = "sse"
        ask = Ask(
            parameters.query,
            parameters.variables,
            parameters.operation_name,
            parameters.extensions,
            parameters.are_large,
        )

        first = [context]

        async def new_context() -> object:
            return first.pop() if first else await self.new_context(request, caller)

        async def execute(context: object) -> AsyncGenerator[Any, None]:
            allowed = ALLOWED[request.method] | {OperationType.SUBSCRIPTION}
            return await self.engine.stream(
                ask.query,
                ask.variables,
                ask.operation_name,
                context,
                allowed,
                ask.extensions,
                ask.is_large,
            )

        async def events() -> AsyncGenerator[Any, None]:
            authenticator: Authenticator = request.app.state.authenticator
            with authenticator.open_session(caller) as session:
                try:
                    async with (
                        aclosing(self.live.pieces(ask, new_context, execute)) as pieces,
                        aclosing(session.while_valid(pieces)) as valid_pieces,
                    ):
                        async for piece in valid_pieces:
                            call.gave(piece)
                            yield _event(b"next", piece.body)
                            if piece.errors:
                                break
                except RequestRefused as refusal:
                    call.note_codes([refusal.code])
                    yield _event(b"next", encode(_errors(refusal)))
                finally:
                    call.end(self.known(ask.query, ask.operation_name, call), 200)
            yield _event(b"complete")

        stream = merge_stream_with_heartbeat(
            events,
            lambda: _PING,
            self._events.heartbeat_interval,
            send_initial_heartbeat=False,
        )
        return StreamingResponse(stream(), headers=dict(self._events.headers))

    def _fail(self, error: Exception, call: Call) -> Response:
        """The answer to a request that failed before, or beside, its execution."""
        shown = show(GraphQLError(str(error), original_error=error))
        status = 503 if breaks_a_stream([shown]) else 500
        call.note([shown])
        call.end(None, status)
        body = encode({"errors": [shown.formatted]})
        return _of_the_api(Response(body, status, media_type=f"{JSON}; charset=utf-8"))

    def _refuse(self, refusal: RequestRefused) -> Response:
        return _of_the_api(
            Response(
                encode(_errors(refusal)), refusal.status, refusal.headers, media_type=f"{JSON}; charset=utf-8"
            )
        )

    def decode_json(self, data: str | bytes) -> object:
        return orjson.loads(data)

    def encode_json(self, data: object) -> str:
        """Strict JSON, as text: what Strawberry gets as bytes, it sends as binary frames."""
        return encode(data).decode()


def _of_the_api(response: Response) -> Response:
    response.raw_headers.extend(API_HEADERS)
    return response


def _event(kind: bytes, data: bytes = b"") -> bytes:
    """A server-sent event. Its lines end with LF, since some clients look for two of them in a row."""
    return b"event: %b\ndata: %b\n\n" % (kind, data)


def _errors(refusal: RequestRefused) -> dict[str, object]:
    return {"errors": [{"message": str(refusal), "extensions": refusal.extensions}]}


def _not_allowed(message: str, allow: str) -> RequestRefused:
    return RequestRefused(405, "METHOD_NOT_ALLOWED", message, allow=allow)
