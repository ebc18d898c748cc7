"""What lets nobody in, where one condition alone keeps them out."""

import asyncio
from typing import Any

import pytest

from graph import jwt, oidc
from graph.envelope import RequestRefused
from graph.oidc import Provider
from tests.clock import HOUR, Clock
from tests.provider import AUDIENCE, FakeProvider, crafted, encoded, new_key

SECONDS = 20
NOW = 1_800_000_000
RULES = jwt.Rules("https://login.example.com", AUDIENCE, {"RS256", "EdDSA"}, leeway=30)
CLAIMS = {"iss": RULES.issuer, "aud": AUDIENCE, "sub": "user-1", "exp": NOW + HOUR}


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
