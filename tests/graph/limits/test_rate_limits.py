"""How much one caller, or one address, may have: operations, connections, failed attempts to sign in."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from uuid import uuid4

import httpx2
import pytest
import structlog
from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request

from graph.app import create_app
from graph.auth.caller import ANONYMOUS, Caller
from graph.errors import RequestRefused
from graph.limits import rate_limits as throttle_module
from graph.limits.rate_limits import Throttle, address_of
from graph.settings import Settings
from repo import FULL_ACCESS, Access, CredentialKind, Grant, Identity, IdentityKind, Role, open_repository
from tests.support.client import GraphQLClient
from tests.support.redis_server import RedisServer, running_redis
from tests.support.serving import serving
from tests.support.sockets import connected, opened
from tests.support.waiting import until

SECONDS = 40
ADA = Caller(Identity(IdentityKind.USER, "user-1"), FULL_ACCESS, "user:user-1")
ANOTHER = Caller(Identity(IdentityKind.USER, "user-2"), FULL_ACCESS, "user:user-2")
RUNS = "{ runs { totalCount } }"
UNKNOWN = {"Authorization": "Bearer rg_" + 43 * "A"}
ONLY_SQLITE = pytest.mark.parametrize("databases", ["sqlite"], indirect=True)


def request_from(address: str) -> Request:
    return Request({"type": "http", "client": (address, 1234), "headers": []})


async def refused(throttle: Throttle, caller: Caller, times: int) -> int:
    """How many of so many operations are refused."""
    refusals = []
    for _ in range(times):
        try:
            await throttle.admit(caller)
        except RequestRefused as refusal:
            refusals.append(refusal)
    assert all((each.status, each.code) == (429, "RATE_LIMITED") for each in refusals)
    assert all(1 <= int(each.headers["retry-after"]) <= 61 for each in refusals)
    return len(refusals)


async def test_a_caller_may_send_as_many_operations_as_the_limit_says_and_no_more() -> None:
    throttle = Throttle(rate_limit="50/minute")
    assert await refused(throttle, ADA, 50) == 0
    assert await refused(throttle, ADA, 10) == 10
    assert await refused(throttle, ANOTHER, 50) == 0, "the one does not count for the other"


async def test_whoever_waits_may_go_on() -> None:
    throttle = Throttle(rate_limit="5/second")
    await refused(throttle, ADA, 6)

    async def may_go_on() -> bool:
        return not await refused(throttle, ADA, 1)

    await until(may_go_on)


async def test_who_is_not_asked_who_they_are_is_not_counted() -> None:
    assert await refused(Throttle(rate_limit="1/minute"), ANONYMOUS, 20) == 0


async def test_without_a_limit_nothing_is_counted() -> None:
    assert await refused(Throttle(), ADA, 20) == 0


async def test_replicas_count_together_in_redis(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttle_module, "_STORAGE_WITHIN", float(SECONDS))
    limit = "41/minute"
    caller = Caller(ADA.identity, FULL_ACCESS, f"user:{uuid4()}")
    async with (
        Throttle(rate_limit=limit, storage=redis_server.url).running() as ours,
        Throttle(rate_limit=limit, storage=redis_server.url).running() as other,
    ):
        assert await refused(ours, caller, 30) == 0
        await asyncio.sleep(2 * throttle_module._TELL_EVERY)
        assert await refused(ours, caller, 1) == 0, "what was counted since is told now"
        assert await refused(other, caller, 30) == 20


async def test_a_window_ends_though_the_clock_of_redis_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle_module, "_STORAGE_WITHIN", float(SECONDS))
    with running_redis() as server:
        async with (
            Throttle(rate_limit="5/3seconds", storage=server.url).running() as throttle,
            Redis.from_url(server.url) as redis,
        ):
            await refused(throttle, ADA, 6)
            (key,) = await redis.keys("*")
            await redis.expire(key, 3600)  # so much is left of it then

            async def may_go_on() -> bool:
                return not await refused(throttle, ADA, 1)

            await until(may_go_on)


async def test_nobody_is_refused_because_redis_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle_module, "_STORAGE_WITHIN", float(SECONDS))
    monkeypatch.setattr(throttle_module, "_ASK_AGAIN_AFTER", 0.1)
    monkeypatch.setattr(throttle_module, "_TELL_EVERY", 0.0)
    with running_redis() as server, structlog.testing.capture_logs() as logs:
        async with Throttle(rate_limit="30/minute", storage=server.url).running() as throttle:
            assert await refused(throttle, ADA, 3) == 0
            server.stop()
            assert await refused(throttle, ADA, 20) == 0
            assert await refused(throttle, ADA, 20) == 10, "meanwhile this process counts alone"
    assert [each["event"] for each in logs] == ["counting in this process alone"]


async def test_addresses_of_one_network_of_ipv6_count_as_one() -> None:
    assert address_of(request_from("2001:db8::1")) == address_of(request_from("2001:db8::ffff:2"))
    assert address_of(request_from("2001:db8::1")) != address_of(request_from("2001:db8:0:1::1"))
    assert address_of(request_from("192.0.2.1")) == "192.0.2.1"
    assert address_of(Request({"type": "http", "client": None, "headers": []})) == ""


async def test_what_is_counted_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle_module, "_MOST_COUNTED", 10)
    throttle = Throttle(auth_failures="20/minute")
    for number in range(100):
        throttle.note_failure(request_from(f"192.0.2.{number}"))
    assert len(throttle._failures._counts) == 10


@asynccontextmanager
async def client_of(app: Starlette, address: str = "127.0.0.1") -> AsyncIterator[GraphQLClient]:
    async with (
        asyncio.timeout(SECONDS),
        GraphQLClient(
            transport=httpx2.ASGITransport(app, client=(address, 1234)), base_url="http://localhost"
        ) as client,
    ):
        yield client


async def token(database_url: str, subject: str = "user-1") -> dict[str, str]:
    async with open_repository(database_url) as repository:
        _, secret = await repository.create_credential(
            CredentialKind.TOKEN,
            f"a token of {subject}",
            Identity(IdentityKind.USER, subject),
            Access(frozenset({Grant(Role.ADMIN)})),
            None,
        )
    return {"Authorization": f"Bearer {secret}"}


@ONLY_SQLITE
async def test_an_http_client_over_its_rate_gets_429_and_health_is_still_told(database_url: str) -> None:
    app = create_app(Settings(database_url=database_url, auth="token", rate_limit="5/minute"))
    shown, others = await token(database_url), await token(database_url, "user-2")
    async with app.router.lifespan_context(app), client_of(app) as client:
        answers = [await client.post("/graphql", json={"query": RUNS}, headers=shown) for _ in range(7)]
        assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 2
        (error,) = answers[-1].json()["errors"]
        assert error["extensions"]["code"] == "RATE_LIMITED"
        assert int(answers[-1].headers["retry-after"]) == error["extensions"]["retryAfter"] > 0
        assert (await client.post("/graphql", json={"query": RUNS}, headers=others)).status_code == 200
        for path in ("/livez", "/readyz"):
            assert (await client.get(path, headers=shown)).status_code == 200


@ONLY_SQLITE
async def test_operations_of_a_websocket_count_too(database_url: str) -> None:
    app = create_app(Settings(database_url=database_url, auth="token", rate_limit="5/minute"))
    shown = await token(database_url)
    with serving(app) as url:
        async with opened(f"{url}/graphql") as socket:
            await socket.send(
                {"type": "connection_init", "payload": {"authorization": shown["Authorization"]}}
            )
            assert await socket.next() == {"type": "connection_ack"}
            for number in range(5):
                await socket.subscribe(str(number), RUNS)
                assert await socket.data(str(number)) == {"totalCount": 0}
                await socket.completes(str(number))
            await socket.subscribe("6", RUNS)
            extensions = (await socket.error("6"))["extensions"]
            assert extensions["code"] == "RATE_LIMITED"
            assert 0 < extensions["retryAfter"] <= 61
            await socket.send({"type": "ping"})
            assert await socket.next() == {"type": "pong"}, "the connection stays"


@ONLY_SQLITE
async def test_an_address_that_tries_too_many_wrong_tokens_is_told_to_wait(database_url: str) -> None:
    app = create_app(Settings(database_url=database_url, auth="token", auth_failures="10/minute"))
    shown = await token(database_url)
    async with app.router.lifespan_context(app):
        async with client_of(app) as client:

            async def statuses(headers: dict[str, str], times: int) -> list[int]:
                return [
                    (await client.post("/graphql", json={"query": RUNS}, headers=headers)).status_code
                    for _ in range(times)
                ]

            found = await statuses(UNKNOWN, 30)
            assert found[:5] == [401] * 5
            assert found[-10:] == [429] * 10
            assert await statuses(shown, 3) == [200] * 3, "whoever shares the address and is good goes on"
        async with client_of(app, "192.0.2.7") as elsewhere:
            answer = await elsewhere.post("/graphql", json={"query": RUNS}, headers=UNKNOWN)
            assert answer.status_code == 401


@pytest.fixture
def small(database_url: str) -> Iterator[str]:
    """A server that takes two connections from an address."""
    settings = Settings(database_url=database_url, max_connections_per_address=2)
    with serving(create_app(settings)) as url:
        yield url


@ONLY_SQLITE
async def test_an_address_has_only_so_many_connections(small: str) -> None:
    async with AsyncExitStack() as stack, httpx2.AsyncClient(base_url=small) as client:
        for _ in range(2):
            await stack.enter_async_context(connected(f"{small}/graphql"))
        answer = await client.post("/graphql", json={"query": RUNS})
        assert answer.status_code == 429
        assert answer.json()["errors"][0]["extensions"]["code"] == "RATE_LIMITED"
        with pytest.raises(Exception, match="429"):
            await stack.enter_async_context(connected(f"{small}/graphql"))
        assert (await client.get("/livez")).status_code == 200
        assert (await client.get("/readyz")).status_code == 200
        await stack.aclose()

        async def is_let_in() -> bool:
            return (await client.post("/graphql", json={"query": RUNS})).status_code == 200

        await until(is_let_in)


@ONLY_SQLITE
async def test_a_caller_has_only_so_many_connections(database_url: str) -> None:
    settings = Settings(database_url=database_url, auth="token", max_connections_per_caller=2)
    shown = await token(database_url)
    init = {"type": "connection_init", "payload": shown}
    with serving(create_app(settings)) as url:
        async with AsyncExitStack() as stack, httpx2.AsyncClient(base_url=url) as client:
            for _ in range(2):
                socket = await stack.enter_async_context(opened(f"{url}/graphql"))
                await socket.send(init)
                assert await socket.next() == {"type": "connection_ack"}
            third = await stack.enter_async_context(opened(f"{url}/graphql"))
            await third.send(init)
            assert await third.close_code() == 1013
            assert (await client.post("/graphql", json={"query": RUNS}, headers=shown)).status_code == 429
            others = await token(database_url, "user-2")
            assert (await client.post("/graphql", json={"query": RUNS}, headers=others)).status_code == 200
            await stack.aclose()

            async def is_let_in() -> bool:
                answer = await client.post("/graphql", json={"query": RUNS}, headers=shown)
                return answer.status_code == 200

            await until(is_let_in)


@ONLY_SQLITE
@pytest.mark.parametrize("trusted", [(), ("127.0.0.1",)], ids=["nobody is believed", "a proxy is"])
async def test_a_client_does_not_choose_its_address_by_a_header(
    database_url: str, trusted: tuple[str, ...]
) -> None:
    app = create_app(Settings(database_url=database_url, auth="token", auth_failures="10/minute"))
    with serving(app, trusted_proxies=trusted) as url:
        async with httpx2.AsyncClient(base_url=url) as client:
            found = [
                (
                    await client.post(
                        "/graphql",
                        json={"query": RUNS},
                        headers={**UNKNOWN, "X-Forwarded-For": f"192.0.2.{number}"},
                    )
                ).status_code
                for number in range(30)
            ]
    assert (429 in found) == (not trusted)


def test_connections_are_limited_per_address() -> None:
    throttle = Throttle(most_per_address=1)
    with throttle.connection() as one, throttle.connection() as other, throttle.connection() as again:
        one.comes_from(from_address("192.0.2.1"))
        other.comes_from(from_address("192.0.2.2"))
        with pytest.raises(RequestRefused):
            again.comes_from(from_address("192.0.2.1"))


def from_address(host: str) -> HTTPConnection:
    """A request from there."""
    return HTTPConnection({"type": "http", "headers": [], "client": (host, 1)})
