"""The authenticator: who is let in by what they show, over HTTP, events and websockets, and for how long."""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from starlette.requests import HTTPConnection

from graph.app import create_app
from graph.auth import authentication
from graph.auth.authentication import Authenticator
from graph.auth.caller import ANONYMOUS, Caller
from graph.auth.cookies import SESSION_COOKIE
from graph.errors import RequestRefused
from graph.settings import Settings
from graph.transport.websocket import Socket as ServersSocket
from repo import Access, ActionRepo, CredentialKind, Grant, Identity, IdentityKind, Role, open_repository
from tests.support.client import GraphQLClient
from tests.support.clock import HOUR, Clock
from tests.support.making import action, make_run
from tests.support.proxy import proxied
from tests.support.serving import serving
from tests.support.sockets import Socket, connected, opened

SECONDS = 20
ENDS_WITHIN = 5.0
"""Seconds after which nothing goes on any more with a credential that was revoked or expired."""
STALL = 5.0
"""Seconds for which the machine itself may stand still meanwhile."""
NEVER = 3600.0

VIEWER = "{ viewer { identity { subject } } }"
RUNS = "subscription { runs { kind runs { name phase } } }"
CREATE = """mutation {
  createAction(input: {id: {project: "p", domain: "d", runName: "r", name: "a"}}) { created }
}"""
INIT = {"type": "connection_init"}

UNKNOWN = "rg_" + 43 * "A"
BAD = [
    pytest.param(f"Bearer {UNKNOWN}", id="unknown"),
    pytest.param("Bearer rg_short", id="no secret of ours"),
    pytest.param("Bearer ", id="empty"),
    pytest.param("Basic YTpi", id="another scheme"),
    pytest.param("Bearer \xfc", id="not ASCII"),
]


async def token(
    repository: ActionRepo,
    subject: str = "user-1",
    *,
    expires_in: tuple[Clock, float] | None = None,
    role: Role = Role.ADMIN,
    project: str | None = None,
    kind: CredentialKind = CredentialKind.TOKEN,
) -> tuple[str, str]:
    """The id and the secret of a new one."""
    made, secret = await repository.create_credential(
        kind,
        f"a token of {subject}",
        Identity(IdentityKind.USER, subject),
        Access(frozenset({Grant(role, project)})),
        None if expires_in is None else expires_in[0].now() + timedelta(seconds=expires_in[1]),
    )
    return made.id, secret


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def settings_of(database_url: str) -> Settings:
    return Settings(database_url=database_url, auth="token")


@pytest.fixture
async def client(database_url: str) -> AsyncIterator[GraphQLClient]:
    """A client of an application that asks who calls."""
    app = create_app(settings_of(database_url))
    async with (
        app.router.lifespan_context(app),
        GraphQLClient(transport=httpx2.ASGITransport(app), base_url="http://localhost") as opened_client,
    ):
        yield opened_client


@pytest.fixture
def url(database_url: str) -> Iterator[str]:
    """The same application on a real port."""
    with serving(create_app(settings_of(database_url))) as address:
        yield f"{address}/graphql"


@pytest.fixture
def only_frames_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody looks whether streams may go on, but who writes a frame."""
    monkeypatch.setattr(authentication, "CHECK_INTERVAL", NEVER)


async def whose(client: GraphQLClient, headers: dict[str, str], cookie: str | None = None) -> str:
    """The subject that the server takes the caller for, or the code of its refusal."""
    if cookie is not None:
        headers = {**headers, "Cookie": f"{SESSION_COOKIE}={cookie}"}
    response = await client.post("/graphql", json={"query": VIEWER}, headers=headers)
    return said(response.status_code, response.json())


def said(status: int, body: dict[str, Any]) -> str:
    if status == 200:
        return str(body["data"]["viewer"]["identity"]["subject"])
    (error,) = body["errors"]
    assert (status, error["extensions"]["code"]) == (401, "UNAUTHENTICATED")
    return "nobody"


# Over HTTP


async def test_a_request_without_a_credential_is_refused_with_instructions(client: GraphQLClient) -> None:
    response = await client.post("/graphql", json={"query": VIEWER})
    assert (response.status_code, response.headers["www-authenticate"]) == (401, "Bearer")
    (error,) = response.json()["errors"]
    assert error["extensions"] == {"code": "UNAUTHENTICATED"}
    assert "Authorization" in error["message"]


async def test_a_token_identifies_the_caller(client: GraphQLClient, repository: ActionRepo) -> None:
    for subject in ("user-1", "user-2"):
        _, secret = await token(repository, subject)
        assert await whose(client, bearer(secret)) == subject
        assert await whose(client, {"Authorization": f"bearer  {secret} "}) == subject


@pytest.mark.parametrize("shown", BAD)
async def test_an_invalid_token_does_not_fall_back_to_the_cookie(
    client: GraphQLClient, repository: ActionRepo, shown: str
) -> None:
    _, session = await token(repository, kind=CredentialKind.SESSION)
    headers: Any = {"Authorization": shown.encode("latin-1"), "Cookie": f"{SESSION_COOKIE}={session}"}
    response = await client.post("/graphql", json={"query": VIEWER}, headers=headers)
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert shown.partition(" ")[2] not in response.text or shown == "Bearer "


async def test_a_cookie_identifies_the_caller_unless_there_is_a_header(
    client: GraphQLClient, repository: ActionRepo
) -> None:
    _, session = await token(repository, "by cookie", kind=CredentialKind.SESSION)
    _, secret = await token(repository, "by header")
    assert await whose(client, {}, session) == "by cookie"
    assert await whose(client, bearer(secret), session) == "by header"
    assert await whose(client, {}, UNKNOWN) == "nobody"


async def test_the_caller_is_authenticated_before_the_body_is_parsed(client: GraphQLClient) -> None:
    headers = {"Content-Type": "application/json"}
    assert (await client.post("/graphql", content="{", headers=headers)).status_code == 401


async def test_nothing_is_executed_without_a_valid_credential(
    client: GraphQLClient, repository: ActionRepo
) -> None:
    for headers in ({}, bearer(UNKNOWN)):
        response = await client.post("/graphql", json={"query": CREATE}, headers=headers)
        assert response.status_code == 401
    assert await repository.list_projects() == {}


async def test_an_expired_token_is_refused_at_once_even_if_cached(
    client: GraphQLClient, repository: ActionRepo, clock: Clock
) -> None:
    """Also where it was let in so lately that nobody would look it up again."""
    _, secret = await token(repository, expires_in=(clock, 0.5))
    assert await whose(client, bearer(secret)) == "user-1"
    clock.forward(0.5)
    assert await whose(client, bearer(secret)) == "nobody"


async def test_a_token_revoked_by_another_process_is_refused_within_seconds(
    client: GraphQLClient, repository: ActionRepo
) -> None:
    id, secret = await token(repository)
    assert await whose(client, bearer(secret)) == "user-1"
    await repository.revoke_credential(id)
    async with asyncio.timeout(ENDS_WITHIN + STALL):
        while await whose(client, bearer(secret)) != "nobody":  # noqa: ASYNC110 - it is a question each time
            await asyncio.sleep(0.1)


async def test_a_caller_sees_only_the_projects_of_the_token(
    client: GraphQLClient, repository: ActionRepo
) -> None:
    await make_run(repository)
    _, mine = await token(repository, role=Role.VIEWER, project=action().project)
    _, others = await token(repository, role=Role.VIEWER, project="another")
    for secret, count in ((mine, 1), (others, 0)):
        response = await client.post(
            "/graphql", json={"query": "{ runs { totalCount } }"}, headers=bearer(secret)
        )
        assert response.json() == {"data": {"runs": {"totalCount": count}}}


async def test_probes_need_no_authentication(client: GraphQLClient) -> None:
    assert [(await client.get(path)).status_code for path in ("/livez", "/readyz")] == [200, 200]


async def test_metrics_need_a_role_in_all_projects(client: GraphQLClient, repository: ActionRepo) -> None:
    _, everything = await token(repository, role=Role.VIEWER)
    _, some = await token(repository, role=Role.ADMIN, project="p")
    answers = [
        await client.get("/metrics", headers=headers) for headers in ({}, bearer(some), bearer(everything))
    ]
    assert [answer.status_code for answer in answers] == [401, 403, 200]
    assert answers[0].headers["www-authenticate"] == "Bearer"
    assert ["rungraph_" in answer.text for answer in answers] == [False, False, True]


async def test_without_authentication_all_callers_are_anonymous(database_url: str) -> None:
    app = create_app(Settings(database_url=database_url))
    async with (
        app.router.lifespan_context(app),
        GraphQLClient(transport=httpx2.ASGITransport(app), base_url="http://localhost") as anybody,
    ):
        for headers in ({}, bearer(UNKNOWN), {"Authorization": "Basic YTpi"}):
            response = await anybody.post("/graphql", json={"query": VIEWER}, headers=headers)
            assert response.json() == {"data": {"viewer": {"identity": None}}}
        assert (await anybody.get("/metrics")).status_code == 200


# What is kept


def connection(**headers: str) -> HTTPConnection:
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
    return HTTPConnection({"type": "http", "headers": raw})


@pytest.fixture
def lookups(repository: ActionRepo, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The secrets that are looked up in the database from now on."""
    secrets = []
    find = repository.find_credential

    async def noting(secret: str) -> Any:
        secrets.append(secret)
        return await find(secret)

    monkeypatch.setattr(repository, "find_credential", noting)
    return secrets


async def test_concurrent_requests_with_one_credential_share_a_lookup(
    repository: ActionRepo, clock: Clock, lookups: list[str]
) -> None:
    _, secret = await token(repository)
    authenticator = Authenticator(repository)
    requests = [authenticator.authenticate(connection(**bearer(secret))) for _ in range(50)]
    cancelled = asyncio.ensure_future(requests.pop())
    await asyncio.sleep(0)
    cancelled.cancel()  # the request that began the lookup
    assert {caller.identity.subject for caller in await asyncio.gather(*requests)} == {"user-1"}
    await authenticator.authenticate(connection(**bearer(secret)))
    assert lookups == [secret]
    clock.forward(authentication.CACHE_SECONDS)
    await authenticator.authenticate(connection(**bearer(secret)))
    assert lookups == [secret] * 2


async def test_unknown_credentials_are_reported_and_not_cached(
    repository: ActionRepo, lookups: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authentication, "MAX_CACHED", 1)
    _, known = await token(repository)
    invalid: list[HTTPConnection] = []
    authenticator = Authenticator(repository, on_invalid=invalid.append)
    await authenticator.authenticate(connection(**bearer(known)))
    for number in range(20):
        request = connection(**bearer(f"rg_{number:043}"))
        with pytest.raises(RequestRefused):
            await authenticator.authenticate(request)
        assert invalid.pop() is request
    await authenticator.authenticate(connection(**bearer(known)))
    assert lookups.count(known) == 1, "an unknown credential took its place in the cache"
    with pytest.raises(RequestRefused):
        await authenticator.authenticate(connection(**bearer("rg_" + "0" * 43)))
    assert lookups.count("rg_" + "0" * 43) == 2
    invalid.clear()
    with pytest.raises(RequestRefused):
        await authenticator.authenticate(connection())
    assert not invalid, "a request without a credential is not a guess"


@pytest.mark.parametrize(("status", "is_told"), [(401, True), (503, False)])
async def test_other_bearer_tokens_are_verified_as_jwts(
    repository: ActionRepo, status: int, is_told: bool
) -> None:
    """Who signed it may be away, which is not the fault of whoever shows it."""
    refused: list[HTTPConnection] = []

    async def jwt(token: str) -> Caller:
        if token == "good":
            return ANONYMOUS
        raise RequestRefused(status, "CODE", "no")

    authenticator = Authenticator(repository, verify_jwt=jwt, on_invalid=refused.append)
    assert await authenticator.authenticate(connection(authorization="Bearer good")) is ANONYMOUS
    with pytest.raises(RequestRefused):
        await authenticator.authenticate(connection(authorization="Bearer bad"))
    assert bool(refused) == is_told


async def test_the_cache_of_callers_is_bounded(
    repository: ActionRepo, lookups: list[str], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authentication, "MAX_CACHED", 3)
    authenticator = Authenticator(repository)
    secrets = [(await token(repository))[1] for _ in range(5)]
    for secret in [*secrets, *reversed(secrets)]:
        await authenticator.authenticate(connection(**bearer(secret)))
    assert lookups == [*secrets, *reversed(secrets[:2])]


async def test_an_unavailable_database_is_a_503_and_not_a_401() -> None:
    async with open_repository("postgresql://user:password@127.0.0.1:1/name") as nowhere:
        with pytest.raises(RequestRefused) as refused:
            await Authenticator(nowhere).authenticate(connection(authorization=f"Bearer {UNKNOWN}"))
    assert (refused.value.status, refused.value.code) == (503, "SERVICE_UNAVAILABLE")
    assert "password" not in str(refused.value)


async def test_without_a_repository_every_caller_is_anonymous() -> None:
    assert await Authenticator(None).authenticate(connection(authorization="Bearer x")) is ANONYMOUS


# Websockets


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
        told = (await client.get(url.replace("/graphql", "/metrics"), headers=bearer(secret))).text
    assert re.search(r'^rungraph_errors_total\{.*"UNAUTHENTICATED".*\} 1\.0$', told, re.MULTILINE)


@pytest.mark.parametrize("given", [UNKNOWN, 7, ""])
async def test_an_invalid_token_in_connection_init_does_not_fall_back_to_the_cookie(
    url: str, repository: ActionRepo, given: object
) -> None:
    _, session = await token(repository, kind=CredentialKind.SESSION)
    async with opened(url, headers={"Cookie": f"{SESSION_COOKIE}={session}"}) as socket:
        await socket.send({**INIT, "payload": {"authorization": given}})
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


# What goes on


async def watching(socket: Socket) -> None:
    """It watches the runs, and got what is there."""
    await socket.subscribe("runs", RUNS)
    while (await socket.data("runs"))["kind"] != "SYNCED":
        pass


def test_cache_and_check_intervals_keep_the_promised_limit() -> None:
    """By how often and how long somebody looks; the tests below give a machine that stalls more time."""
    looked_up = authentication.CACHE_SECONDS
    looked_at = authentication.CHECK_INTERVAL + authentication.DATABASE_TIMEOUT
    assert max(looked_up, looked_at) < ENDS_WITHIN


async def test_a_revoked_token_ends_streams_of_other_replicas(
    database_url: str, url: str, repository: ActionRepo
) -> None:
    """It gets no frame meanwhile, nor does the socket on which nothing goes on; others stay."""
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
            await repository.revoke_credential(id)
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
    """Neither at once, nor by the way that waits."""
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
    assert await repository.list_projects() == {}


@asynccontextmanager
async def events(url: str, secret: str) -> AsyncIterator[AsyncGenerator[dict[str, Any] | None, None]]:
    """What server-sent events bring of the runs, and None at the end."""

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
        await repository.revoke_credential(id)
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
                for go_away, come_back in (
                    (proxy.stall, proxy.flow),
                    (proxy.refuse, lambda: proxy.refuse(False)),
                ):
                    go_away()
                    with pytest.raises(TimeoutError):
                        await asyncio.wait_for(socket.connection.recv(), 1)
                    come_back()
                await repository.revoke_credential(id)
                assert await socket.close_code() == 4403


async def test_a_session_without_a_stored_credential_ends_when_it_expires(
    repository: ActionRepo, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a token of an OpenID provider: nobody but the clock says that it holds no more."""
    monkeypatch.setattr(authentication, "CHECK_INTERVAL", 0.1)
    authenticator, ended = Authenticator(repository), asyncio.Event()
    caller = replace(ANONYMOUS, expires_at=clock.time() + HOUR)
    async with asyncio.timeout(SECONDS), authenticator.running():
        with authenticator.open_session(caller, ended.set) as session:
            await asyncio.sleep(0.3)  # until it was looked at
            assert session.is_valid
            assert not ended.is_set()
            clock.forward(HOUR)
            await ended.wait()
            assert not session.is_valid


async def test_a_busy_stream_ends_before_its_next_result(
    repository: ActionRepo,
) -> None:
    async def one_and_no_more() -> AsyncGenerator[int, None]:
        yield 1
        await asyncio.Event().wait()

    with Authenticator(repository).open_session(replace(ANONYMOUS, credential="x")) as session:
        async with asyncio.timeout(SECONDS), aclosing(session.while_valid(one_and_no_more())) as results:
            assert await anext(results) == 1
            session.end()
            with pytest.raises(RequestRefused):
                await anext(results)


async def test_a_revoked_credential_is_removed_from_the_cache(
    repository: ActionRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authentication, "CHECK_INTERVAL", 0.1)
    monkeypatch.setattr(authentication, "CACHE_SECONDS", NEVER)
    id, secret = await token(repository)
    authenticator, ended = Authenticator(repository), asyncio.Event()
    asking = connection(authorization=f"Bearer {secret}")
    async with asyncio.timeout(SECONDS), authenticator.running():
        with authenticator.open_session(await authenticator.authenticate(asking), ended.set):
            await repository.revoke_credential(id)
            await ended.wait()
        with pytest.raises(RequestRefused):
            await authenticator.authenticate(asking)


async def test_closed_sessions_are_no_longer_checked(repository: ActionRepo) -> None:
    _, secret = await token(repository)
    authenticator = Authenticator(repository)
    caller = await authenticator.authenticate(connection(authorization=f"Bearer {secret}"))
    async with authenticator.running():
        with authenticator.open_session(caller) as session:
            assert session.is_valid
            assert authenticator.session_count == 1
        assert authenticator.session_count == 0
