"""GraphQL over WebSockets: the graphql-transport-ws protocol, hardened against clients that break it."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing, suppress
from functools import partial
from json import dumps
from typing import Any

from graphql import GraphQLError
from starlette.websockets import WebSocketDisconnect, WebSocketState
from strawberry.asgi import ASGIWebSocketAdapter
from strawberry.http.exceptions import NonJsonMessageReceived, NonTextMessageReceived, WebSocketDisconnected
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import (
    BaseGraphQLTransportWSHandler,
    Operation,
)
from strawberry.subscriptions.protocols.graphql_transport_ws.types import (
    ConnectionInitMessage,
    SubscribeMessage,
)

from graph.auth.authentication import CallerSession
from graph.errors import RequestRefused, show
from graph.execution import OperationRequest
from graph.limits.clients import Connection
from graph.observability.telemetry import OperationRecord
from graph.state import state_of
from graph.transport.frames import WRITE_FRAME
from graph.transport.pipeline import Pipeline
from graph.transport.request import check_request, parse_json
from graph.transport.subscribers import EncodedResult

CONNECTION = "rungraph.connection"
"""The key of the `Connection` in the ASGI scope of a WebSocket."""

_MAX_REASON = 123
"""Bytes of the reason in a close frame."""

_FORBIDDEN = (4403, "Forbidden")
"""The close code and reason if there is no valid credential, or no longer."""
_TRY_AGAIN_LATER = (1013, "Try Again Later")

_WITHOUT_ID = ("connection_init", "ping", "pong")
_WITH_ID = ("subscribe", "complete")


class Socket(ASGIWebSocketAdapter):
    """The WebSocket of one client, which may disconnect at any time."""

    async def iter_json(self, *, ignore_parsing_errors: bool = False) -> AsyncGenerator[object, None]:
        try:
            while self.ws.application_state is not WebSocketState.DISCONNECTED:
                yield parse_json(await self.ws.receive_text(), "The message")
        except KeyError as error:
            raise NonTextMessageReceived from error
        except RequestRefused as error:
            raise NonJsonMessageReceived from error
        except (WebSocketDisconnect, RuntimeError):  # the latter after this side closed it
            return

    async def send_json(self, message: Mapping[str, object]) -> None:
        text = self.view.encode_json(message)
        assert isinstance(text, str)
        await self.send_text(text)

    async def send_text(self, text: str) -> None:
        """Send an encoded message."""
        try:
            await self.ws.send_text(text)
        except (WebSocketDisconnect, RuntimeError) as error:
            raise WebSocketDisconnected from error

    @property
    def write_frame(self) -> Callable[[bytes], bool] | None:
        """Writes a frame directly, without ASGI; None if the server does not support that."""
        return self.ws.scope["extensions"].get(WRITE_FRAME)  # type: ignore[no-any-return]

    async def close(self, code: int, reason: str) -> None:
        with suppress(WebSocketDisconnect, RuntimeError):
            await self.ws.close(code, reason.encode()[:_MAX_REASON].decode(errors="ignore"))


class WebSocketHandler(BaseGraphQLTransportWSHandler[object, None]):
    """One connection. Errors of one operation do not affect the others."""

    websocket: Socket
    session: CallerSession | None = None
    """Since `connection_init`."""
    _closing: asyncio.Task[None] | None = None

    def __init__(self, pipeline: Pipeline, **strawberry: Any) -> None:
        super().__init__(**strawberry)
        self._pipeline = pipeline

    async def handle_message(self, message: Any) -> None:
        if (problem := _problem(message)) is not None:
            await self.handle_invalid_message(problem)
            return
        if message.get("payload", message) is None:
            del message["payload"]  # the same as no payload, but Strawberry does not accept null
        await super().handle_message(message)

    async def handle_connection_init(self, message: ConnectionInitMessage) -> None:
        if not self.connection_init_received:
            authenticator = state_of(self.websocket.ws).authenticator
            connection: Connection = self.websocket.ws.scope[CONNECTION]
            try:
                caller = await authenticator.authenticate(self.websocket.ws, _authorization(message))
                connection.belongs_to(caller)
            except RequestRefused as refusal:
                self._pipeline.telemetry.record_refusal(refusal.code)
                # The code tells the client whether to reconnect, a little later.
                await self.websocket.close(*(_FORBIDDEN if refusal.status == 401 else _TRY_AGAIN_LATER))
                return
            self.session = authenticator.open_session(caller, self._end)
        await super().handle_connection_init(message)
        # A cancelled task would keep its objects alive.
        self.connection_init_timeout_task = None

    def _end(self) -> None:
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
            self._pipeline.telemetry.record_refusal((error.extensions or {})["code"])
            await self.send_message({"id": message["id"], "type": "error", "payload": [error.formatted]})
        else:
            await super().handle_subscribe(message)

    def _refusal(self, message: SubscribeMessage) -> GraphQLError | None:
        payload: Any = message["payload"]
        try:
            self._pipeline.resolve(payload)
            payload["operationName"] = check_request(payload).operation_name
        except RequestRefused as refusal:
            return _error(refusal)
        limit = self.max_subscriptions_per_connection
        if limit is not None and len(self.operations) >= limit:
            text = f"Too many operations: a connection may have {limit} at a time."
            return GraphQLError(text, extensions={"code": "RATE_LIMITED"})
        return None

    async def cleanup_operation(self, operation_id: str) -> None:
        if (operation := self.operations.get(operation_id)) is not None:
            # Its task ends a little later, and until then a shared stream may write to it.
            operation.completed = True
        await super().cleanup_operation(operation_id)

    async def run_operation(self, operation: Operation[object, None]) -> None:
        """Send the results of the operation until it ends or its task is cancelled."""
        pipeline = self._pipeline
        record = pipeline.telemetry.start(self.websocket.ws.scope, "websocket")
        try:
            errors = await self._send_results(operation, record)
        except WebSocketDisconnected:
            return
        except RequestRefused as refusal:
            errors = [_error(refusal)]
            record.record_errors(errors)
        except Exception as error:
            errors = [show(GraphQLError(str(error), original_error=error))]
            record.record_errors(errors)
        finally:
            pipeline.finish(record, operation.query, operation.operation_name)
        with suppress(WebSocketDisconnected):
            if errors:
                await operation.send_initial_errors(errors)
            else:
                await operation.send_operation_message({"id": operation.id, "type": "complete"})

    async def _send_results(
        self, operation: Operation[object, None], record: OperationRecord
    ) -> list[GraphQLError]:
        """Returns the errors that ended the operation, if any."""
        request = OperationRequest(operation.query, operation.variables, operation.operation_name)
        before = f'{{"id":{dumps(operation.id)},"type":"next","payload":'.encode()
        write_frame = self.websocket.write_frame
        session = self.session
        assert session is not None
        record.caller = session.caller.key
        await self._pipeline.client_limits.admit(session.caller)

        def write(result: EncodedResult) -> bool:
            if operation.completed:
                return True
            written = session.is_valid and write_frame(result.frame(before))  # type: ignore[misc]
            if written:
                record.record_result(not result.errors, result.problems)
            return written

        execute = partial(self._pipeline.engine.stream, request)
        results = self._pipeline.subscriptions.results(
            request, self._new_context, execute, write if write_frame else None
        )
        async with aclosing(results):
            async for result in results:
                if not session.is_valid:
                    await self.websocket.close(*_FORBIDDEN)
                    return []
                record.record_result(not result.errors, result.problems)
                if result.errors:
                    return result.errors
                if not operation.completed:
                    await self.websocket.send_text((before + result.body + b"}").decode())
        return []

    async def _new_context(self) -> object:
        # For each operation: data cached by one may be outdated for the next.
        assert self.session is not None
        return await self._pipeline.new_context(self.websocket.ws, self.session.caller)


def _problem(message: object) -> str | None:
    """Why this is not a valid message, or None."""
    if not isinstance(message, dict):
        return "Message must be a JSON object"
    kind, payload = message.get("type"), message.get("payload")
    if kind in _WITH_ID:
        if not isinstance(message.get("id"), str) or not message["id"]:
            return "`id` must be a non-empty string"
        if kind == "subscribe" and not isinstance(payload, dict):
            return "`payload` must be an object"
    elif kind not in _WITHOUT_ID:
        return "Unknown message type"
    elif payload is not None and not isinstance(payload, dict):
        return "`payload` must be an object or null"
    return None


def _authorization(message: ConnectionInitMessage) -> str | None:
    """The credential of clients that cannot set headers, such as browsers."""
    payload = message.get("payload") or {}
    value = payload.get("authorization", payload.get("Authorization"))
    if value is None:
        return None
    return value if isinstance(value, str) else ""


def _error(refusal: RequestRefused) -> GraphQLError:
    return GraphQLError(str(refusal), extensions=refusal.extensions)
