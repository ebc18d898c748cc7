"""What lets nobody in, where one condition alone keeps them out."""

import asyncio
from typing import Any

import pytest
from starlette.requests import HTTPConnection

from graph import jwt, oidc
from graph.caller import ANYBODY, Caller
from graph.envelope import RequestRefused
from graph.gate import COOKIE, Gate
from graph.oidc import Provider
from repo import Access, ActionRepo, CredentialKind, Identity, IdentityKind
from tests.clock import HOUR, Clock
from tests.provider import AUDIENCE, FakeProvider, crafted, encoded, new_key

SECONDS = 20
EVIL = "https://evil.example.com"
NOW = 1_800_000_000
RULES = jwt.Rules("https://login.example.com", AUDIENCE, {"RS256", "EdDSA"}, leeway=30)
CLAIMS = {"iss": RULES.issuer, "aud": AUDIENCE, "sub": "user-1", "exp": NOW + HOUR}


# Tokens of a provider


def read(**more: Any) -> jwt.Token:
    """The token with these claims and these parts of its header, its signature not looked at."""
    return jwt.read(crafted({**CLAIMS, **more}), RULES, NOW)


def test_a_token_may_be_only_so_long_though_all_is_right_with_it() -> None:
    assert read(more="x" * 5000).claims["sub"] == "user-1"
    with pytest.raises(RequestRefused, match="longer than 8192 characters"):
        read(more="x" * 8192)


def test_a_signature_that_cannot_even_be_looked_at_is_wrong() -> None:
    token = jwt.read(crafted(CLAIMS, alg="EdDSA"), RULES, NOW)
    with pytest.raises(RequestRefused, match="signature is wrong"):
        jwt.verify(token, new_key("RS256"))


@pytest.mark.parametrize("number", ["1e999", "-1e999", "NaN", "Infinity", "9" * 400])
def test_a_time_that_never_comes_is_no_time(number: str) -> None:
    with pytest.raises(RequestRefused, match="not a JSON object"):
        jwt.read(crafted_with(number), RULES, NOW)


def crafted_with(number: str) -> str:
    """A token whose `exp` is this number as it stands."""
    body = crafted(CLAIMS).split(".")
    claims = jwt._decode(body[1]).replace(str(CLAIMS["exp"]).encode(), number.encode())
    return ".".join((body[0], encoded(claims), body[2]))


async def test_a_token_that_ends_soon_is_remembered_for_no_longer(clock: Clock) -> None:
    with FakeProvider().serving() as fake:
        rules = jwt.Rules(fake.url, AUDIENCE, {"ES256"}, leeway=0)
        token = fake.token(exp=clock.time() + oidc._REMEMBERED_FOR / 2)
        async with asyncio.timeout(SECONDS), (one := Provider(rules, ())).running():
            assert await one.caller_of(token) is await one.caller_of(token)
            clock.forward(oidc._REMEMBERED_FOR * 0.75)
            with pytest.raises(RequestRefused, match="has expired"):
                await one.caller_of(token)


# The gate


async def secret_of(repository: ActionRepo) -> str:
    """What somebody may show."""
    who = Identity(IdentityKind.USER, "user-1")
    _, secret = await repository.create_credential(
        CredentialKind.TOKEN, "a token", who, Access(frozenset()), None
    )
    return secret


def connection(method: str = "POST", **headers: str) -> HTTPConnection:
    """A request with these headers."""
    named = {"host": "localhost", **{name.replace("_", "-"): value for name, value in headers.items()}}
    pairs = [(name.encode(), value.encode()) for name, value in named.items()]
    return HTTPConnection({"type": "http", "method": method, "path": "/graphql", "headers": pairs})


@pytest.mark.parametrize("scheme", ["Basic", "Token", "Bearer2", ""])
async def test_a_good_token_by_another_scheme_lets_nobody_in(repository: ActionRepo, scheme: str) -> None:
    gate, secret = Gate(repository), await secret_of(repository)
    assert (await gate.caller(connection(authorization=f"Bearer {secret}"))).identity.subject == "user-1"
    with pytest.raises(RequestRefused):
        await gate.caller(connection(authorization=f"{scheme} {secret}".strip()))


async def test_whoever_follows_a_link_from_another_site_is_still_signed_in(repository: ActionRepo) -> None:
    """A GET changes nothing, and the page that led here reads no answer."""
    gate, cookie = Gate(repository), f"{COOKIE}={await secret_of(repository)}"
    from_there = {"sec_fetch_site": "cross-site", "origin": EVIL, "cookie": cookie}
    assert (await gate.caller(connection("GET", **from_there))).identity.subject == "user-1"
    with pytest.raises(RequestRefused) as refused:
        await gate.caller(connection("POST", **from_there))
    assert refused.value.status == 403


async def test_what_only_begins_like_a_secret_of_ours_is_for_the_provider_to_say(
    repository: ActionRepo,
) -> None:
    asked = []

    async def jwt(token: str) -> Caller:
        asked.append(token)
        return ANYBODY

    gate, secret = Gate(repository, jwt=jwt), await secret_of(repository)
    for shown in (f"{secret}.x.y", f"x{secret}"):
        assert await gate.caller(connection(authorization=f"Bearer {shown}")) is ANYBODY
        assert asked[-1] == shown
    assert (await gate.caller(connection(authorization=f"Bearer {secret}"))).identity.subject == "user-1"


async def test_a_cookie_of_another_name_is_none_of_ours_however_it_begins(repository: ActionRepo) -> None:
    gate, secret = Gate(repository), await secret_of(repository)
    for others in (f"{COOKIE}-sign-in-x", f"{COOKIE}2", f"x{COOKIE}"):
        with pytest.raises(RequestRefused):
            await gate.caller(connection(cookie=f"{others}={secret}"))
        for both in (f"{others}=x; {COOKIE}={secret}", f"{COOKIE}={secret}; {others}=x"):
            assert (await gate.caller(connection(cookie=both))).identity.subject == "user-1"
