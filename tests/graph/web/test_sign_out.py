"""Sign-in by API token, sign-out, and redirects to sign-in."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urljoin

import httpx2
import pytest
from starlette.applications import Starlette

from graph.app import create_app
from graph.settings import Settings
from repo import FULL_ACCESS, Credential, CredentialKind, Identity, IdentityKind
from tests.support.clock import HOUR, Clock
from tests.support.ports import free_port
from tests.support.provider import FakeProvider
from tests.support.serving import serving
from tests.support.signing_in import (
    HERE,
    browser_for,
    cookies_in,
    is_static_page,
    oidc_settings,
    running,
    sign_in,
    viewer,
)
from tests.support.sockets import opened

ROBOT = Identity(IdentityKind.APPLICATION, "robot")
HTTP = "http://127.0.0.1"


@pytest.fixture
def fake() -> Iterator[FakeProvider]:
    """A provider on loopback."""
    with FakeProvider().serving() as one:
        yield one


@asynccontextmanager
async def by_token(database_url: str, **settings: Any) -> AsyncIterator[tuple[Starlette, Credential, str]]:
    """A server with authentication by token, a token and its secret."""
    async with running(database_url, auth="token", allowed_hosts="*", **settings) as app:
        token, secret = await app.state.repository.credentials.create(
            CredentialKind.TOKEN, "robot", ROBOT, FULL_ACCESS
        )
        yield app, token, secret


async def show(browser: httpx2.AsyncClient, token: str, **headers: str) -> httpx2.Response:
    return await browser.post("/login", data={"token": token, "return_to": "runs?a=b"}, headers=headers)


async def is_refused_soon(browser: httpx2.AsyncClient) -> None:
    """Wait until the credential is refused; callers are cached for a moment."""
    for _ in range(100):
        if await viewer(browser) == "UNAUTHENTICATED":
            return
        await asyncio.sleep(0.1)
    pytest.fail("it is still accepted")


async def test_an_api_token_signs_a_user_in(database_url: str) -> None:
    async with by_token(database_url) as (app, _, secret), browser_for(app, HTTP) as browser:
        led = await browser.get("/runs?a=b")
        assert (led.status_code, led.headers["location"]) == (303, "./login?return_to=runs%3Fa%3Db")
        form = await browser.get(led.headers["location"])
        assert (form.status_code, is_static_page(form)) == (200, True)
        assert 'name="return_to" value="runs?a=b"' in form.text
        assert "form-action 'self'" in form.headers["content-security-policy"]
        back = await show(browser, secret)
        assert (back.status_code, back.headers["location"]) == (303, "./runs?a=b")
        cookie = cookies_in(back)["rungraph"]
        assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "lax", "/")
        # Over http a cookie for https only would never come back.
        assert (cookie["secure"], cookie["domain"], cookie["max-age"]) == ("", "", "28800")
        assert (await viewer(browser))["subject"] == "robot"


async def test_a_cookie_set_over_https_is_secure(database_url: str) -> None:
    async with by_token(database_url) as (app, _, secret), browser_for(app, HERE) as browser:
        assert cookies_in(await show(browser, secret))["rungraph"]["secure"] is True
    async with by_token(database_url, public_url=HERE) as (app, _, secret), browser_for(app) as browser:
        assert cookies_in(await show(browser, secret))["__Host-rungraph"]["secure"] is True


async def test_below_a_base_path_the_session_cookie_is_limited_to_it(database_url: str) -> None:
    below = "/team/rungraph"
    async with by_token(database_url, base_path=below) as (app, _, secret), browser_for(app, HTTP) as browser:
        led = await browser.get(f"{below}/runs/a/b/c")
        login = urljoin(str(led.url), led.headers["location"])
        assert login == f"{HTTP}{below}/login?return_to=runs%2Fa%2Fb%2Fc"
        back = await browser.post(f"{below}/login", data={"token": secret, "return_to": "runs/a/b/c"})
        assert urljoin(str(back.url), back.headers["location"]) == f"{HTTP}{below}/runs/a/b/c"
        assert cookies_in(back)["rungraph"]["path"] == below
        assert (await viewer(browser, f"{below}/graphql"))["subject"] == "robot"


@pytest.mark.parametrize(
    "token", ["", " ", "wrong", "rg_" + "a" * 43, "a" * 5000, "a\r\nb", "é", '"><script>']
)
async def test_an_invalid_token_shows_the_form_again(database_url: str, token: str) -> None:
    async with by_token(database_url) as (app, _, _), browser_for(app, HTTP) as browser:
        again = await show(browser, token)
        assert (again.status_code, is_static_page(again)) == (401, True)
        # A screen reader says what is wrong with the field.
        assert 'aria-describedby="error"' in again.text
        assert 'id="error" role="alert"' in again.text
        assert not token.strip() or token not in again.text
        assert 'value="runs?a=b"' in again.text
        assert not browser.cookies


async def test_a_revoked_token_signs_the_browser_out(database_url: str) -> None:
    async with by_token(database_url) as (app, token, secret), browser_for(app, HTTP) as browser:
        await show(browser, secret)
        await app.state.repository.credentials.revoke(token.id)
        await is_refused_soon(browser)
        assert (await browser.get("/runs")).status_code == 303


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://evil.example.com"},
        {"origin": "null"},
        {"origin": f"{HERE}.evil.example.com"},
        {"origin": HERE, "sec-fetch-site": "cross-site"},
    ],
)
async def test_cross_origin_forms_cannot_sign_in_or_out(database_url: str, headers: dict[str, str]) -> None:
    async with by_token(database_url) as (app, _, secret), browser_for(app) as browser:
        refused = await show(browser, secret, **headers)
        assert (refused.status_code, is_static_page(refused)) == (403, True)
        assert not browser.cookies
        await show(browser, secret)
        assert (await browser.post("/logout", headers=headers)).status_code == 403
        assert (await viewer(browser))["subject"] == "robot"


@pytest.mark.parametrize("headers", [{"origin": HERE}, {"sec-fetch-site": "same-origin"}, {}])
async def test_same_origin_forms_can_sign_in(database_url: str, headers: dict[str, str]) -> None:
    async with by_token(database_url) as (app, _, secret), browser_for(app) as browser:
        assert (await show(browser, secret, **headers)).status_code == 303


@pytest.mark.parametrize(
    "body", [b"token=" + b"a" * 20_000, b"\xff\xfe", b"&".join([b"a=b"] * 50), b'{"token": "x"}', b""]
)
async def test_malformed_forms_are_refused(database_url: str, body: bytes) -> None:
    async with by_token(database_url) as (app, _, _), browser_for(app, HTTP) as browser:
        assert (await browser.post("/login", content=body)).status_code in (401, 403)


async def test_links_cannot_sign_in_or_out(database_url: str) -> None:
    async with by_token(database_url) as (app, _, secret), browser_for(app, HTTP) as browser:
        await show(browser, secret)
        signed_out = await browser.get("/logout")
        assert (signed_out.status_code, cookies_in(signed_out)) == (200, {})
        await browser.get(f"/login?token={secret}")
        assert (await viewer(browser))["subject"] == "robot"


async def test_signing_out_does_not_revoke_an_api_token(database_url: str) -> None:
    async with (
        by_token(database_url) as (app, _, secret),
        browser_for(app, HTTP) as browser,
        browser_for(app, HTTP) as other,
    ):
        await show(browser, secret)
        await show(other, secret)
        out = await browser.post("/logout")
        assert (out.status_code, out.headers["location"]) == (303, "./logout")
        assert not browser.cookies
        assert await viewer(browser) == "UNAUTHENTICATED"
        assert (await viewer(other))["subject"] == "robot"
        assert await app.state.repository.credentials.find(secret) is not None
        assert is_static_page(await browser.get("/logout"))


async def test_signing_out_revokes_the_session(database_url: str, fake: FakeProvider) -> None:
    fake.discovery = {"end_session_endpoint": f"{fake.url}/end?a=b"}
    async with running(database_url, **oidc_settings(fake)) as app, browser_for(app) as browser:
        back = await sign_in(browser)
        session = cookies_in(back)["__Host-rungraph"].value
        out = await browser.post("/logout", headers={"origin": HERE})
        assert out.status_code == 303
        assert await app.state.repository.credentials.find(session) is None
        page = await browser.get("/logout")
        assert f'href="{fake.url}/end?a=b&amp;client_id=rungraph-page"' in page.text
        # A copy of the cookie is refused too.
        async with browser_for(app) as thief:
            thief.cookies.set("__Host-rungraph", session)
            await is_refused_soon(thief)
        assert (await browser.post("/logout")).status_code == 303


async def test_signing_out_ends_open_streams(database_url: str, fake: FakeProvider) -> None:
    port = free_port()
    here = f"http://127.0.0.1:{port}"
    settings = Settings.model_validate(
        {"database_url": database_url, **oidc_settings(fake, public_url=here, oidc_client_secret=fake.secret)}
    )
    with serving(create_app(settings), port):
        async with httpx2.AsyncClient(base_url=here) as browser:
            await sign_in(browser)
            cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
            async with opened(f"{here}/graphql", origin=here, headers={"Cookie": cookie}) as socket:
                await socket.send({"type": "connection_init"})
                assert (await socket.next())["type"] == "connection_ack"
                await socket.subscribe("1", "subscription { runs { kind } }")
                assert (await socket.data("1"))["kind"] == "SYNCED"
                assert (await browser.post("/logout")).status_code == 303
                assert await socket.close_code_at_the_end() == 4403


async def test_an_expired_token_of_the_provider_ends_open_streams(
    database_url: str, fake: FakeProvider, clock: Clock
) -> None:
    settings = {"database_url": database_url, **oidc_settings(fake, oidc_leeway=0)}
    with serving(create_app(Settings.model_validate(settings))) as here:
        async with opened(f"{here}/graphql") as socket:
            token = fake.token(exp=clock.time() + HOUR)
            await socket.send({"type": "connection_init", "payload": {"authorization": f"Bearer {token}"}})
            assert (await socket.next())["type"] == "connection_ack"
            await socket.subscribe("1", "subscription { runs { kind } }")
            assert (await socket.data("1"))["kind"] == "SYNCED"
            clock.forward(HOUR)
            assert await socket.close_code_at_the_end() == 4403


async def test_a_websocket_is_authenticated_by_the_cookie_for_the_same_origin_only(database_url: str) -> None:
    async with by_token(database_url) as (_, _, secret):
        pass
    settings = Settings(database_url=database_url, auth="token")
    with serving(create_app(settings)) as here:
        cookie = {"Cookie": f"rungraph={secret}"}
        async with opened(f"{here}/graphql", origin=here, headers=cookie) as socket:
            await socket.send({"type": "connection_init"})
            assert (await socket.next())["type"] == "connection_ack"
        with pytest.raises(Exception, match="403"):
            async with opened(f"{here}/graphql", origin="https://evil.example.com", headers=cookie):
                pass
        async with opened(f"{here}/graphql", origin=here) as socket:
            await socket.send({"type": "connection_init"})
            assert await socket.close_code() == 4403


@pytest.mark.parametrize("path", ["/", "/runs", "/runs/a/b/c", "/tasks", "/aborts", "/graphql"])
async def test_a_browser_is_redirected_to_sign_in(database_url: str, path: str) -> None:
    async with by_token(database_url) as (app, _, secret), browser_for(app, HTTP) as browser:
        html = {"accept": "text/html"}
        led = await browser.get(path, headers=html)
        assert led.status_code == 303
        assert led.headers["cache-control"] == "no-store"
        assert urljoin(str(led.url), led.headers["location"]).startswith(f"{HTTP}/login?return_to=")
        # Also with an invalid cookie.
        browser.cookies.set("rungraph", "rgs_" + "a" * 43)
        assert (await browser.get(path, headers=html)).status_code == 303
        browser.cookies.clear()
        await show(browser, secret)
        assert (await browser.get(path, headers=html)).status_code in (200, 503)  # 503: nobody built it


async def test_a_program_gets_a_401_and_no_redirect(database_url: str) -> None:
    async with by_token(database_url) as (app, _, _), browser_for(app, HTTP) as program:
        answer = await program.get("/graphql?query={runs{totalCount}}")
        assert answer.status_code == 401
        assert answer.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


async def test_the_stylesheet_of_the_sign_in_page_is_served(database_url: str) -> None:
    async with by_token(database_url) as (app, _, _), browser_for(app, HTTP) as browser:
        style = await browser.get("/login/style.css")
        assert (style.status_code, style.headers["content-type"]) == (200, "text/css; charset=utf-8")


async def test_without_a_client_id_users_sign_in_by_token(database_url: str, fake: FakeProvider) -> None:
    settings = oidc_settings(fake, oidc_client_id="", public_url="")
    async with running(database_url, **settings) as app, browser_for(app, HTTP) as browser:
        assert "API token" in (await browser.get("/login")).text
        assert (await browser.get("/login/callback")).status_code == 404
        bearer = {"authorization": f"Bearer {fake.token()}"}
        answer = await browser.post(
            "/graphql", json={"query": "{ viewer { identity { subject } } }"}, headers=bearer
        )
        assert answer.json() == {"data": {"viewer": {"identity": {"subject": "user-1"}}}}


async def test_without_authentication_there_is_no_sign_in(database_url: str) -> None:
    async with running(database_url) as app, browser_for(app, HTTP) as browser:
        for path in ("/login", "/logout", "/login/callback", "/login/style.css"):
            assert (await browser.get(path)).status_code == 404
        assert (await browser.get("/runs")).status_code in (200, 503)
