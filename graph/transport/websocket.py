"""Owns GraphQL over websockets: the graphql-transport-ws protocol, for clients that may send anything."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing, suppress
from functools import partial
from json import dumps
from typing import Any

from graphql import GraphQLError
from starlette.websockets import WebSocketDisconnect, WebSocketState
from strawberry.asgi import ASGIWebSocketAdapter
from strawberry.http.exceptions import (
    NonJsonMessageReceived,
    NonTextMessageReceived,
    WebSocketDisconnected,
)
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import (
    BaseGraphQLTransportWSHandler,
    Operation,
)
from strawberry.subscriptions.protocols.graphql_transport_ws.types import (
    ConnectionInitMessage,
    SubscribeMessage,
)

from graph.auth.authentication import Authenticator, CallerSession
from graph.errors import RequestRefused, show
from graph.execution import Engine
from graph.limits.rate_limits import Connection, Throttle
from graph.observability.telemetry import Call
from graph.transport.frames import WRITE_FRAME
from graph.transport.request import check_parameters, parse_json
from graph.transport.shared_subscriptions import Ask, Live, Piece

CONNECTION = "rungraph.connection"
"""Where in the scope of ASGI a websocket has its `Connection`."""

_MAX_REASON = 123
"""Bytes that the reason in a close frame may have."""

_FORBIDDEN = (4403, "Forbidden")
"""How a socket is closed whose client shows nothing that is good, or not any more."""
_TRY_AGAIN_LATER = (1013, "Try Again Later")

_WITHOUT_ID = ("connection_init", "ping", "pong")
_WITH_ID = ("subscribe", "complete")


class Socket(ASGIWebSocketAdapter):
    """The websocket of one client, who may leave at any time."""

    async def iter_json(self, *, ignore_parsing_errors: bool = False) -> AsyncGenerator[object, None]:
        try:
            while self.ws.application_state is not WebSocketState.DISCONNECTED:
                yield parse_json(await self.ws.receive_text(), "The message")
        except KeyError as error:
            raise NonTextMessageReceived from error
        except RequestRefused as error:
            raise NonJsonMessageReceived from error
        except (WebSocketDisconnect, RuntimeError):  # the latter where we closed it meanwhile
            return

    async def send_json(self, message: Mapping[str, object]) -> None:
        text = self.view.encode_json(message)
        assert isinstance(text, str)
        await self.send_text(text)

    async def send_text(self, text: str) -> None:
        """Send what is encoded already."""
        try:
            await self.ws.send_text(text)
        except (WebSocketDisconnect, RuntimeError) as error:
            raise WebSocketDisconnected from error

    @property
    def write_frame(self) -> Callable[[bytes], bool] | None:
        """The way to the client that is shorter than that of ASGI, where the server has one."""
        return self.ws.scope["extensions"].get(WRITE_FRAME)  # type: ignore[no-any-return]

    async def close(self, code: int, reason: str) -> None:
        with suppress(WebSocketDisconnect, RuntimeError):
            await self.ws.close(code, reason.encode()[:_MAX_REASON].decode(errors="ignore"))


class WebSocketHandler(BaseGraphQLTransportWSHandler[object, None]):
    """One connection. What is wrong with one operation is answered to that operation alone."""

    websocket: Socket
    session: CallerSession | None = None
    """Of whoever sent `connection_init`."""
    _closing: asyncio.Task[None] | None = None

    async def handle_message(self, message: Any) -> None:
        if (problem := _problem(message)) is not None:
            await self.handle_invalid_message(problem)
            return
        if message.get("payload", message) is None:
            del message["payload"]  # both say that there is none, but Strawberry knows only one
        await super().handle_message(message)

    async def handle_connection_init(self, message: ConnectionInitMessage) -> None:
        if not self.connection_init_received:
            authenticator: Authenticator = self.websocket.ws.app.state.authenticator
            connection: Connection = self.websocket.ws.scope[CONNECTION]
            try:
                caller = await authenticator.authenticate(self.websocket.ws, _authorization(message))
                connection.belongs_to(caller)
            except RequestRefused as refusal:
                view: Any = self.view
                view.telemetry.refused(refusal.code)
                # A client knows what to do by the code: not to come again, or to come a little later.
                await self.websocket.close(*(_FORBIDDEN if refusal.status == 401 else _TRY_AGAIN_LATER))
                return
            self.session = authenticator.open_session(caller, self._end)
        await super().handle_connection_init(message)
        # A task that was cancelled keeps all that it was about.
        self.connection_init_timeout_task = None

    def _end(self) -> None:
        """Who is connected may not go on, whatever they wait for."""
        self._closing = asyncio.create_task(self.websocket.close(*_FORBIDDEN))

    async def shutdown(self) -> None:
        if self.session is not None:
            self.session.close()
        await super().shutdown()

    async def handle_subscribe(self, message: SubscribeMessage) -> None:
        if self.session is not None and not self.session.is_valid:
            await self.websocket.close(*_FORBIDDEN)
            return
        is_new = self.connection_acknowledged and message["id"] not in self.operations
        if is_new and (error := self._refusal(message)) is not None:
            view: Any = self.view
            view.telemetry.refused((error.extensions or {})["code"])
            await self.send_message({"id": message["id"], "type": "error", "payload": [error.formatted]})
        else:
            await super().handle_subscribe(message)

    def _refusal(self, message: SubscribeMessage) -> GraphQLError | None:
        view: Any = self.view
        payload: Any = message["payload"]
        try:
            view.resolve(payload)
            payload["operationName"] = check_parameters(payload).operation_name
        except RequestRefused as refusal:
            return _error(refusal)
        limit = self.max_subscriptions_per_connection
        if limit is not None and len(self.operations) >= limit:
            text = f"The connection has {limit} operations going on; more are not allowed."
            return GraphQLError(text, extensions={"code": "RATE_LIMITED"})
        return None

    async def cleanup_operation(self, operation_id: str) -> None:
        if (operation := self.operations.get(operation_id)) is not None:
            # Its task ends a little later; until then it may share a stream that writes.
            operation.completed = True
        await super().cleanup_operation(operation_id)

    async def run_operation(self, operation: Operation[object, None]) -> None:
        """Send what the operation results in, until it ends or its task is cancelled."""
        view: Any = self.view
        call: Call = view.telemetry.begin(self.websocket.ws.scope, "websocket")
        try:
            errors = await self._send_results(operation, call)
        except WebSocketDisconnected:
            return
        except RequestRefused as refusal:
            errors = [_error(refusal)]
            call.note(errors)
        except Exception as error:
            errors = [show(GraphQLError(str(error), original_error=error))]
            call.note(errors)
        finally:
            call.end(view.known(operation.query, operation.operation_name, call))
        with suppress(WebSocketDisconnected):
            if errors:
                await operation.send_initial_errors(errors)
            else:
                await operation.send_operation_message({"id": operation.id, "type": "complete"})

    async def _send_results(self, operation: Operation[object, None], call: Call) -> list[GraphQLError]:
        """Returns what ended the operation; nothing where it came to its end."""
        ask = Ask(operation.query, operation.variables, operation.operation_name)
        before = f'{{"id":{dumps(operation.id)},"type":"next","payload":'.encode()
        live: Live = self.view.live  # type: ignore[attr-defined]

        write_frame = self.websocket.write_frame
        session = self.session
        assert session is not None
        call.caller = session.caller.key
        throttle: Throttle = self.view.throttle  # type: ignore[attr-defined]
        await throttle.admit(session.caller)

        def write(piece: Piece) -> bool:
            if operation.completed:
                return True
            written = session.is_valid and write_frame(piece.frame(before))  # type: ignore[misc]
            if written:
                call.gave(piece)
            return written

        execute = partial(self._execute, ask)
        pieces = live.pieces(ask, self._new_context, execute, write if write_frame else None)
        async with aclosing(pieces):
            async for piece in pieces:
                if not session.is_valid:
                    await self.websocket.close(*_FORBIDDEN)
                    return []
                call.gave(piece)
                if piece.errors:
                    return piece.errors
                if not operation.completed:
                    await self.websocket.send_text((before + piece.body + b"}").decode())
        return []

    async def _new_context(self) -> object:
        # For each operation: what one of them has read, another one must not take for new.
        assert self.session is not None
        view: Any = self.view
        return await view.new_context(self.websocket.ws, self.session.caller)

    async def _execute(self, ask: Ask, context: object) -> AsyncGenerator[Any, None]:
        engine: Engine = self.view.engine  # type: ignore[attr-defined]
        return await engine.stream(ask.query, ask.variables, ask.operation_name, context)


def _problem(message: object) -> str | None:
    """Why this is no message that a client may send, or None."""
    if not isinstance(message, dict):
        return "A message is a JSON object"
    kind, payload = message.get("type"), message.get("payload")
    if kind in _WITH_ID:
        if not isinstance(message.get("id"), str) or not message["id"]:
            return "`id` is a string that is not empty"
        if kind == "subscribe" and not isinstance(payload, dict):
            return "`payload` is an object"
    elif kind not in _WITHOUT_ID:
        return "Unknown message type"
    elif payload is not None and not isinstance(payload, dict):
        return "`payload` is an object or null"
    return None


def _authorization(message: ConnectionInitMessage) -> str | None:
    """What a client shows that can send no headers, as browsers cannot."""
    payload = message.get("payload") or {}
    given = payload.get("authorization", payload.get("Authorization"))
    if given is None:
        return None
    return given if isinstance(given, str) else ""


def _error(refusal: RequestRefused) -> GraphQLError:
    return GraphQLError(str(refusal), extensions=refusal.extensions)
