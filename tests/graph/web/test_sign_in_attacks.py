"""Attacks on sign-in: forged attempts, other providers, external return URLs and cookies."""

from collections.abc import Iterator
from urllib.parse import quote, unquote, urljoin

import httpx2
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from graph.auth.cookies import cookies_for
from graph.web.code_flow import SignInAttempt
from repo import FULL_ACCESS, CredentialKind, Identity, IdentityKind
from tests.support.provider import FakeProvider, query_of
from tests.support.signing_in import (
    HERE,
    browser_for,
    cookies_in,
    oidc_settings,
    provider_redirect,
    running,
    sign_in,
    viewer,
)

EVIL = "https://evil.example.com"


@pytest.fixture
def fake() -> Iterator[FakeProvider]:
    """A provider on loopback."""
    with FakeProvider().serving() as one:
        yield one


# At the provider


async def test_an_attempt_without_a_secret_is_refused(database_url: str, fake: FakeProvider) -> None:
    """Without a cookie there is no secret, and the state that comes of none is no secret either."""
    nobodys = SignInAttempt("", "")
    async with running(database_url, **oidc_settings(fake)) as app, browser_for(app) as attacker:
        led = (await attacker.get("/login")).headers["location"]
        query = query_of(led)
        for name, value in (
            ("state", nobodys.state),
            ("nonce", nobodys.nonce),
            ("code_challenge", nobodys.challenge),
        ):
            led = led.replace(quote(query[name]), quote(value))
        address = await provider_redirect(led)
        async with browser_for(app) as victim:
            assert (await victim.get(address)).status_code == 400
            assert fake.forms == []
            assert await viewer(victim) == "UNAUTHENTICATED"


@pytest.mark.parametrize(
    ("says_so", "named", "status"),
    [
        (False, None, 303),
        (False, "itself", 303),
        (False, EVIL, 502),
        (True, "itself", 303),
        (True, None, 502),
        (True, "", 502),
        (True, EVIL, 502),
    ],
)
async def test_a_callback_from_another_provider_is_refused(
    database_url: str, fake: FakeProvider, says_so: bool, named: str | None, status: int
) -> None:
    fake.discovery = {"authorization_response_iss_parameter_supported": says_so}
    async with running(database_url, **oidc_settings(fake)) as app, browser_for(app) as browser:
        address = await provider_redirect((await browser.get("/login")).headers["location"])
        address = address.replace(f"&iss={quote(fake.url, safe='')}", "")
        if named is not None:
            address += f"&iss={quote(fake.url if named == 'itself' else named, safe='')}"
        assert (await browser.get(address)).status_code == status
        assert len(fake.forms) == (status == 303), "a code is shown to nobody else"


async def test_external_return_urls_are_not_stored(database_url: str, fake: FakeProvider) -> None:
    async with running(database_url, **oidc_settings(fake)) as app, browser_for(app) as browser:
        led = await browser.get(f"/login?return_to={quote(EVIL, safe='')}")
        (cookie,) = cookies_in(led).values()
        assert "evil" not in unquote(cookie.value)


async def test_cookies_of_the_provider_are_ignored(database_url: str, fake: FakeProvider) -> None:
    sent_cookies: list[str | None] = []
    redeem = fake.redeem

    async def noting(request: Request) -> Response:
        sent_cookies.append(request.headers.get("cookie"))
        response = await redeem(request)
        response.set_cookie("whose", "user-1")
        return response

    fake.redeem = noting  # type: ignore[method-assign]
    with fake.serving() as again:
        async with running(database_url, **oidc_settings(again)) as app:
            for _ in range(2):
                async with browser_for(app) as browser:
                    assert (await sign_in(browser)).status_code == 303
    assert sent_cookies == [None, None]


# By a token


async def test_sign_in_by_token_redirects_to_this_server_only(database_url: str) -> None:
    async with running(database_url, auth="token", allowed_hosts="*") as app, browser_for(app) as browser:
        _, secret = await app.state.repository.credentials.create(
            CredentialKind.TOKEN, "robot", Identity(IdentityKind.APPLICATION, "robot"), FULL_ACCESS
        )
        for wanted in (EVIL, "//evil.example.com", "/\\evil.example.com", "../x"):
            back = await browser.post("/login", data={"token": secret, "return_to": wanted})
            assert back.status_code == 303
            assert urljoin(str(back.url), back.headers["location"]) == f"{HERE}/"
            assert "evil" not in back.headers["location"]


async def test_a_token_of_the_provider_is_not_accepted_in_the_form(
    database_url: str, fake: FakeProvider
) -> None:
    settings = oidc_settings(fake, oidc_client_id="", public_url="", allowed_hosts="*")
    async with running(database_url, **settings) as app, browser_for(app) as browser:
        refused = await browser.post("/login", data={"token": fake.token(), "return_to": ""})
        assert refused.status_code == 401
        assert not browser.cookies


# Cookies


@pytest.mark.parametrize(
    ("public_url", "came_by", "secure"),
    [("", "http", False), ("", "https", True), (HERE, "http", True), (HERE, "https", True)],
)
def test_cookies_are_secure_where_https_is_used(public_url: str, came_by: str, secure: bool) -> None:
    """A proxy may not say how they came to it."""
    cookies = cookies_for(public_url, "")
    scope = {"type": "http", "scheme": came_by, "path": "/", "headers": [(b"host", b"localhost")]}
    response = httpx2.Response(200)
    answer = JSONResponse({})
    cookies.delete(Request(scope), answer, cookies.session)
    response.headers["set-cookie"] = answer.headers["set-cookie"]
    ((_, cookie),) = cookies_in(response).items()
    assert bool(cookie["secure"]) is secure
