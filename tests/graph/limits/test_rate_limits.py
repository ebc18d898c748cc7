"""Limits per caller and per address: operations, connections, failed authentications."""

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
from graph.limits import rate_limits
from graph.limits.clients import ClientLimits, address_of
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


async def refused(limits: ClientLimits, caller: Caller, times: int) -> int:
    """The number of refused operations out of `times`."""
    refusals = []
    for _ in range(times):
        try:
            await limits.admit(caller)
        except RequestRefused as refusal:
            refusals.append(refusal)
    assert all((each.status, each.code) == (429, "RATE_LIMITED") for each in refusals)
    assert all(1 <= int(each.headers["retry-after"]) <= 61 for each in refusals)
    return len(refusals)


async def test_a_caller_may_send_as_many_operations_as_the_limit_allows() -> None:
    limits = ClientLimits(rate_limit="50/minute")
    assert await refused(limits, ADA, 50) == 0
    assert await refused(limits, ADA, 10) == 10
    assert await refused(limits, ANOTHER, 50) == 0, "callers are counted separately"


async def test_operations_are_admitted_again_after_the_window() -> None:
    limits = ClientLimits(rate_limit="5/second")
    await refused(limits, ADA, 6)

    async def is_admitted_again() -> bool:
        return not await refused(limits, ADA, 1)

    await until(is_admitted_again)


async def test_anonymous_callers_are_not_limited() -> None:
    assert await refused(ClientLimits(rate_limit="1/minute"), ANONYMOUS, 20) == 0


async def test_without_a_limit_no_operation_is_refused() -> None:
    assert await refused(ClientLimits(), ADA, 20) == 0


async def test_replicas_share_their_counts_in_redis(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate_limits, "STORAGE_TIMEOUT", float(SECONDS))
    limit = "41/minute"
    caller = Caller(ADA.identity, FULL_ACCESS, f"user:{uuid4()}")
    async with (
        ClientLimits(rate_limit=limit, storage=redis_server.url).running() as ours,
        ClientLimits(rate_limit=limit, storage=redis_server.url).running() as other,
    ):
        assert await refused(ours, caller, 30) == 0
        await asyncio.sleep(2 * rate_limits.REPORT_INTERVAL)
        assert await refused(ours, caller, 1) == 0, "reports the pending calls"
        assert await refused(other, caller, 30) == 20


@pytest.mark.slow
async def test_a_window_ends_although_the_clock_of_redis_is_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limits, "STORAGE_TIMEOUT", float(SECONDS))
    with running_redis() as server:
        async with (
            ClientLimits(rate_limit="5/3seconds", storage=server.url).running() as limits,
            Redis.from_url(server.url) as redis,
        ):
            await refused(limits, ADA, 6)
            (key,) = await redis.keys("*")
            await redis.expire(key, 3600)  # as if its clock had been set back

            async def is_admitted_again() -> bool:
                return not await refused(limits, ADA, 1)

            await until(is_admitted_again)


async def test_no_operation_is_refused_because_redis_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limits, "STORAGE_TIMEOUT", float(SECONDS))
    monkeypatch.setattr(rate_limits, "RETRY_INTERVAL", 0.1)
    monkeypatch.setattr(rate_limits, "REPORT_INTERVAL", 0.0)
    with running_redis() as server, structlog.testing.capture_logs() as logs:
        async with ClientLimits(rate_limit="30/minute", storage=server.url).running() as limits:
            assert await refused(limits, ADA, 3) == 0
            server.stop()
            assert await refused(limits, ADA, 20) == 0
            assert await refused(limits, ADA, 20) == 10, "this process counts alone"
    assert [each["event"] for each in logs] == ["rate limits are counted by this process alone"]


async def test_ipv6_addresses_of_one_network_are_counted_together() -> None:
    assert address_of(request_from("2001:db8::1")) == address_of(request_from("2001:db8::ffff:2"))
    assert address_of(request_from("2001:db8::1")) != address_of(request_from("2001:db8:0:1::1"))
    assert address_of(request_from("192.0.2.1")) == "192.0.2.1"
    assert address_of(Request({"type": "http", "client": None, "headers": []})) == ""


async def test_the_number_of_counters_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limits, "MAX_KEYS", 10)
    limits = ClientLimits(auth_failures="20/minute")
    for number in range(100):
        limits.record_auth_failure(request_from(f"192.0.2.{number}"))
    assert len(limits.auth_failures.counters) == 10


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
        _, secret = await repository.credentials.create(
            CredentialKind.TOKEN,
            f"a token of {subject}",
            Identity(IdentityKind.USER, subject),
            Access(frozenset({Grant(Role.ADMIN)})),
            None,
        )
    return {"Authorization": f"Bearer {secret}"}


@ONLY_SQLITE
async def test_an_http_client_over_the_limit_gets_429_but_may_probe_health(database_url: str) -> None:
    app = create_app(Settings(database_url=database_url, auth="token", rate_limit="5/minute"))
    credential, others = await token(database_url), await token(database_url, "user-2")
    async with app.router.lifespan_context(app), client_of(app) as client:
        answers = [await client.post("/graphql", json={"query": RUNS}, headers=credential) for _ in range(7)]
        assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 2
        (error,) = answers[-1].json()["errors"]
        assert error["extensions"]["code"] == "RATE_LIMITED"
        assert int(answers[-1].headers["retry-after"]) == error["extensions"]["retryAfter"] > 0
        assert (await client.post("/graphql", json={"query": RUNS}, headers=others)).status_code == 200
        for path in ("/livez", "/readyz"):
            assert (await client.get(path, headers=credential)).status_code == 200


@ONLY_SQLITE
async def test_operations_of_a_websocket_count_too(database_url: str) -> None:
    app = create_app(Settings(database_url=database_url, auth="token", rate_limit="5/minute"))
    credential = await token(database_url)
    with serving(app) as url:
        async with opened(f"{url}/graphql") as socket:
            await socket.send(
                {"type": "connection_init", "payload": {"authorization": credential["Authorization"]}}
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
async def test_an_address_that_sends_too_many_invalid_tokens_is_refused(database_url: str) -> None:
    app = create_app(Settings(database_url=database_url, auth="token", auth_failures="10/minute"))
    credential = await token(database_url)
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
            assert await statuses(credential, 3) == [200] * 3, (
                "valid tokens from the same address are accepted"
            )
        async with client_of(app, "192.0.2.7") as elsewhere:
            answer = await elsewhere.post("/graphql", json={"query": RUNS}, headers=UNKNOWN)
            assert answer.status_code == 401


@pytest.fixture
def small(database_url: str) -> Iterator[str]:
    """A server that accepts two connections per address."""
    settings = Settings(database_url=database_url, max_connections_per_address=2)
    with serving(create_app(settings)) as url:
        yield url


@ONLY_SQLITE
async def test_connections_over_the_limit_of_an_address_are_refused(small: str) -> None:
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

        async def is_admitted() -> bool:
            return (await client.post("/graphql", json={"query": RUNS})).status_code == 200

        await until(is_admitted)


@ONLY_SQLITE
async def test_connections_over_the_limit_of_a_caller_are_refused(database_url: str) -> None:
    settings = Settings(database_url=database_url, auth="token", max_connections_per_caller=2)
    credential = await token(database_url)
    init = {"type": "connection_init", "payload": credential}
    with serving(create_app(settings)) as url:
        async with AsyncExitStack() as stack, httpx2.AsyncClient(base_url=url) as client:
            for _ in range(2):
                socket = await stack.enter_async_context(opened(f"{url}/graphql"))
                await socket.send(init)
                assert await socket.next() == {"type": "connection_ack"}
            third = await stack.enter_async_context(opened(f"{url}/graphql"))
            await third.send(init)
            assert await third.close_code() == 1013
            assert (
                await client.post("/graphql", json={"query": RUNS}, headers=credential)
            ).status_code == 429
            others = await token(database_url, "user-2")
            assert (await client.post("/graphql", json={"query": RUNS}, headers=others)).status_code == 200
            await stack.aclose()

            async def is_admitted() -> bool:
                answer = await client.post("/graphql", json={"query": RUNS}, headers=credential)
                return answer.status_code == 200

            await until(is_admitted)


@pytest.mark.slow
@ONLY_SQLITE
@pytest.mark.parametrize("trusted", [(), ("127.0.0.1",)], ids=["no trusted proxy", "trusted proxy"])
async def test_a_client_cannot_choose_its_address_by_a_header(
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
    limits = ClientLimits(max_per_address=1)
    with limits.connection() as one, limits.connection() as other, limits.connection() as again:
        one.comes_from(from_address("192.0.2.1"))
        other.comes_from(from_address("192.0.2.2"))
        with pytest.raises(RequestRefused):
            again.comes_from(from_address("192.0.2.1"))


def from_address(host: str) -> HTTPConnection:
    """A request from this address."""
    return HTTPConnection({"type": "http", "headers": [], "client": (host, 1)})
