"""The webhook: an executor is notified over real HTTP, with a signature and without secrets."""

import asyncio
import hashlib
import hmac
import logging
import ssl
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
import structlog
from pydantic import ValidationError

from graph.aborts.webhook import NotificationFailed, Webhook
from graph.app import create_app
from graph.settings import Settings, explain
from repo import Action, ActionRepo, open_repository
from tests.support.client import GraphQLClient
from tests.support.databases import SqliteDatabases, create_migrated, wait_for
from tests.support.executors import (
    FakeExecutor,
    delayed,
    status,
    stopped,
)
from tests.support.making import (
    ADA,
    RUN,
    action,
    make_run,
)
from tests.support.ports import free_port

SECRET = "hunter2-hunter2-hunter2"
TOKEN = "t0ken-in-the-url"
SECONDS = 40


@pytest.fixture
def executor() -> Iterator[FakeExecutor]:
    """An executor on loopback."""
    with FakeExecutor().serving() as fake:
        yield fake


@pytest.fixture(scope="module")
def aborted(tmp_path_factory: pytest.TempPathFactory) -> Action:
    """The root of a run with a pending abort."""
    databases = SqliteDatabases(tmp_path_factory.mktemp("databases"))

    async def make() -> Action:
        async with open_repository(create_migrated(databases)) as repository:
            await make_run(repository)
            await repository.abort_run(RUN, "zu teuer – 太贵了", ADA)
            return await repository.get_action(action())

    return wait_for(make())


@asynccontextmanager
async def webhook(
    url: str, seconds: float = 5, allows_private: bool = True, **more: Any
) -> AsyncIterator[Webhook]:
    one = Webhook(url, SECRET, timeout=seconds, allows_private=allows_private, **more)
    try:
        async with asyncio.timeout(SECONDS):
            yield one
    finally:
        await one.close()


async def refusal(url: str, aborted: Action, **options: Any) -> str:
    """The error of the notification, which has no secrets."""
    async with webhook(url, **options) as one:
        with pytest.raises(NotificationFailed) as caught:
            await one.notify(aborted, datetime.now(UTC))
    reason = str(caught.value)
    assert not [part for part in (SECRET, TOKEN, "127.0.0.1", "http", "secret") if part in reason]
    # A traceback in the log shows causes too.
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return reason


async def test_the_request_is_signed_and_names_the_action_to_abort(
    executor: FakeExecutor, aborted: Action
) -> None:
    async with webhook(f"{executor.url}/aborts?token={TOKEN}") as one:
        await one.notify(aborted, datetime.now(UTC))
        await one.notify(aborted, datetime.now(UTC))
    first, second = executor.notifications
    for notification in (first, second):
        at, signature = notification.headers["rungraph-timestamp"], notification.headers["rungraph-signature"]
        assert abs(int(at) - time.time()) < SECONDS
        expected = hmac.new(
            SECRET.encode(), f"{at}.".encode() + notification.body, hashlib.sha256
        ).hexdigest()
        assert signature == f"v1={expected}"
        assert notification.headers["content-type"] == "application/json"
        assert notification.headers["host"] == executor.url.removeprefix("http://")
        assert SECRET not in str(notification.headers) + notification.body.decode()
    assert first.key == second.key
    assert aborted.abort is not None
    assert first.payload == {
        "action": {"project": "etl", "domain": "production", "runName": "nightly-1", "name": "a0"},
        "isRun": True,
        "reason": "zu teuer – 太贵了",
        "requestedBy": {"kind": "USER", "subject": "user-1", "name": "User One"},
        "requestedAt": aborted.abort.requested_at.isoformat(),
        "attempt": 0,
    }


async def test_each_abort_has_its_own_idempotency_key(
    executor: FakeExecutor, aborted: Action, repository: ActionRepo
) -> None:
    await make_run(repository, child="a0")
    await repository.abort_action(action("child"), None, None)
    child = await repository.get_action(action("child"))
    async with webhook(executor.url) as one:
        await one.notify(aborted, datetime.now(UTC))
        await one.notify(child, datetime.now(UTC))
    first, second = executor.notifications
    assert first.key != second.key
    assert second.payload["isRun"] is False
    assert (second.payload["reason"], second.payload["requestedBy"]) == (None, None)


@pytest.mark.parametrize("code", [200, 202, 204, 299, 404, 410])
async def test_responses_that_confirm_an_abort(executor: FakeExecutor, aborted: Action, code: int) -> None:
    executor.answer = status(code) if code != 204 else stopped
    async with webhook(executor.url) as one:
        await one.notify(aborted, datetime.now(UTC))
    assert len(executor.notifications) == 1


@pytest.mark.parametrize("code", [400, 401, 403, 409, 429, 500, 502, 503, 504])
async def test_any_other_response_is_a_failure(executor: FakeExecutor, aborted: Action, code: int) -> None:
    executor.answer = status(code)
    assert await refusal(executor.url, aborted) == f"it answered {code}"


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
async def test_a_redirect_is_a_failure_and_not_followed(
    executor: FakeExecutor, aborted: Action, code: int
) -> None:
    with FakeExecutor().serving() as elsewhere:
        executor.answer = status(code, location=f"{elsewhere.url}/?token={TOKEN}")
        assert await refusal(executor.url, aborted) == f"it answered {code}"
    assert elsewhere.notifications == []


async def test_a_response_after_the_timeout_is_a_failure(executor: FakeExecutor, aborted: Action) -> None:
    executor.answer = delayed(60)
    assert await refusal(f"{executor.url}/?token={TOKEN}", aborted, seconds=0.5) == "no answer within 0.5 s"


async def test_the_timeout_limits_a_response_that_arrives_byte_by_byte(aborted: Action) -> None:
    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            for byte in b"HTTP/1.1 200 OK\r\nx: " + b"y" * 1000:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(0.1)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(trickle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        assert await refusal(f"http://127.0.0.1:{port}", aborted, seconds=0.5) == "no answer within 0.5 s"


async def test_a_refused_connection_is_a_failure(aborted: Action) -> None:
    url = f"http://127.0.0.1:{free_port()}/?token={TOKEN}"
    assert await refusal(url, aborted) == "it cannot be reached: ConnectError"


async def test_a_malformed_response_is_a_failure(aborted: Action) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 two hundred {TOKEN}\r\n\r\n".encode())
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        reason = await refusal(f"http://127.0.0.1:{port}", aborted)
        assert reason == "it cannot be reached: RemoteProtocolError"


@pytest.mark.parametrize("host", ["no-such-name.invalid", "a" * 70 + ".example.com"])
async def test_an_unknown_host_name_is_a_failure(aborted: Action, host: str) -> None:
    assert (await refusal(f"http://{host}/?token={TOKEN}", aborted)).startswith("it cannot be reached: ")


async def test_the_body_of_a_large_response_is_not_read(aborted: Action) -> None:
    sent: list[int] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000000\r\n\r\n")
        total = 0
        try:
            while total < 500 * 2**20:
                writer.write(b"x" * 2**16)
                await writer.drain()
                total += 2**16
        except ConnectionError:
            pass
        finally:
            sent.append(total)
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server, webhook(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}") as one:
        await one.notify(aborted, datetime.now(UTC))
        await one.notify(aborted, datetime.now(UTC))
        while len(sent) < 2:  # noqa: ASYNC110 - the server tells
            await asyncio.sleep(0.01)
    # The buffers of two sockets accept this much before the connection closes.
    assert max(sent) < 50 * 2**20


PRIVATE = [
    "127.0.0.1",
    "127.8.9.1",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "169.254.169.254",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "239.1.1.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "fec0::1",
    "fc00::1",
    "fd12:3456::1",
    "ff02::1",
    "ff0e::1",
    "2001:db8::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::7f00:1",
    "::ffff:0:7f00:1",
    "2002:7f00:1::",
    "2002:a00:1::1",
    "2001:0:a00:1::",
]


def resolving(*addresses: str, lookups: list[tuple[str, int]] | None = None) -> Any:
    async def resolve(host: str, port: int) -> Sequence[str]:
        if lookups is not None:
            lookups.append((host, port))
        return addresses

    return resolve


@pytest.mark.parametrize("address", PRIVATE)
async def test_a_private_address_is_refused(aborted: Action, address: str) -> None:
    reason = await refusal(
        f"http://executor.example.com/?token={TOKEN}",
        aborted,
        allows_private=False,
        resolve=resolving(address),
    )
    assert reason == "its address is of a private network, and these are not allowed"


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1", "localhost"]
)
async def test_every_form_of_a_loopback_address_is_refused(
    executor: FakeExecutor, aborted: Action, host: str
) -> None:
    port = executor.url.rpartition(":")[2]
    reason = await refusal(f"http://{host}:{port}/", aborted, allows_private=False)
    assert reason == "its address is of a private network, and these are not allowed"
    assert executor.notifications == []


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:4700:4700::1111"])
async def test_the_checked_address_is_the_one_connected_to(
    aborted: Action, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected: list[tuple[str, int]] = []
    lookups: list[tuple[str, int]] = []

    async def connect(self: object, host: str, port: int, **rest: Any) -> None:
        connected.append((host, port))
        raise OSError("there is no internet here")

    monkeypatch.setattr("httpcore2._backends.anyio.AnyIOBackend.connect_tcp", connect)
    # A second lookup of the same name would return another address.
    resolve = resolving("10.0.0.1", address, lookups=lookups)
    reason = await refusal(
        "http://executor.example.com:8080/aborts", aborted, allows_private=False, resolve=resolve
    )
    assert reason == "it cannot be reached: OSError"
    assert lookups == [("executor.example.com", 8080)]
    assert connected == [(address, 8080)]


async def test_the_next_address_is_tried_if_the_first_refuses_the_connection(
    executor: FakeExecutor, aborted: Action
) -> None:
    port = executor.url.rpartition(":")[2]
    resolve = resolving("127.0.0.2", "::1", "127.0.0.1")
    async with webhook(f"http://executor.example.com:{port}/aborts", resolve=resolve) as one:
        await one.notify(aborted, datetime.now(UTC))
    (notification,) = executor.notifications
    assert notification.headers["host"] == f"executor.example.com:{port}"


async def test_a_host_name_without_an_address_is_a_failure(aborted: Action) -> None:
    reason = await refusal("http://executor.example.com", aborted, resolve=resolving())
    assert reason == "its name has no address"


async def test_an_invalid_answer_of_the_resolver_is_a_failure(aborted: Action) -> None:
    url = "http://executor.example.com"
    reason = await refusal(url, aborted, allows_private=False, resolve=resolving(f"no address, {TOKEN}"))
    assert reason == "it cannot be reached: ValueError"


async def test_the_certificate_has_to_match_the_host_name(aborted: Action) -> None:
    names: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sni_callback = lambda connection, name, _: names.append(name)
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    async with server:
        port = server.sockets[0].getsockname()[1]
        url = f"https://executor.example.com:{port}"
        reason = await refusal(url, aborted, resolve=resolving("127.0.0.1"))
    assert reason == "it cannot be reached: ConnectError"
    assert names == ["executor.example.com"]


async def test_proxies_in_the_environment_are_ignored(
    executor: FakeExecutor, aborted: Action, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FakeExecutor().serving() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        async with webhook(executor.url) as one:
            await one.notify(aborted, datetime.now(UTC))
    assert (len(executor.notifications), proxy.notifications) == (1, [])


async def test_logs_and_the_api_report_failures_without_secrets(
    executor: FakeExecutor, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    executor.answer = status(500)
    settings = Settings(
        database_url=database_url,
        abort_webhook_url=f"{executor.url}/aborts?token={TOKEN}",
        abort_webhook_secret=SECRET,  # type: ignore[arg-type]
        abort_webhook_allow_private=True,
        abort_attempts=1,
    )
    assert SECRET not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"
    app = create_app(settings)
    query = "{ pendingAborts(first: 1) { nodes { abort { state lastError attemptCount } } } }"
    with structlog.testing.capture_logs() as logs, caplog.at_level(logging.INFO):
        async with app.router.lifespan_context(app), asyncio.timeout(SECONDS):
            repository: ActionRepo = app.state.repository
            await make_run(repository)
            await repository.abort_run(RUN, None, None)
            async with GraphQLClient(
                transport=httpx2.ASGITransport(app), base_url="http://localhost"
            ) as client:
                while "FAILED" not in str(body := await client.execute(query)):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
                page = (await client.get("/metrics")).text
    assert body["data"]["pendingAborts"]["nodes"] == [
        {"abort": {"state": "FAILED", "lastError": "it answered 500", "attemptCount": 1}}
    ]
    assert [entry["event"] for entry in logs] == ["abort failed after its last attempt"]
    visible = f"{logs} {caplog.text} {body} {page}"
    assert not [part for part in (SECRET, TOKEN) if part in visible]


@pytest.mark.parametrize(
    "url",
    [
        "executor.example.com",
        "ftp://hunter2.example.com",
        "http://",
        "http://[hunter2",
        "http://hunter2.example.com:port",
        "http://hunter2.example.com:99999",
        "http://user:hunter2@executor.example.com",
        "http://hunter2@executor.example.com",
        "http://user:hunter2\N{ACCOUNT OF}@executor.example.com",
        "http://executor.example.com/\nhunter2",
    ],
)
def test_an_invalid_url_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Settings(abort_webhook_url=url, abort_webhook_secret=SECRET)  # type: ignore[arg-type]
    reason = f"{explain(caught.value)} {caught.value}"
    assert "RUNGRAPH_ABORT_WEBHOOK_URL: it must" in explain(caught.value)
    assert "hunter2" not in reason


@pytest.mark.parametrize("secret", ["", "short-hunter2"])
def test_a_webhook_needs_a_secret_that_is_long_enough(secret: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Settings(abort_webhook_url="https://executor.example.com", abort_webhook_secret=secret)  # type: ignore[arg-type]
    assert "at least 16 characters" in explain(caught.value)
    assert not secret or secret not in f"{explain(caught.value)} {caught.value}"
    assert Settings(abort_webhook_secret=secret).abort_webhook_url == ""  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match="ABORT_WEBHOOK_SECRET|abort_webhook_secret"):
        Settings(abort_webhook_url="https://executor.example.com")
