"""The Authenticator: credentials, cache and sessions."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest
from starlette.requests import HTTPConnection

from graph.auth import authentication
from graph.auth.authentication import Authenticator
from graph.auth.caller import ANONYMOUS, Caller
from graph.auth.cookies import SESSION_COOKIE
from graph.errors import RequestRefused
from repo import ActionRepo, CredentialKind, open_repository
from tests.support.clock import HOUR, Clock
from tests.support.credentials import UNKNOWN, bearer, token

SECONDS = 40


NEVER = 3600.0


EVIL = "https://evil.example.com"


def connection(method: str = "POST", **headers: str) -> HTTPConnection:
    """A request with these headers."""
    named = {
        "host": "localhost",
        **{name.replace("_", "-").lower(): value for name, value in headers.items()},
    }
    pairs = [(name.encode(), value.encode()) for name, value in named.items()]
    return HTTPConnection({"type": "http", "method": method, "path": "/graphql", "headers": pairs})


@pytest.fixture
def lookups(repository: ActionRepo, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The secrets that are looked up in the database from now on."""
    secrets = []
    find = repository.credentials.find

    async def noting(secret: str) -> Any:
        secrets.append(secret)
        return await find(secret)

    monkeypatch.setattr(repository.credentials, "find", noting)
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


@pytest.mark.parametrize(("status", "is_notified"), [(401, True), (503, False)])
async def test_other_bearer_tokens_are_verified_as_jwts(
    repository: ActionRepo, status: int, is_notified: bool
) -> None:
    """An unavailable provider (503) is not an invalid credential."""
    refused: list[HTTPConnection] = []

    async def jwt(token: str) -> Caller:
        if token == "good":
            return ANONYMOUS
        raise RequestRefused(status, "CODE", "no")

    authenticator = Authenticator(repository, verify_jwt=jwt, on_invalid=refused.append)
    assert await authenticator.authenticate(connection(authorization="Bearer good")) is ANONYMOUS
    with pytest.raises(RequestRefused):
        await authenticator.authenticate(connection(authorization="Bearer bad"))
    assert bool(refused) == is_notified


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


@pytest.mark.parametrize("scheme", ["Basic", "Token", "Bearer2", ""])
async def test_only_the_bearer_scheme_is_accepted(repository: ActionRepo, scheme: str) -> None:
    authenticator, secret = Authenticator(repository), (await token(repository))[1]
    assert (
        await authenticator.authenticate(connection(authorization=f"Bearer {secret}"))
    ).identity.subject == "user-1"
    with pytest.raises(RequestRefused):
        await authenticator.authenticate(connection(authorization=f"{scheme} {secret}".strip()))


async def test_a_cross_origin_get_may_use_the_cookie_but_not_a_post(repository: ActionRepo) -> None:
    """A GET changes nothing, and the other page cannot read the response."""
    authenticator, cookie = Authenticator(repository), f"{SESSION_COOKIE}={(await token(repository))[1]}"
    from_there = {"sec_fetch_site": "cross-site", "origin": EVIL, "cookie": cookie}
    assert (await authenticator.authenticate(connection("GET", **from_there))).identity.subject == "user-1"
    with pytest.raises(RequestRefused) as refused:
        await authenticator.authenticate(connection("POST", **from_there))
    assert refused.value.status == 403


async def test_tokens_that_merely_resemble_api_tokens_are_verified_as_jwts(
    repository: ActionRepo,
) -> None:
    verified = []

    async def jwt(token: str) -> Caller:
        verified.append(token)
        return ANONYMOUS

    authenticator, secret = Authenticator(repository, verify_jwt=jwt), (await token(repository))[1]
    for changed in (f"{secret}.x.y", f"x{secret}"):
        assert await authenticator.authenticate(connection(authorization=f"Bearer {changed}")) is ANONYMOUS
        assert verified[-1] == changed
    assert (
        await authenticator.authenticate(connection(authorization=f"Bearer {secret}"))
    ).identity.subject == "user-1"


async def test_cookies_of_similar_names_are_ignored(repository: ActionRepo) -> None:
    authenticator, secret = Authenticator(repository), (await token(repository))[1]
    for others in (f"{SESSION_COOKIE}-sign-in-x", f"{SESSION_COOKIE}2", f"x{SESSION_COOKIE}"):
        with pytest.raises(RequestRefused):
            await authenticator.authenticate(connection(cookie=f"{others}={secret}"))
        for both in (f"{others}=x; {SESSION_COOKIE}={secret}", f"{SESSION_COOKIE}={secret}; {others}=x"):
            assert (await authenticator.authenticate(connection(cookie=both))).identity.subject == "user-1"


async def test_a_slightly_changed_token_is_not_found_in_the_cache(
    repository: ActionRepo,
) -> None:
    authenticator, secret = Authenticator(repository), (await token(repository))[1]
    assert (
        await authenticator.authenticate(connection(authorization=f"Bearer {secret}"))
    ).identity.subject == "user-1"
    for place in (3, 20, len(secret) - 1):
        other = "B" if secret[place] == "A" else "A"
        changed = f"Bearer {secret[:place]}{other}{secret[place + 1 :]}"
        with pytest.raises(RequestRefused):
            await authenticator.authenticate(connection(authorization=changed))


async def test_sessions_of_a_person_share_a_key_and_tokens_do_not(
    repository: ActionRepo,
) -> None:
    keys: dict[CredentialKind, list[str]] = {}
    authenticator = Authenticator(repository)
    for kind in CredentialKind:
        for subject in ("user-1", "user-1", "user-2"):
            secret = (await token(repository, subject, kind=kind))[1]
            found = await authenticator.authenticate(connection(authorization=f"Bearer {secret}"))
            keys.setdefault(kind, []).append(found.key)
    first, again, other = keys[CredentialKind.SESSION]
    assert first == again != other
    assert len({*keys[CredentialKind.TOKEN], first, other}) == 5


# Sessions


async def test_a_session_without_a_stored_credential_ends_when_it_expires(
    repository: ActionRepo, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as one with a token of an OpenID provider."""
    monkeypatch.setattr(authentication, "CHECK_INTERVAL", 0.1)
    authenticator, ended = Authenticator(repository), asyncio.Event()
    caller = replace(ANONYMOUS, expires_at=clock.time() + HOUR)
    async with asyncio.timeout(SECONDS), authenticator.running():
        with authenticator.open_session(caller, ended.set) as session:
            await asyncio.sleep(0.3)  # longer than a check takes
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
            await repository.credentials.revoke(id)
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
