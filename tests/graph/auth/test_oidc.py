"""Tokens and keys of an OpenID provider."""

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc import jwk
from joserfc.errors import SecurityWarning
from starlette.responses import JSONResponse, RedirectResponse, Response

from graph.auth import jwt, oidc
from graph.auth.caller import Caller
from graph.auth.claims import GrantRule, parse_grant_rules
from graph.auth.oidc import Provider
from graph.errors import RequestRefused
from repo import Grant, Identity, IdentityKind, Role
from tests.support.clock import HOUR, Clock
from tests.support.ports import free_port
from tests.support.provider import (
    AUDIENCE,
    FakeProvider,
    crafted,
    encoded,
    new_key,
    signed,
)

SECONDS = 40
ALGORITHMS = frozenset({"RS256", "PS256", "ES256", "EdDSA", "Ed25519"})
GRANTS = parse_grant_rules('[{"claim": "groups", "value": "data", "role": "viewer", "project": "etl"}]')


@pytest.fixture
def fake() -> Iterator[FakeProvider]:
    """A provider on loopback."""
    with FakeProvider().serving() as one:
        yield one


@asynccontextmanager
async def provider(
    fake: FakeProvider, grants: tuple[GrantRule, ...] = GRANTS, **more: Any
) -> AsyncIterator[Provider]:
    """A `Provider` that trusts the fake one."""
    rules = jwt.TokenRules(
        **{"issuer": fake.url, "audience": AUDIENCE, "algorithms": ALGORITHMS, "leeway": 30, **more}
    )
    one = Provider(rules, grants)
    async with asyncio.timeout(SECONDS), one.running():
        yield one


async def refusal(one: Provider, token: str, status: int = 401) -> str:
    """The message of the refusal, which repeats nothing of the token."""
    with pytest.raises(RequestRefused) as caught:
        await one.caller_of(token)
    assert caught.value.status == status
    message = str(caught.value)
    for part in (token, *token.split(".")):
        assert len(part) < 8 or part not in message
    return message


def fetches(fake: FakeProvider) -> int:
    return fake.requests.count("/keys")


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256", "Ed25519"])
async def test_a_token_signed_by_the_provider_identifies_the_caller(
    fake: FakeProvider, algorithm: str
) -> None:
    fake.rotate(algorithm)
    token = fake.token(groups=["data"], email="one@example.com", aud=["other", AUDIENCE])
    async with provider(fake) as one:
        caller = await one.caller_of(token)
    assert caller == Caller(
        Identity(IdentityKind.USER, "user-1", "User One", "one@example.com"),
        caller.access,
        "user:user-1",
        expires_at=caller.expires_at,
    )
    assert caller.access.grants == {Grant(Role.VIEWER, "etl")}
    assert caller.expires_at == pytest.approx(time.time() + 330, abs=SECONDS)


async def test_the_older_name_of_ed25519_is_accepted(fake: FakeProvider) -> None:
    fake.keys = [jwk.OKPKey.generate_key("Ed25519", {"kid": "old", "alg": "EdDSA"})]
    async with provider(fake) as one:
        assert (await one.caller_of(fake.token())).identity.subject == "user-1"


async def test_a_token_without_a_key_id_needs_a_single_key(fake: FakeProvider) -> None:
    token = signed(fake.keys[0], fake.claims(AUDIENCE), kid=None)
    async with provider(fake) as one:
        assert (await one.caller_of(token)).identity.subject == "user-1"
    fake.keys.append(new_key())
    async with provider(fake) as one:
        assert "a key that the provider does not publish" in await refusal(one, token)


async def test_a_signature_by_another_key_is_refused(fake: FakeProvider) -> None:
    forged = signed(new_key(), fake.claims(AUDIENCE, groups=["data"]), kid=fake.keys[0].kid)
    async with provider(fake) as one:
        assert "wrong signature" in await refusal(one, forged)
        head, body, signature = fake.token().split(".")
        changed = encoded(json.dumps(fake.claims(AUDIENCE, sub="root")).encode())
        assert "wrong signature" in await refusal(one, f"{head}.{changed}.{signature}")
        assert "wrong signature" in await refusal(one, f"{head}.{body}.{encoded(b'short')}")


async def test_an_unsigned_token_is_refused(fake: FakeProvider) -> None:
    claims = fake.claims(AUDIENCE)
    async with provider(fake) as one:
        for name in ("none", "None", "NONE", "nOnE"):
            assert "not allowed" in await refusal(one, crafted(claims, alg=name, kid=fake.keys[0].kid))
        # The form of an unsigned token: nothing after the last dot.
        assert "not a signed JWT" in await refusal(one, crafted(claims, b"", alg="none"))


async def test_a_public_key_cannot_be_used_as_an_hmac_secret(fake: FakeProvider) -> None:
    fake.rotate("RS256")
    (key,) = fake.keys
    async with provider(fake) as one:
        assert isinstance(key, jwk.RSAKey)
        for secret in (
            key.as_pem(private=False),
            key.as_der(private=False),
            str(key.as_dict(private=False)).encode(),
        ):
            unsigned = crafted(fake.claims(AUDIENCE), b"", alg="HS256", kid=key.kid)
            digest = hmac.digest(secret, unsigned[:-1].encode(), hashlib.sha256)
            assert "not allowed" in await refusal(one, unsigned + encoded(digest))


async def test_an_algorithm_that_is_not_allowed_is_refused(fake: FakeProvider) -> None:
    async with provider(fake, algorithms={"RS256"}) as one:
        assert "not allowed" in await refusal(one, fake.token())


async def test_a_key_is_used_for_its_own_algorithm_only(fake: FakeProvider) -> None:
    fake.rotate("RS256")
    (key,) = fake.keys
    assert isinstance(key, jwk.RSAKey)
    other = jwk.RSAKey.import_key(key.private_key, {"kid": key.kid, "alg": "PS256"})  # type: ignore[arg-type]
    async with provider(fake) as one:
        token = signed(other, fake.claims(AUDIENCE))
        assert "a key that the provider does not publish" in await refusal(one, token)


async def test_weak_keys_and_encryption_keys_are_not_used(fake: FakeProvider) -> None:
    with pytest.warns(SecurityWarning):
        weak = jwk.RSAKey.import_key(rsa.generate_private_key(65537, 1024), {"kid": "weak", "alg": "RS256"})
    for_encryption = jwk.ECKey.generate_key("P-256", {"kid": "enc", "alg": "ES256", "use": "enc"})
    fine = fake.keys[0]
    entries = [
        {"kty": "oct", "k": encoded(b"secret" * 8), "kid": "secret"},
        {"kty": "RSA", "kid": "broken", "n": 1, "e": []},
        {"kty": "LATTICE", "kid": "later"},
        "not a key",
        *(key.as_dict(private=False) for key in (weak, for_encryption, fine)),
    ]
    fake.answers["/keys"] = JSONResponse({"keys": entries})
    async with provider(fake) as one:
        assert (await one.caller_of(fake.token())).identity.subject == "user-1"
        for key in (weak, for_encryption):
            token = signed(key, fake.claims(AUDIENCE))
            assert "a key that the provider does not publish" in await refusal(one, token)


@pytest.mark.parametrize(
    "header",
    [
        {"jwk": True},
        {"jku": "{url}/keys"},
        {"x5u": "{url}/keys"},
        {"jwk": True, "jku": "{url}/keys", "kid": None},
    ],
)
async def test_keys_inside_a_token_are_ignored(fake: FakeProvider, header: dict[str, Any]) -> None:
    with FakeProvider().serving() as attacker:
        (key,) = attacker.keys
        forged_header = {
            k: v.format(url=attacker.url) if isinstance(v, str) else v for k, v in header.items()
        }
        if "jwk" in forged_header:
            forged_header["jwk"] = key.as_dict(private=False)
        fake.keys.append(new_key())
        forged = signed(key, fake.claims(AUDIENCE), **forged_header)
        async with provider(fake) as one:
            assert "a key that the provider does not publish" in await refusal(one, forged)
        assert attacker.requests == []


async def test_many_unknown_key_ids_cause_one_read_of_the_keys(fake: FakeProvider, clock: Clock) -> None:
    strangers = [signed(new_key(), fake.claims(AUDIENCE)) for _ in range(20)]
    async with provider(fake) as one:
        await one.caller_of(fake.token())
        before = fetches(fake)
        # The keys were read just now, so they are not read again.
        await asyncio.gather(*(refusal(one, token) for token in strangers))
        assert fetches(fake) == before == 1
        clock.forward(oidc.MIN_REFRESH_INTERVAL)
        await asyncio.gather(*(refusal(one, token) for token in strangers))
        assert fetches(fake) == before + 1


async def test_tokens_with_invalid_claims_cause_no_read_of_the_keys(
    fake: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oidc, "MIN_REFRESH_INTERVAL", 0)
    async with provider(fake) as one:
        await one.caller_of(fake.token())
        await refusal(one, signed(new_key(), fake.claims(AUDIENCE, exp=1)))
        await refusal(one, signed(new_key(), fake.claims("other")))
        assert fetches(fake) == 1


async def test_a_new_key_is_used_at_once_and_the_old_one_is_not(
    fake: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oidc, "MIN_REFRESH_INTERVAL", 0)
    async with provider(fake) as one:
        old, unused = fake.token(), fake.token(jti="unused")
        await one.caller_of(old)
        fake.rotate()
        assert (await one.caller_of(fake.token())).identity.subject == "user-1"
        # Also the one that was verified with it a moment ago.
        for token in (old, unused):
            assert "a key that the provider does not publish" in await refusal(one, token)


async def test_a_withdrawn_key_is_refused_after_the_next_refresh(
    fake: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oidc, "MIN_REFRESH_INTERVAL", 0)
    monkeypatch.setattr(oidc, "CACHE_SECONDS", 0)
    async with provider(fake) as one:
        token = fake.token()
        await one.caller_of(token)
        fake.rotate()
        monkeypatch.setattr(oidc, "REFRESH_INTERVAL", 0)
        # The read is in the background, and callers do not wait for it.
        async with asyncio.timeout(SECONDS):
            while True:
                try:
                    await one.caller_of(token)
                except RequestRefused:
                    break
                await asyncio.sleep(0.01)


async def test_known_keys_stay_valid_while_the_provider_is_unavailable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(oidc, "MIN_REFRESH_INTERVAL", 0)
    monkeypatch.setattr(oidc, "REFRESH_INTERVAL", 0)
    fake = FakeProvider()
    with fake.serving():
        running = provider(fake)
        one = await running.__aenter__()
        await one.caller_of(fake.token())
    for number in range(3):
        assert (await one.caller_of(fake.token(jti=str(number)))).identity.subject == "user-1"
    stranger = signed(new_key(), fake.claims(AUDIENCE))
    assert "a key that the provider does not publish" in await refusal(one, stranger)
    await running.__aexit__(None, None, None)


async def test_a_provider_that_is_unavailable_at_start_is_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oidc, "MIN_RETRY_INTERVAL", 0)
    fake, port = FakeProvider(), free_port()
    fake.url = f"http://127.0.0.1:{port}"
    async with provider(fake) as one:
        assert "cannot connect" in await refusal(one, fake.token(), 503)
        with fake.serving(port):
            assert (await one.caller_of(fake.token())).identity.subject == "user-1"


@pytest.mark.parametrize(
    ("path", "answer", "words"),
    [
        ("/keys", Response(status_code=500), "status 500"),
        ("/keys", Response("no"), "not a JSON object"),
        ("/keys", JSONResponse([]), "not a JSON object"),
        ("/keys", JSONResponse({"keys": []}), "no usable key"),
        ("/keys", JSONResponse({"keys": {"kty": "EC"}}), "no usable key"),
        ("/keys", RedirectResponse("/elsewhere"), "status 307"),
        ("/keys", Response(b" " * 600_000), "larger than"),
        ("/.well-known/openid-configuration", RedirectResponse("/elsewhere"), "status 307"),
        (
            "/.well-known/openid-configuration",
            JSONResponse({"issuer": "https://x.example.com"}),
            "`issuer` is not",
        ),
    ],
)
async def test_an_unusable_response_of_the_provider_is_a_503(
    fake: FakeProvider, path: str, answer: Response, words: str
) -> None:
    fake.answers[path] = answer
    async with provider(fake) as one:
        assert words in await refusal(one, fake.token(), 503)
    assert "/elsewhere" not in fake.requests


@pytest.mark.parametrize(
    "endpoints",
    [
        {"jwks_uri": None},
        {"jwks_uri": "http://keys.example.com/keys"},
        {"jwks_uri": 1},
        {"token_endpoint": "http://login.example.com/token"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"end_session_endpoint": "//example.com"},
    ],
)
async def test_unsafe_endpoint_urls_are_refused(fake: FakeProvider, endpoints: dict[str, Any]) -> None:
    fake.discovery = endpoints
    async with provider(fake) as one:
        await refusal(one, fake.token(), 503)
    assert fetches(fake) == 0


async def test_a_slow_provider_delays_only_tokens_with_unknown_keys(
    fake: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oidc, "MIN_REFRESH_INTERVAL", 0)
    async with provider(fake) as one:
        await one.caller_of(fake.token())
        monkeypatch.setattr(oidc, "RESPONSE_TIMEOUT", SECONDS)
        fake.responding.clear()
        request_count = len(fake.requests)
        stranger = asyncio.create_task(refusal(one, signed(new_key(), fake.claims(AUDIENCE))))
        while len(fake.requests) == request_count:  # noqa: ASYNC110 - it is in another thread
            await asyncio.sleep(0.01)
        # Tokens with known keys are accepted meanwhile.
        for number in range(5):
            await one.caller_of(fake.token(jti=str(number)))
        assert not stranger.done()
        fake.responding.set()
        await stranger


async def test_a_silent_provider_times_out(fake: FakeProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oidc, "RESPONSE_TIMEOUT", 0.2)
    fake.responding.clear()
    async with provider(fake) as one:
        assert "no response within 0.2 s" in await refusal(one, fake.token(), 503)


async def test_a_cached_token_expires(fake: FakeProvider, clock: Clock) -> None:
    token = fake.token(exp=clock.time() + HOUR)
    async with provider(fake, leeway=0) as one:
        assert await one.caller_of(token) is await one.caller_of(token)
        clock.forward(oidc.CACHE_SECONDS - 1)
        assert await one.caller_of(token) is await one.caller_of(token)
        clock.forward(HOUR)
        assert "is expired" in await refusal(one, token)


async def test_the_cache_of_tokens_is_bounded(fake: FakeProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oidc, "MAX_CACHED", 3)
    async with provider(fake) as one:
        tokens = [fake.token(jti=str(number)) for number in range(10)]
        callers = [await one.caller_of(token) for token in tokens]
        assert [await one.caller_of(token) for token in tokens[-3:]] == callers[-3:]
        assert await one.caller_of(tokens[-1]) is callers[-1]
        assert await one.caller_of(tokens[0]) is not callers[0]


async def test_a_token_is_not_cached_beyond_its_expiry(clock: Clock) -> None:
    with FakeProvider().serving() as fake:
        rules = jwt.TokenRules(fake.url, AUDIENCE, {"ES256"}, leeway=0)
        token = fake.token(exp=clock.time() + oidc.CACHE_SECONDS / 2)
        async with asyncio.timeout(SECONDS), (one := Provider(rules, ())).running():
            assert await one.caller_of(token) is await one.caller_of(token)
            clock.forward(oidc.CACHE_SECONDS * 0.75)
            with pytest.raises(RequestRefused, match="is expired"):
                await one.caller_of(token)


def test_shared_secrets_among_the_provider_s_keys_are_skipped() -> None:
    named = new_key()
    secret = jwk.OctKey.generate_key(256, {"kid": "s", "alg": "HS256"})
    entries = [secret.as_dict(), named.as_dict(private=False)]
    assert [key.kid for key in oidc.parse_keys({"keys": entries})] == [named.kid]
    with pytest.raises(oidc.ProviderError):
        oidc.parse_keys({"keys": entries[:1]})
