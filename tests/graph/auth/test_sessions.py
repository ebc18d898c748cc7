"""Authentication of websockets and streams, and their end when a credential ends."""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest

from graph.app import create_app
from graph.auth import authentication
from graph.auth.cookies import SESSION_COOKIE
from graph.settings import Settings
from graph.transport.websocket import Socket as ServersSocket
from repo import ActionRepo, CredentialKind
from tests.support.clock import HOUR, Clock
from tests.support.credentials import UNKNOWN, bearer, token
from tests.support.making import action, make_run
from tests.support.proxy import proxied
from tests.support.serving import serving
from tests.support.sockets import Socket, connected, opened

SECONDS = 40


ENDS_WITHIN = 5.0
"""Seconds after which a revoked or expired credential has ended all its streams."""


STALL = 5.0
"""Seconds by which a loaded machine may be late."""


NEVER = 3600.0


VIEWER = "{ viewer { identity { subject } } }"


RUNS = "subscription { runs { kind runs { name phase } } }"


CREATE = """mutation {
  createAction(input: {id: {project: "p", domain: "d", runName: "r", name: "a"}}) { created }
}"""


INIT = {"type": "connection_init"}


def settings_of(database_url: str) -> Settings:
    return Settings(database_url=database_url, auth="token")


@pytest.fixture
def url(database_url: str) -> Iterator[str]:
    """The URL of a server with authentication."""
    with serving(create_app(settings_of(database_url))) as address:
        yield f"{address}/graphql"


@pytest.fixture
def only_frames_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the periodic check of open sessions."""
    monkeypatch.setattr(authentication, "CHECK_INTERVAL", NEVER)


def authorization(secret: str, name: str = "authorization") -> dict[str, object]:
    return {name: f"Bearer {secret}"}


async def subject_of(socket: Socket) -> str:
    await socket.subscribe("who", VIEWER)
    subject = (await socket.data("who"))["identity"]["subject"]
    await socket.completes("who")
    return str(subject)


async def test_a_websocket_is_authenticated_by_header_connection_init_or_cookie(
    url: str, repository: ActionRepo
) -> None:
    _, secret = await token(repository)
    for name in ("authorization", "Authorization"):
        async with connected(url, authorization(secret, name)) as socket:
            assert await subject_of(socket) == "user-1"
    async with connected(url, headers=bearer(secret)) as socket:
        assert await subject_of(socket) == "user-1"
    _, session = await token(repository, "by cookie", kind=CredentialKind.SESSION)
    async with connected(url, headers={"Cookie": f"{SESSION_COOKIE}={session}"}) as socket:
        assert await subject_of(socket) == "by cookie"


async def test_a_header_takes_precedence_over_connection_init_and_that_over_a_cookie(
    url: str, repository: ActionRepo
) -> None:
    _, header = await token(repository, "by header")
    _, init = await token(repository, "by init")
    _, session = await token(repository, "by cookie", kind=CredentialKind.SESSION)
    cookie = {"Cookie": f"{SESSION_COOKIE}={session}"}
    async with connected(url, authorization(init), headers={**bearer(header), **cookie}) as socket:
        assert await subject_of(socket) == "by header"
    async with connected(url, authorization(init), headers=cookie) as socket:
        assert await subject_of(socket) == "by init"


@pytest.mark.parametrize(
    "payload",
    [None, {}, {"authorization": f"Bearer {UNKNOWN}"}, {"authorization": "Basic YTpi"}, {"authorization": 7}],
)
async def test_a_websocket_without_a_valid_token_is_closed_before_acknowledgement(
    url: str, payload: object
) -> None:
    async with opened(url) as socket:
        await socket.send({**INIT, "payload": payload})
        assert await socket.close_code() == 4403


async def test_refused_websockets_are_counted(url: str, repository: ActionRepo) -> None:
    async with opened(url) as socket:
        await socket.send(INIT)
        assert await socket.close_code() == 4403
    _, secret = await token(repository)
    async with httpx2.AsyncClient(timeout=SECONDS) as client:
        metrics = (await client.get(url.replace("/graphql", "/metrics"), headers=bearer(secret))).text
    assert re.search(r'^rungraph_errors_total\{.*"UNAUTHENTICATED".*\} 1\.0$', metrics, re.MULTILINE)


@pytest.mark.parametrize("value", [UNKNOWN, 7, ""])
async def test_an_invalid_token_in_connection_init_does_not_fall_back_to_the_cookie(
    url: str, repository: ActionRepo, value: object
) -> None:
    _, session = await token(repository, kind=CredentialKind.SESSION)
    async with opened(url, headers={"Cookie": f"{SESSION_COOKIE}={session}"}) as socket:
        await socket.send({**INIT, "payload": {"authorization": value}})
        assert await socket.close_code() == 4403


async def test_a_second_connection_init_cannot_change_the_caller(url: str, repository: ActionRepo) -> None:
    _, secret = await token(repository)
    _, other = await token(repository, "user-2")
    async with connected(url, authorization(secret)) as socket:
        await socket.send({**INIT, "payload": authorization(other)})
        assert await socket.close_code() == 4429


async def test_operations_before_connection_init_close_the_websocket(
    url: str, repository: ActionRepo
) -> None:
    _, secret = await token(repository)
    async with opened(url, headers=bearer(secret)) as socket:
        await socket.subscribe("a", VIEWER)
        assert await socket.close_code() == 4401


async def test_a_websocket_is_closed_with_try_again_later_while_the_database_is_unavailable() -> None:
    app = create_app(settings_of("postgresql://user:password@127.0.0.1:1/name"))
    with serving(app) as address:
        async with opened(f"{address}/graphql") as socket:
            await socket.send({**INIT, "payload": authorization(UNKNOWN)})
            assert await socket.close_code() == 1013


async def test_a_second_connection_init_leaves_no_session_open(
    database_url: str, repository: ActionRepo
) -> None:
    secret = (await token(repository))[1]
    app = create_app(Settings(database_url=database_url, auth="token"))
    with serving(app) as address:
        credential: dict[str, object] = {"authorization": f"Bearer {secret}"}
        async with connected(f"{address}/graphql", credential) as socket:
            await socket.send({"type": "connection_init", "payload": credential})
            assert await socket.close_code() == 4429
        async with asyncio.timeout(SECONDS):
            while app.state.authenticator.session_count:  # noqa: ASYNC110 - it is another thread's
                await asyncio.sleep(0.05)


# Streams


async def watching(socket: Socket) -> None:
    """Subscribe to the runs, and receive the snapshot."""
    await socket.subscribe("runs", RUNS)
    while (await socket.data("runs"))["kind"] != "SYNCED":
        pass


def test_cache_and_check_intervals_keep_the_promised_limit() -> None:
    """Of the intervals themselves; the tests below allow for a loaded machine."""
    looked_up = authentication.CACHE_SECONDS
    looked_at = authentication.CHECK_INTERVAL + authentication.DATABASE_TIMEOUT
    assert max(looked_up, looked_at) < ENDS_WITHIN


async def test_a_revoked_token_ends_streams_of_other_replicas(
    database_url: str, url: str, repository: ActionRepo
) -> None:
    """Also of an idle websocket; those of other callers stay open."""
    id, secret = await token(repository)
    _, another = await token(repository, "user-2")
    with serving(create_app(settings_of(database_url))) as elsewhere:
        async with (
            connected(url, authorization(secret)) as idle,
            connected(f"{elsewhere}/graphql", authorization(secret)) as stream,
            connected(f"{elsewhere}/graphql", authorization(another)) as others,
        ):
            await watching(stream)
            await watching(others)
            await repository.credentials.revoke(id)
            async with asyncio.timeout(ENDS_WITHIN + STALL):
                assert await stream.close_code() == 4403
                assert await idle.close_code() == 4403
            assert await subject_of(others) == "user-2"


async def test_an_expired_token_closes_idle_websockets_and_streams(
    url: str, repository: ActionRepo, clock: Clock
) -> None:
    _, secret = await token(repository, expires_in=(clock, HOUR))
    async with connected(url, authorization(secret)) as stream, connected(url, authorization(secret)) as idle:
        await watching(stream)
        clock.forward(HOUR)
        async with asyncio.timeout(ENDS_WITHIN + STALL):
            assert await stream.close_code() == 4403
            assert await idle.close_code() == 4403


@pytest.mark.parametrize("at_once", [True, False])
async def test_no_frame_is_sent_after_the_token_has_expired(
    url: str,
    repository: ActionRepo,
    only_frames_are_checked: None,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    at_once: bool,
) -> None:
    """Neither written at once nor by the path that waits for the client."""
    if not at_once:
        monkeypatch.setattr(ServersSocket, "write_frame", None)
    _, secret = await token(repository, expires_in=(clock, HOUR))
    async with connected(url, authorization(secret)) as socket:
        await watching(socket)
        await make_run(repository)
        while not any(run["name"] for run in (await socket.data("runs"))["runs"]):
            pass
        clock.forward(HOUR)
        await repository.abort_run(action().run, None, None)
        assert await socket.close_code() == 4403


async def test_no_operation_starts_after_the_token_has_expired(
    url: str, repository: ActionRepo, only_frames_are_checked: None, clock: Clock
) -> None:
    _, secret = await token(repository, expires_in=(clock, HOUR))
    async with connected(url, authorization(secret)) as socket:
        clock.forward(HOUR)
        await socket.subscribe("a", CREATE)
        assert await socket.close_code() == 4403
    assert await repository.runs.list_projects() == {}


@asynccontextmanager
async def events(url: str, secret: str) -> AsyncIterator[AsyncGenerator[dict[str, Any] | None, None]]:
    """Server-sent events of the runs, and None at the end."""

    async def read(response: httpx2.Response) -> AsyncGenerator[dict[str, Any] | None, None]:
        event = ""
        async for line in response.aiter_lines():
            name, _, value = line.partition(": ")
            if name == "event":
                event = value
            elif name == "data":
                yield json.loads(value) if event == "next" else None

    headers = {"Accept": "text/event-stream", **bearer(secret)}
    async with (
        asyncio.timeout(SECONDS),
        httpx2.AsyncClient(timeout=SECONDS) as client,
        client.stream("POST", url, json={"query": RUNS}, headers=headers) as response,
    ):
        assert response.status_code == 200
        yield read(response)


async def test_a_revoked_token_ends_idle_server_sent_events(url: str, repository: ActionRepo) -> None:
    id, secret = await token(repository)
    async with events(url, secret) as stream:
        assert (await anext(stream))["data"]["runs"]["kind"] == "SYNCED"  # type: ignore[index]
        await repository.credentials.revoke(id)
        async with asyncio.timeout(ENDS_WITHIN + STALL):
            last = await anext(stream)
        assert last is not None
        assert [error["extensions"]["code"] for error in last["errors"]] == ["UNAUTHENTICATED"]
        assert await anext(stream) is None


async def test_no_event_is_sent_after_the_token_has_expired(
    url: str, repository: ActionRepo, only_frames_are_checked: None, clock: Clock
) -> None:
    _, secret = await token(repository, expires_in=(clock, HOUR))
    async with events(url, secret) as stream:
        assert (await anext(stream))["data"]["runs"]["kind"] == "SYNCED"  # type: ignore[index]
        clock.forward(HOUR)
        await make_run(repository)
        last = await anext(stream)
        assert last is not None
        assert "data" not in last
        assert [error["extensions"]["code"] for error in last["errors"]] == ["UNAUTHENTICATED"]


@pytest.mark.parametrize("databases", ["postgresql"], indirect=True)
async def test_streams_continue_while_the_database_is_unavailable(
    database_url: str, repository: ActionRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authentication, "CHECK_INTERVAL", 0.1)
    monkeypatch.setattr(authentication, "DATABASE_TIMEOUT", 0.2)
    id, secret = await token(repository)
    async with proxied(database_url) as proxy:
        with serving(create_app(settings_of(proxy.url(database_url)))) as address:
            async with connected(f"{address}/graphql", authorization(secret)) as socket:
                for leave, come_back in (
                    (proxy.stall, proxy.flow),
                    (proxy.refuse, lambda: proxy.refuse(False)),
                ):
                    leave()
                    with pytest.raises(TimeoutError):
                        await asyncio.wait_for(socket.connection.recv(), 1)
                    come_back()
                await repository.credentials.revoke(id)
                assert await socket.close_code() == 4403
