"""What lets nobody in, where one condition alone keeps them out."""

import asyncio
import json
from typing import Any

import httpx2
import pytest
from joserfc import jwk
from starlette.requests import HTTPConnection

from graph.app import create_app
from graph.auth import jwt, oidc
from graph.auth.authentication import Authenticator
from graph.auth.caller import ANONYMOUS, Caller
from graph.auth.cookies import SESSION_COOKIE
from graph.auth.oidc import Provider
from graph.auth.origins import is_cross_origin
from graph.errors import RequestRefused
from graph.limits.rate_limits import Throttle
from graph.limits.trusted_documents import TrustedDocuments
from graph.settings import Settings
from graph.web.security import AllowedHosts
from repo import Access, ActionRepo, CredentialKind, Identity, IdentityKind
from tests.support.clock import HOUR, Clock
from tests.support.provider import (
    AUDIENCE,
    FakeProvider,
    crafted,
    encoded,
    new_key,
)
from tests.support.serving import serving
from tests.support.sockets import connected

SECONDS = 20
EVIL = "https://evil.example.com"
NOW = 1_800_000_000
RULES = jwt.TokenRules("https://login.example.com", AUDIENCE, {"RS256", "EdDSA"}, leeway=30)
CLAIMS = {"iss": RULES.issuer, "aud": AUDIENCE, "sub": "user-1", "exp": NOW + HOUR}


# Tokens of a provider


def read(**more: Any) -> jwt.Token:
    """The token with these claims and these parts of its header, its signature not looked at."""
    return jwt.parse(crafted({**CLAIMS, **more}), RULES, NOW)


def test_a_token_that_is_too_long_is_refused() -> None:
    assert read(more="x" * 5000).claims["sub"] == "user-1"
    with pytest.raises(RequestRefused, match="longer than 8192 characters"):
        read(more="x" * 8192)


def test_a_key_of_another_type_does_not_verify() -> None:
    token = jwt.parse(crafted(CLAIMS, alg="EdDSA"), RULES, NOW)
    with pytest.raises(RequestRefused, match="wrong signature"):
        jwt.verify(token, new_key("RS256"))


@pytest.mark.parametrize("number", ["1e999", "-1e999", "NaN", "Infinity", "9" * 400])
def test_times_that_are_not_finite_are_refused(number: str) -> None:
    with pytest.raises(RequestRefused, match="not a JSON object"):
        jwt.parse(crafted_with(number), RULES, NOW)


def crafted_with(number: str) -> str:
    """A token whose `exp` is this number as it stands."""
    body = crafted(CLAIMS).split(".")
    claims = json.dumps(CLAIMS).encode().replace(str(CLAIMS["exp"]).encode(), number.encode())
    return ".".join((body[0], encoded(claims), body[2]))


async def test_a_token_is_not_cached_beyond_its_expiry(clock: Clock) -> None:
    with FakeProvider().serving() as fake:
        rules = jwt.TokenRules(fake.url, AUDIENCE, {"ES256"}, leeway=0)
        token = fake.token(exp=clock.time() + oidc.CACHE_SECONDS / 2)
        async with asyncio.timeout(SECONDS), (one := Provider(rules, ())).running():
            assert await one.caller_of(token) is await one.caller_of(token)
            clock.forward(oidc.CACHE_SECONDS * 0.75)
            with pytest.raises(RequestRefused, match="is expired"):
                await one.caller_of(token)


# The authenticator


async def secret_of(
    repository: ActionRepo, kind: CredentialKind = CredentialKind.TOKEN, subject: str = "user-1"
) -> str:
    """What somebody may show."""
    who = Identity(IdentityKind.USER, subject)
    _, secret = await repository.create_credential(kind, "a token", who, Access(frozenset()), None)
    return secret


def connection(method: str = "POST", **headers: str) -> HTTPConnection:
    """A request with these headers."""
    named = {"host": "localhost", **{name.replace("_", "-"): value for name, value in headers.items()}}
    pairs = [(name.encode(), value.encode()) for name, value in named.items()]
    return HTTPConnection({"type": "http", "method": method, "path": "/graphql", "headers": pairs})


@pytest.mark.parametrize("scheme", ["Basic", "Token", "Bearer2", ""])
async def test_only_the_bearer_scheme_is_accepted(repository: ActionRepo, scheme: str) -> None:
    authenticator, secret = Authenticator(repository), await secret_of(repository)
    assert (
        await authenticator.authenticate(connection(authorization=f"Bearer {secret}"))
    ).identity.subject == "user-1"
    with pytest.raises(RequestRefused):
        await authenticator.authenticate(connection(authorization=f"{scheme} {secret}".strip()))


async def test_a_cross_origin_get_may_use_the_cookie_but_not_a_post(repository: ActionRepo) -> None:
    """A GET changes nothing, and the page that led here reads no answer."""
    authenticator, cookie = Authenticator(repository), f"{SESSION_COOKIE}={await secret_of(repository)}"
    from_there = {"sec_fetch_site": "cross-site", "origin": EVIL, "cookie": cookie}
    assert (await authenticator.authenticate(connection("GET", **from_there))).identity.subject == "user-1"
    with pytest.raises(RequestRefused) as refused:
        await authenticator.authenticate(connection("POST", **from_there))
    assert refused.value.status == 403


async def test_tokens_that_merely_resemble_api_tokens_are_verified_as_jwts(
    repository: ActionRepo,
) -> None:
    asked = []

    async def jwt(token: str) -> Caller:
        asked.append(token)
        return ANONYMOUS

    authenticator, secret = Authenticator(repository, verify_jwt=jwt), await secret_of(repository)
    for shown in (f"{secret}.x.y", f"x{secret}"):
        assert await authenticator.authenticate(connection(authorization=f"Bearer {shown}")) is ANONYMOUS
        assert asked[-1] == shown
    assert (
        await authenticator.authenticate(connection(authorization=f"Bearer {secret}"))
    ).identity.subject == "user-1"


async def test_cookies_of_similar_names_are_ignored(repository: ActionRepo) -> None:
    authenticator, secret = Authenticator(repository), await secret_of(repository)
    for others in (f"{SESSION_COOKIE}-sign-in-x", f"{SESSION_COOKIE}2", f"x{SESSION_COOKIE}"):
        with pytest.raises(RequestRefused):
            await authenticator.authenticate(connection(cookie=f"{others}={secret}"))
        for both in (f"{others}=x; {SESSION_COOKIE}={secret}", f"{SESSION_COOKIE}={secret}; {others}=x"):
            assert (await authenticator.authenticate(connection(cookie=both))).identity.subject == "user-1"


async def test_a_slightly_changed_token_is_not_found_in_the_cache(
    repository: ActionRepo,
) -> None:
    authenticator, secret = Authenticator(repository), await secret_of(repository)
    assert (
        await authenticator.authenticate(connection(authorization=f"Bearer {secret}"))
    ).identity.subject == "user-1"
    for place in (3, 20, len(secret) - 1):
        other = "B" if secret[place] == "A" else "A"
        shown = f"Bearer {secret[:place]}{other}{secret[place + 1 :]}"
        with pytest.raises(RequestRefused):
            await authenticator.authenticate(connection(authorization=shown))


async def test_sessions_of_a_person_share_a_key_and_tokens_do_not(
    repository: ActionRepo,
) -> None:
    keys: dict[CredentialKind, list[str]] = {}
    authenticator = Authenticator(repository)
    for kind in CredentialKind:
        for subject in ("user-1", "user-1", "user-2"):
            secret = await secret_of(repository, kind, subject)
            found = await authenticator.authenticate(connection(authorization=f"Bearer {secret}"))
            keys.setdefault(kind, []).append(found.key)
    first, again, other = keys[CredentialKind.SESSION]
    assert first == again != other
    assert len({*keys[CredentialKind.TOKEN], first, other}) == 5


async def test_a_second_connection_init_leaves_no_session_open(
    database_url: str, repository: ActionRepo
) -> None:
    secret = await secret_of(repository)
    app = create_app(Settings(database_url=database_url, auth="token"))
    with serving(app) as address:
        shown: dict[str, object] = {"authorization": f"Bearer {secret}"}
        async with connected(f"{address}/graphql", shown) as socket:
            await socket.send({"type": "connection_init", "payload": shown})
            assert await socket.close_code() == 4429
        async with asyncio.timeout(SECONDS):
            while app.state.authenticator.session_count:  # noqa: ASYNC110 - it is another thread's
                await asyncio.sleep(0.05)


# Addresses


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


# Pages of other sites


@pytest.mark.parametrize(
    ("headers", "is_one"),
    [
        ({}, False),
        ({"sec_fetch_site": "none"}, False),
        ({"sec_fetch_site": "none", "origin": EVIL}, False),
        ({"sec_fetch_site": "same-origin"}, False),
        ({"sec_fetch_site": "same-site"}, True),
        ({"sec_fetch_site": "cross-site"}, True),
        ({"origin": "http://localhost"}, False),
        ({"origin": "http://localhost:1"}, True),
        ({"origin": EVIL}, True),
        ({"origin": "null"}, True),
    ],
)
def test_cross_origin_requests_are_recognized(headers: dict[str, str], is_one: bool) -> None:
    assert is_cross_origin(connection(**headers)) is is_one


@pytest.mark.parametrize(
    ("hosts", "answers"),
    [
        ([b"localhost"], True),
        ([b"LOCALHOST.:80"], True),
        ([b"evil.example.com"], False),
        ([b"localhost", b"evil.example.com"], False),
        ([b"evil.example.com", b"localhost"], False),
        ([b""], False),
        ([], False),
    ],
)
def test_every_host_header_has_to_be_allowed(hosts: list[bytes], answers: bool) -> None:
    scope = {"headers": [(b"host", host) for host in hosts]}
    assert AllowedHosts(["localhost"]).allow(scope) is answers


@pytest.mark.parametrize("path", ["/livez/x", "/livezx", "/readyz/../graphql", "/graphql"])
async def test_only_probes_themselves_are_served_for_any_host(database_url: str, path: str) -> None:
    app = create_app(Settings(database_url=database_url))
    transport = httpx2.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url=EVIL) as client,
    ):
        assert (await client.get("/livez")).status_code == 200
        assert (await client.request("GET", path)).status_code == 421


# Documents


def test_only_added_typenames_are_ignored_in_trusted_documents() -> None:
    documents = TrustedDocuments({"x": "{ runs { totalCount } }"}, max_tokens=20)
    documents.resolve({"query": "{ runs { __typename totalCount } }"})
    for other in (
        "{ runs { __typename @skip(if: true) totalCount } }",
        "{ runs { other: __typename totalCount } }",
        "{ runs { totalCount " + "__typename " * 20 + "} }",
    ):
        with pytest.raises(RequestRefused) as refused:
            documents.resolve({"query": other})
        assert refused.value.code == "QUERY_NOT_IN_SAFELIST"


def test_shared_secrets_among_the_provider_s_keys_are_skipped() -> None:
    named = new_key()
    secret = jwk.OctKey.generate_key(256, {"kid": "s", "alg": "HS256"})
    entries = [secret.as_dict(), named.as_dict(private=False)]
    assert [key.kid for key in oidc.parse_keys({"keys": entries})] == [named.kid]
    with pytest.raises(oidc.ProviderError):
        oidc.parse_keys({"keys": entries[:1]})
