"""Random sequences of messages: a websocket responds as graphql-transport-ws requires, and misses nothing."""

import asyncio
import json
import os
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    precondition,
    rule,
    run_state_machine_as_test,
)
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Close

from graph.app import create_app
from graph.settings import Settings
from repo import (
    Access,
    ActionPhase,
    ActionRepo,
    CredentialKind,
    Grant,
    Identity,
    IdentityKind,
    PhaseUpdateResult,
    Role,
    RunIdentifier,
    open_repository,
)
from tests.support.making import make_run, update
from tests.support.serving import serving
from tests.support.sockets import Socket, opened

T = TypeVar("T")

EXAMPLES = int(os.environ.get("RUNGRAPH_TEST_MACHINE_EXAMPLES", "20"))
"""`make fuzz` tries more and different ones."""

SECONDS = 30

IDS = st.sampled_from(["a", "b", "c", " ", "1", "é\u2028😀", "x" * 2000])
WATCH = "subscription ($project: String!) { runs(filter: {project: $project}) { runs { name attempts } } }"
READ = "query ($project: String!) { runs(filter: {project: $project}) { nodes { name attempts } } }"
WRITE = """mutation ($id: ActionIdentifierInput!, $attempts: Int!) {
  updateActionPhase(input: {id: $id, phase: RUNNING, attempts: $attempts}) { applied } }"""
NOT_EXECUTED = st.sampled_from(
    [
        {"query": "{"},
        {"query": "{ nothing }"},
        {"query": "subscription { runs { nothing } }"},
        {"query": WATCH},
        {"query": WATCH, "variables": {"project": 1}},
        {"query": "query A { __typename } query B { __typename }"},
        {"query": "{ __typename }", "operationName": "B"},
        {"query": 1},
        {"query": ""},
        {},
        {"query": "{ __typename }", "variables": []},
        {"query": "{ __typename }", "operationName": {}},
        {"query": "{ " + "a { " * 500},
        {"query": "{ " + "runs { nodes { name } } " * 300 + "}"},
    ]
)
MALFORMED = st.sampled_from(
    [
        *(
            "",
            "{",
            "nothing",
            "null",
            "[]",
            "1",
            '"x"',
            "{}",
            '{"type": null}',
            '{"type": "start", "id": "a"}',
        ),
        *('{"type": ["ping"]}', '{"type": "connection_ack"}', '{"type": "next", "id": "a", "payload": {}}'),
        *('{"type": "complete"}', '{"type": "complete", "id": 1}', '{"type": "complete", "id": ""}'),
        *('{"type": "subscribe", "id": "a"}', '{"type": "subscribe", "id": "a", "payload": []}'),
        *('{"type": "subscribe", "id": {}, "payload": {}}', '{"type": "subscribe", "payload": {}}'),
        *(
            '{"type": "ping", "payload": []}',
            '{"type": "pong", "payload": 1}',
            '{"type": "ping", "payload": NaN}',
        ),
        *('{"type": "connection_init", "payload": "x"}', "[" * 1000, '{"type": "ping"} {"type": "ping"}'),
        *(b"", b"\0", b'{"type": "ping"}'),
    ]
)
BAD_SHOWN = st.sampled_from(
    [{}, None, {"authorization": "Bearer rg_" + "A" * 43}, {"authorization": 1}, {"Authorization": "Bearer"}]
)


@dataclass
class Going:
    """A running operation, as far as the client knows."""

    kind: str
    """`watch`, `single` or `refused`."""
    results: int = 0
    seen: dict[str, int] = field(default_factory=dict)
    """The attempts of each run in the last frame of a watch."""


class WebSocketMachine(RuleBasedStateMachine):
    """Uses one websocket at a time, and knows the allowed responses."""

    def __init__(self, url: str, repository: ActionRepo, runner: asyncio.Runner) -> None:
        super().__init__()
        self.url = url
        self.repository = repository
        self.runner = runner
        self.project = f"p{uuid4().hex}"
        self.attempts: dict[str, int] = {}
        self.socket: Socket | None = None
        self.is_acknowledged = False
        self.going: dict[str, Going] = {}
        self.stack = AsyncExitStack()
        self.credential = ""
        self.pings = 0

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        async def timed() -> T:
            async with asyncio.timeout(SECONDS):
                return await work

        return self.runner.run(timed())

    def teardown(self) -> None:
        if self.is_acknowledged:
            self.wait(self._all_is_sent())
        self.wait(self.stack.aclose())

    # Responses

    def check_received(self, text: str | bytes) -> dict[str, Any]:
        """Checks that a message is allowed now."""
        message: dict[str, Any] = json.loads(text)
        assert message["type"] in ("connection_ack", "pong", "next", "error", "complete"), message
        if message["type"] not in ("next", "error", "complete"):
            return message
        assert message["id"] in self.going, f"nobody waits for {message}"
        going = self.going[message["id"]]
        if message["type"] == "next":
            assert going.kind != "refused"
            going.results += 1
            assert "errors" not in message["payload"], message
            if going.kind == "watch":
                for run in message["payload"]["data"]["runs"]["runs"]:
                    assert run["attempts"] >= going.seen.get(run["name"], 0), (
                        "an older state after a newer one"
                    )
                    going.seen[run["name"]] = run["attempts"]
            else:
                assert going.results == 1
        elif message["type"] == "complete":
            assert (going.kind, going.results) == ("single", 1)
            del self.going[message["id"]]
        else:
            assert (going.kind, going.results) == ("refused", 0)
            assert all(error["extensions"]["code"] != "INTERNAL_SERVER_ERROR" for error in message["payload"])
            assert message["payload"]
            del self.going[message["id"]]
        return message

    async def receive(self) -> dict[str, Any]:
        assert self.socket is not None
        return self.check_received(await self.socket.connection.recv())

    async def settle(self) -> None:
        """Waits until everything sent before is handled."""
        assert self.socket is not None
        self.pings += 1
        payload = {"number": self.pings}
        await self.socket.send({"type": "ping", "payload": payload})
        while (message := await self.receive())["type"] != "pong":
            assert message["type"] != "connection_ack", "acknowledged twice"
        assert message.get("payload", payload) == payload

    async def closes(self, code: int) -> None:
        """The server closes with this code, after allowed messages only."""
        assert self.socket is not None
        closed: Close | None = None
        while closed is None:
            try:
                await self.receive()
            except ConnectionClosed as error:
                closed = error.rcvd or pytest.fail("the connection broke off without a close frame")
        assert closed.code == code, closed
        await self._forget()

    async def _forget(self) -> None:
        self.socket, self.is_acknowledged, self.going = None, False, {}
        await self.stack.aclose()

    async def _all_is_sent(self) -> None:
        """Every operation that ends has ended, and each watch has the latest state."""
        while any(
            going.kind != "watch" or any(going.seen.get(name) != n for name, n in self.attempts.items())
            for going in self.going.values()
        ):
            await self.receive()

    async def _open(self, **options: Any) -> Socket:
        return await self.stack.enter_async_context(opened(self.url, **options))

    # Actions

    is_open = precondition(lambda self: self.socket is not None)
    is_accepted = precondition(lambda self: self.is_acknowledged)
    is_waiting = precondition(lambda self: self.socket is not None and not self.is_acknowledged)
    is_closed = precondition(lambda self: self.socket is None)

    @is_closed
    @rule(init=st.integers(0, 4))
    def connect(self, init: int) -> None:
        self.socket = self.wait(self._open())
        if init:
            self.begin(payload_name="authorization")

    @is_closed
    @rule(protocol=st.sampled_from(["graphql-ws", "nothing"]))
    def connect_with_another_protocol(self, protocol: str) -> None:
        async def work() -> None:
            self.socket = await self.stack.enter_async_context(opened(self.url, protocol))
            await self.closes(4406)

        self.wait(work())

    @is_closed
    @rule()
    def connect_from_another_site(self) -> None:
        async def work() -> None:
            with pytest.raises(InvalidStatus) as refused:
                await self._open(origin="https://evil.example.com")
            assert refused.value.response.status_code == 403

        self.wait(work())

    @is_waiting
    @rule(payload_name=st.sampled_from(["authorization", "Authorization"]))
    def begin(self, payload_name: str) -> None:
        async def work() -> None:
            assert self.socket is not None
            made, secret = await self.repository.credentials.create(
                CredentialKind.TOKEN,
                "machine",
                Identity(IdentityKind.USER, "machine"),
                Access(frozenset({Grant(Role.ADMIN, self.project)})),
            )
            self.credential = made.id
            await self.socket.send({"type": "connection_init", "payload": {payload_name: f"Bearer {secret}"}})
            assert await self.receive() == {"type": "connection_ack"}
            self.is_acknowledged = True

        self.wait(work())

    @is_waiting
    @rule(payload=BAD_SHOWN)
    def show_nothing_that_is_good(self, payload: object) -> None:
        self._send_and_close({"type": "connection_init", "payload": payload}, 4403)

    @is_accepted
    @rule(payload=BAD_SHOWN)
    def begin_again(self, payload: object) -> None:
        self._send_and_close({"type": "connection_init", "payload": payload}, 4429)

    @is_open
    @rule(message=MALFORMED)
    def send_what_is_no_message(self, message: str | bytes) -> None:
        self._send_and_close(message, 4400)

    @is_waiting
    @rule(id=IDS)
    def subscribe_too_early(self, id: str) -> None:
        self._send_and_close({"type": "subscribe", "id": id, "payload": {"query": READ}}, 4401)

    def _send_and_close(self, message: object, code: int) -> None:
        async def work() -> None:
            assert self.socket is not None
            await self.socket.send(message)
            await self.closes(code)

        self.wait(work())

    @is_open
    @rule(kind=st.sampled_from(["ping", "pong"]), payload=st.sampled_from([None, {}, {"a": [1]}]))
    def ping(self, kind: str, payload: object) -> None:
        async def work() -> None:
            assert self.socket is not None
            await self.socket.send({"type": kind, "payload": payload})
            if kind == "ping":
                while (await self.receive())["type"] != "pong":
                    pass
            await self.settle()

        self.wait(work())

    @is_accepted
    @rule(id=IDS, what=st.sampled_from(["watch", "watch", "read", "write"]), settles=st.booleans())
    def subscribe(self, id: str, what: str, settles: bool) -> None:
        if id in self.going:
            if self.going[id].kind == "watch":
                self._send_and_close({"type": "subscribe", "id": id, "payload": {"query": READ}}, 4409)
            return
        payload: dict[str, Any] = {"query": READ, "variables": {"project": self.project}}
        if what == "watch":
            payload["query"] = WATCH
        elif what == "write" and self.attempts:
            run = sorted(self.attempts)[0]
            self.attempts[run] += 1
            key = {"project": self.project, "domain": "d", "runName": run, "name": "a0"}
            payload = {"query": WRITE, "variables": {"id": key, "attempts": self.attempts[run]}}
        self._subscribe(
            id, Going("watch" if what == "watch" else "single"), payload, settles or what == "write"
        )

    @is_accepted
    @rule(id=IDS, payload=NOT_EXECUTED, settles=st.booleans())
    def subscribe_to_what_cannot_be_executed(self, id: str, payload: object, settles: bool) -> None:
        if id not in self.going:
            self._subscribe(id, Going("refused"), payload, settles)

    def _subscribe(self, id: str, going: Going, payload: object, settles: bool) -> None:
        async def work() -> None:
            assert self.socket is not None
            self.going[id] = going
            await self.socket.send({"type": "subscribe", "id": id, "payload": payload})
            if settles:
                await self.settle()

        self.wait(work())

    @is_open
    @rule(id=IDS, times=st.integers(1, 2))
    def complete(self, id: str, times: int) -> None:
        """A completed operation sends nothing more; completing an unknown one has no effect."""
        if id in self.going and self.going[id].kind == "single" and self.attempts:
            return  # a write that is broken off may have been made or not

        async def work() -> None:
            assert self.socket is not None
            for _ in range(times):
                await self.socket.send({"type": "complete", "id": id})
            await self.settle()
            self.going.pop(id, None)

        self.wait(work())

    @rule(number=st.integers(0, 2))
    def write(self, number: int) -> None:
        run = RunIdentifier(self.project, "d", f"r{number}")
        if run.name in self.attempts:
            self.attempts[run.name] += 1
            arguments = [update("a0", ActionPhase.RUNNING, self.attempts[run.name], run)]
            assert self.wait(self.repository.actions.update_phases(arguments)) == [
                PhaseUpdateResult(True, True)
            ]
        else:
            self.wait(make_run(self.repository, run))
            self.attempts[run.name] = 1

    @is_accepted
    @rule()
    def wait_for_all_that_is_due(self) -> None:
        self.wait(self._all_is_sent())

    @is_accepted
    @rule(chance=st.integers(0, 9))
    def revoke(self, chance: int) -> None:
        if chance == 0:
            self.wait(self.repository.credentials.revoke(self.credential))
            self.wait(self.closes(4403))

    @is_open
    @rule(code=st.sampled_from([1000, 1001, 3000, 4999]), breaks_off=st.booleans())
    def leave(self, code: int, breaks_off: bool) -> None:
        async def work() -> None:
            assert self.socket is not None
            if breaks_off:
                self.socket.connection.transport.abort()
            else:
                await self.socket.connection.close(code)
            await self._forget()

        self.wait(work())


@pytest.fixture
def url(database_url: str) -> Iterator[str]:
    """A server with authentication."""
    with serving(create_app(Settings(database_url=database_url, auth="token", auth_failures=""))) as address:
        yield f"{address}/graphql"


@pytest.mark.timeout(600)  # the search for the shortest messages that fail takes its time
def test_any_sequence_of_messages_is_answered_as_the_protocol_requires(url: str, database_url: str) -> None:
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        repository = runner.run(stack.enter_async_context(open_repository(database_url)))

        class Machine(WebSocketMachine):
            def __init__(self) -> None:
                super().__init__(url, repository, runner)

        try:
            run_state_machine_as_test(
                Machine,
                settings=settings(
                    max_examples=EXAMPLES,
                    stateful_step_count=25,
                    deadline=None,
                    derandomize="RUNGRAPH_TEST_SEED" not in os.environ,
                    database=None,
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            runner.run(stack.aclose())
