"""The server: it aborts clients that receive nothing, and stops in time."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from starlette.applications import Starlette

from graph.transport.server import Server
from tests.support import forking, toy
from tests.support.ports import free_port
from tests.support.serving import serving
from tests.support.sockets import connected
from tests.support.toy import toy_app

SECONDS = 40
STALL = 4.0
"""Seconds for which the machine may stall."""
FLOOD = "subscription { flood }"
EVENTS = {"accept": "text/event-stream"}

TOY = """
import sys
from graph.observability.logs import configure_logs
from graph.transport.server import Server
from tests.support.toy import toy_app
configure_logs("info")
Server(toy_app(), "127.0.0.1", int(sys.argv[1])).run()
"""


@pytest.fixture
def no_tcp_user_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system without TCP_USER_TIMEOUT."""
    monkeypatch.delattr(socket, "TCP_USER_TIMEOUT", raising=False)


@pytest.fixture
def url(no_tcp_user_timeout: None) -> Iterator[str]:
    with serving(toy_app(), send_timeout=2.0) as address:
        yield f"{address}/graphql"


@asynccontextmanager
async def stalled_socket(url: str) -> AsyncIterator[None]:
    """A websocket whose client receives nothing: the library does not read either."""
    async with AsyncExitStack() as stack:
        socket = await stack.enter_async_context(connected(url, ping_interval=None))
        await socket.subscribe("a", FLOOD)
        yield
        socket.connection.transport.abort()


@asynccontextmanager
async def event_stream(url: str, query: str) -> AsyncIterator[httpx2.Response]:
    async with (
        httpx2.AsyncClient(timeout=SECONDS) as client,
        client.stream("POST", url, json={"query": query}, headers=EVENTS) as response,
    ):
        yield response


async def floods_become(count: int) -> float:
    """The seconds until `count` floods are running; at most SECONDS."""
    began = time.monotonic()
    async with asyncio.timeout(SECONDS):
        while toy.floods != count:  # noqa: ASYNC110 - the server runs in another thread
            await asyncio.sleep(0.02)
    return time.monotonic() - began


async def test_a_websocket_that_receives_nothing_is_aborted(url: str) -> None:
    async with stalled_socket(url):
        await floods_become(1)
        assert await floods_become(0) > 1


async def test_an_event_stream_that_receives_nothing_is_aborted(url: str) -> None:
    async with event_stream(url, FLOOD):
        await floods_become(1)
        assert await floods_become(0) > 1


async def test_a_slow_client_is_not_aborted(url: str) -> None:
    body = json.dumps({"query": "subscription { flood(size: 50000000) }"})
    head = (
        f"POST /graphql HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection(urlsplit(url).hostname, urlsplit(url).port)
    writer.write((head + body).encode())
    # All this is one result, so that the server never finishes writing.
    end = time.monotonic() + 5
    while time.monotonic() < end:
        async with asyncio.timeout(SECONDS):
            await reader.readexactly(200_000)
        await asyncio.sleep(0.05)
    assert toy.floods == 1
    writer.transport.abort()


async def test_a_client_that_answers_no_ping_is_aborted_despite_buffered_data(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port = free_port()
    pinging = Server(toy_app(), "127.0.0.1", port)
    monkeypatch.setattr(pinging.config, "ws_ping_interval", 0.3)
    monkeypatch.setattr(pinging.config, "ws_ping_timeout", STALL)
    serving = asyncio.create_task(pinging.serve())
    async with asyncio.timeout(SECONDS):
        while not pinging.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
        async with stalled_socket(f"http://127.0.0.1:{port}/graphql"):
            await floods_become(1)
            await floods_become(0)
        pinging.should_exit = True
        await serving


async def test_connections_inherit_the_options_of_the_listening_socket() -> None:
    port = free_port()
    listening = Server(toy_app(), "127.0.0.1", port)
    serving = asyncio.create_task(listening.serve())
    async with asyncio.timeout(SECONDS):
        while not listening.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
        async with connected(f"http://127.0.0.1:{port}/graphql"):
            (connection,) = listening.server_state.connections
            accepted: Any = connection.transport.get_extra_info("socket")
            # Linux doubles the requested size.
            assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) in (64 * 1024, 128 * 1024)
            if hasattr(socket, "TCP_USER_TIMEOUT"):
                assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 30_000
        listening.should_exit = True
        await serving


@asynccontextmanager
async def running() -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    """A process that serves the toy, and its port."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", TOY, str(port), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        async with asyncio.timeout(SECONDS):
            while not accepts(port):  # noqa: ASYNC110 - it is another process
                await asyncio.sleep(0.05)
        yield process, port
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def accepts(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT])
async def test_a_server_stops_in_time_despite_open_connections(sent: signal.Signals) -> None:
    async with running() as (process, port), AsyncExitStack() as stack:
        url = f"http://127.0.0.1:{port}/graphql"
        for _ in range(3):
            await stack.enter_async_context(stalled_socket(url))
            await stack.enter_async_context(event_stream(url, FLOOD))
        watching = await stack.enter_async_context(connected(url))
        await watching.subscribe("a", "subscription { quiet }")
        assert await watching.data("a") == 0
        events = await stack.enter_async_context(event_stream(url, "subscription { quiet }"))
        lines = events.aiter_lines()
        async with asyncio.timeout(SECONDS):
            assert [await anext(lines) for _ in range(3)] == ["event: next", 'data: {"data":{"quiet":0}}', ""]
        await asyncio.sleep(0.5)

        began = time.monotonic()
        process.send_signal(sent)
        assert await watching.close_code(2 + STALL) == 1012
        assert not accepts(port)
        # The stream ends without `complete`, so that the client reconnects.
        with pytest.raises(httpx2.RemoteProtocolError):
            async with asyncio.timeout(2 + STALL):
                await anext(lines)
        async with asyncio.timeout(SECONDS):
            output, complaints = await process.communicate()
        assert time.monotonic() - began < 5 + STALL
    assert output == b""
    assert b"ASGI" not in complaints
    assert b"ERROR" not in complaints
    assert complaints == b""
    assert process.returncode == 0


@asynccontextmanager
async def running_for_a_while(folder: Path, delay: str) -> AsyncIterator[tuple[forking.Process, str]]:
    """`rungraph serve` with a stop delay in seconds, and its address."""
    port = free_port()
    settings = {"RUNGRAPH_PORT": str(port), "RUNGRAPH_STOP_DELAY": delay}
    process = forking.Process(forking.RUNGRAPH, "serve", folder=folder, environment=os.environ | settings)
    try:
        async with asyncio.timeout(SECONDS):
            while not accepts(port):  # noqa: ASYNC110 - it is another process
                await asyncio.sleep(0.05)
        url = f"http://127.0.0.1:{port}"
        # It listens before it has begun to serve.
        assert httpx2.get(f"{url}/readyz", timeout=SECONDS).status_code == 200
        yield process, url
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_a_stopping_server_is_not_ready_but_serves_during_the_delay(tmp_path: Path) -> None:
    async with (
        running_for_a_while(tmp_path, "600") as (process, url),
        httpx2.AsyncClient(base_url=url, timeout=SECONDS) as client,
        connected(f"{url}/graphql") as watching,
    ):
        assert (await client.get("/livez")).status_code == 200
        await watching.subscribe("a", "subscription { runs { kind } }")
        assert (await watching.data("a"))["kind"] == "SYNCED"
        process.send_signal(signal.SIGTERM)
        # On the open connection and on new ones.
        async with asyncio.timeout(SECONDS):
            while (answer := await client.get("/readyz")).status_code == 200:  # noqa: ASYNC110 - likewise
                await asyncio.sleep(0.01)
        assert (answer.status_code, answer.text) == (503, "not ready: the server is stopping\n")
        await asyncio.sleep(0.5)
        assert httpx2.get(f"{url}/readyz", timeout=SECONDS).status_code == 503
        assert httpx2.get(f"{url}/livez", timeout=SECONDS).status_code == 200
        answer = httpx2.post(f"{url}/graphql", json={"query": "{ runs { totalCount } }"}, timeout=SECONDS)
        assert answer.json() == {"data": {"runs": {"totalCount": 0}}}
        assert process.returncode is None
        process.send_signal(signal.SIGINT)
        assert await watching.close_code() == 1012
        async with asyncio.timeout(SECONDS):
            assert await process.wait() == 0


async def test_a_server_stops_after_the_delay(tmp_path: Path) -> None:
    async with running_for_a_while(tmp_path, "1") as (process, _):
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(SECONDS):
            assert await process.wait() == 0
        assert time.monotonic() - began > 1


async def test_a_running_request_is_answered_when_the_server_stops(tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    query = f"{{ slow(begun: {json.dumps(str(begun))}) }}"
    async with running() as (process, port), httpx2.AsyncClient(timeout=SECONDS) as client:
        url = f"http://127.0.0.1:{port}/graphql"
        asking = asyncio.create_task(client.post(url, json={"query": query}))
        async with asyncio.timeout(SECONDS):
            while not begun.exists():  # noqa: ASYNC110 - created by another process
                await asyncio.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        assert (await asking).json() == {"data": {"slow": "at last"}}
        async with asyncio.timeout(SECONDS):
            await process.wait()


async def test_a_server_with_a_hanging_database_stops() -> None:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        await asyncio.Event().wait()

    hanging = Server(Starlette(lifespan=lifespan), "127.0.0.1", free_port(), stop_timeout=0.5)
    serving = asyncio.create_task(hanging.serve())
    async with asyncio.timeout(SECONDS):
        while not hanging.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
    hanging.should_exit = True
    await asyncio.wait_for(serving, SECONDS)
