"""Sign-in at an OpenID provider: the authorization code flow, and attacks on it."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urljoin

import pytest
from starlette.responses import JSONResponse

from repo import Access, CredentialKind, Grant, Identity, IdentityKind, Role
from tests.support.provider import (
    AUDIENCE,
    CLIENT,
    SECRET,
    FakeProvider,
    new_key,
    query_of,
)
from tests.support.signing_in import (
    HERE,
    browser_for,
    cookies_in,
    is_static_page,
    oidc_settings,
    provider_redirect,
    running,
    sign_in,
    viewer,
)


@pytest.fixture
def fake() -> Iterator[FakeProvider]:
    """A provider on loopback, whose user is in the group `data`."""
    user = {"sub": "user-1", "name": "User One", "email": "one@example.com", "groups": ["data"]}
    with FakeProvider(user=user).serving() as one:
        yield one


async def test_sign_in_returns_to_the_requested_page(database_url: str, fake: FakeProvider) -> None:
    async with running(database_url, **oidc_settings(fake)) as app, browser_for(app) as browser:
        assert await viewer(browser) == "UNAUTHENTICATED"
        redirected = await browser.get("/runs/etl/production/a%2Fb?tab=x&y=%20")
        assert redirected.status_code == 303
        login = urljoin(str(redirected.url), redirected.headers["location"])
        assert login.startswith(f"{HERE}/login?return_to=")
        back = await sign_in(browser, login)
        assert back.status_code == 303
        assert urljoin(str(back.url), back.headers["location"]) == str(redirected.url)
        assert await viewer(browser) == {
            "kind": "USER",
            "subject": "user-1",
            "name": "User One",
            "email": "one@example.com",
        }
        assert (await browser.get("/runs")).status_code in (200, 503)  # where nobody built the page


async def test_the_provider_receives_only_the_parameters_of_the_flow(
    database_url: str, fake: FakeProvider
) -> None:
    async with running(database_url, **oidc_settings(fake)) as app, browser_for(app) as browser:
        led = await browser.get("/login?return_to=runs%2Fsecret")
        redirected = query_of(led.headers["location"])
        assert redirected.keys() == {
            *("response_type", "client_id", "redirect_uri", "scope", "state", "nonce"),
            *("code_challenge", "code_challenge_method"),
        }
        assert redirected["redirect_uri"] == f"{HERE}/login/callback"
        await browser.get(await provider_redirect(led.headers["location"]))
        (form,) = fake.forms
        assert form.keys() == {"grant_type", "code", "redirect_uri", "code_verifier"}
        verifier = form["code_verifier"]
        assert re.fullmatch(r"[\w-]{43,128}", verifier)
        assert verifier not in led.headers["location"]


async def test_cookies_are_http_only_secure_and_same_site(database_url: str, fake: FakeProvider) -> None:
    async with running(database_url, **oidc_settings(fake)) as app, browser_for(app) as browser:
        led = await browser.get("/login")
        ((name, pending),) = cookies_in(led).items()
        assert name.startswith("__Secure-rungraph-sign-in-")
        back = await browser.get(await provider_redirect(led.headers["location"]))
        session = cookies_in(back)["__Host-rungraph"]
        assert session.value.startswith("rgs_")
        for cookie, seconds in ((pending, 600), (session, 8 * 3600)):
            assert (cookie["httponly"], cookie["secure"], cookie["samesite"]) == (True, True, "lax")
            assert (cookie["path"], cookie["domain"], int(cookie["max-age"])) == ("/", "", seconds)
        # The attempt is over.
        assert cookies_in(back)[name]["max-age"] == "0"


async def test_below_a_base_path_cookies_are_limited_to_it(database_url: str, fake: FakeProvider) -> None:
    settings = oidc_settings(fake, public_url=f"{HERE}/team/rungraph", base_path="/team/rungraph")
    async with running(database_url, **settings) as app, browser_for(app) as browser:
        redirected = await browser.get("/team/rungraph/runs/a/b/c")
        login = urljoin(str(redirected.url), redirected.headers["location"])
        assert login == f"{HERE}/team/rungraph/login?return_to=runs%2Fa%2Fb%2Fc"
        back = await sign_in(browser, login)
        assert urljoin(str(back.url), back.headers["location"]) == str(redirected.url)
        session = cookies_in(back)["__Secure-rungraph"]
        assert (session["path"], session["secure"]) == ("/team/rungraph", True)
        assert (await viewer(browser, "/team/rungraph/graphql"))["subject"] == "user-1"


async def test_a_user_who_matches_no_rule_is_signed_in_without_access(
    database_url: str, fake: FakeProvider
) -> None:
    fake.user = {"sub": "user-2"}
    async with running(database_url, **oidc_settings(fake)) as app, browser_for(app) as browser:
        await sign_in(browser)
        assert (await viewer(browser))["subject"] == "user-2"
        task = '{project: "etl", domain: "production", name: "t", version: "1"}'
        id = '{project: "etl", domain: "production", runName: "r", name: "main"}'
        wanted = f"mutation {{ createAction(input: {{id: {id}, task: {task}}}) {{ action {{ name }} }} }}"
        answer = (await browser.post("/graphql", json={"query": wanted})).json()
        assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"


async def test_a_session_has_the_grants_of_the_claims(database_url: str, fake: FakeProvider) -> None:
    async with running(database_url, **oidc_settings(fake)) as app, browser_for(app) as browser:
        await sign_in(browser)
        (session,) = await app.state.repository.credentials.list_of_kind(CredentialKind.SESSION)
    assert session.access == Access(frozenset({Grant(Role.OPERATOR, "etl")}))
    assert session.identity == Identity(IdentityKind.USER, "user-1", "User One", "one@example.com")
    in_eight_hours = datetime.now(UTC) + timedelta(hours=8)
    assert abs(session.expires_at - in_eight_hours) < timedelta(minutes=1)


async def test_several_tabs_can_sign_in_concurrently(database_url: str, fake: FakeProvider) -> None:
    async with running(database_url, **oidc_settings(fake)) as app, browser_for(app) as browser:
        led = [await browser.get(f"/login?return_to=runs%2F{tab}") for tab in range(3)]
        for tab, one in reversed(list(enumerate(led))):
            back = await browser.get(await provider_redirect(one.headers["location"]))
            assert urljoin(str(back.url), back.headers["location"]) == f"{HERE}/runs/{tab}"
        assert (await viewer(browser))["subject"] == "user-1"
        assert list(browser.cookies) == ["__Host-rungraph"]


async def test_abandoned_attempts_are_limited(database_url: str, fake: FakeProvider) -> None:
    async with running(database_url, **oidc_settings(fake)) as app, browser_for(app) as browser:
        for _ in range(30):
            await browser.get("/login")
            assert len(browser.cookies) <= 6
        assert (await sign_in(browser)).status_code == 303


async def test_a_callback_works_once(database_url: str, fake: FakeProvider) -> None:
    async with running(database_url, **oidc_settings(fake)) as app, browser_for(app) as browser:
        led = await browser.get("/login")
        address = await provider_redirect(led.headers["location"])
        kept = dict(browser.cookies)
        assert (await browser.get(address)).status_code == 303
        again = await browser.get(address)
        assert again.status_code == 400
        assert is_static_page(again)
        assert 'href="../login"' in again.text
        # Also with a stolen cookie: the provider accepts the code once.
        async with browser_for(app) as thief:
            thief.cookies.update(kept)
            stolen = await thief.get(address)
            assert stolen.status_code == 502
            assert await viewer(thief) == "UNAUTHENTICATED"


async def test_a_callback_of_another_browser_s_attempt_is_refused(
    database_url: str, fake: FakeProvider
) -> None:
    async with (
        running(database_url, **oidc_settings(fake)) as app,
        browser_for(app) as attacker,
        browser_for(app) as victim,
    ):
        address = await provider_redirect((await attacker.get("/login")).headers["location"])
        assert (await victim.get(address)).status_code == 400
        assert fake.forms == []
        # Also one with an attempt of its own.
        own = (await victim.get("/login")).headers["location"]
        mixed = address.replace(query_of(address)["state"], query_of(own)["state"])
        refused = await victim.get(mixed)
        assert refused.status_code == 502
        assert await viewer(victim) == "UNAUTHENTICATED"


async def test_the_whole_state_is_compared(database_url: str, fake: FakeProvider) -> None:
    async with running(database_url, **oidc_settings(fake)) as app, browser_for(app) as browser:
        address = await provider_redirect((await browser.get("/login")).headers["location"])
        state = query_of(address)["state"]
        assert (await browser.get(address.replace(state, state[:-1]))).status_code == 400
        assert fake.forms == []
        assert (await browser.get(address)).status_code == 303


@pytest.mark.parametrize("state", ["", "x", "../../x", "é", "a" * 5000, "__Host-"])
async def test_an_invented_state_is_refused(database_url: str, fake: FakeProvider, state: str) -> None:
    async with running(database_url, **oidc_settings(fake)) as app, browser_for(app) as browser:
        await browser.get("/login")
        refused = await browser.get("/login/callback", params={"code": "x", "state": state})
        assert refused.status_code == 400
        assert is_static_page(refused)
        assert fake.forms == []


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "another"},
        {"nonce": None},
        {"iss": "https://evil.example.com"},
        {"aud": "another"},
        {"aud": AUDIENCE},
        {"aud": [CLIENT, "another"]},
        {"aud": [CLIENT, "another"], "azp": "another"},
        {"exp": 1},
        {"exp": None},
        {"sub": None},
    ],
)
async def test_an_id_token_for_another_attempt_or_client_is_refused(
    database_url: str, fake: FakeProvider, claims: dict[str, Any]
) -> None:
    fake.more = claims
    async with running(database_url, **oidc_settings(fake)) as app, browser_for(app) as browser:
        refused = await sign_in(browser)
        assert refused.status_code == 401
        assert is_static_page(refused)
        assert "rgs_" not in str(refused.headers)
        assert await viewer(browser) == "UNAUTHENTICATED"


async def test_an_id_token_signed_by_another_key_is_refused(database_url: str, fake: FakeProvider) -> None:
    async with running(database_url, **oidc_settings(fake)) as app, browser_for(app) as browser:
        led = await browser.get("/login")
        address = await provider_redirect(led.headers["location"])
        fake.signs_with = new_key()
        assert (await browser.get(address)).status_code == 401


async def test_an_error_of_the_provider_is_displayed_as_text(database_url: str, fake: FakeProvider) -> None:
    fake.denies = "access_denied"
    async with running(database_url, **oidc_settings(fake)) as app, browser_for(app) as browser:
        refused = await sign_in(browser, "/login?return_to=runs%2Fa")
        assert refused.status_code == 403
        assert is_static_page(refused)
        assert "access_denied: &lt;b&gt;not today&lt;/b&gt;" in refused.text
        assert 'href="../login?return_to=runs%2Fa"' in refused.text


@pytest.mark.parametrize("path", ["/token", "/keys", "/.well-known/openid-configuration"])
async def test_a_failure_of_the_provider_is_reported_without_its_body(
    database_url: str, fake: FakeProvider, path: str
) -> None:
    fake.answers[path] = JSONResponse({"error": "a secret"}, 500)
    async with running(database_url, **oidc_settings(fake)) as app, browser_for(app) as browser:
        response = await browser.get("/login")
        if response.status_code == 303:
            response = await browser.get(await provider_redirect(response.headers["location"]))
        assert response.status_code == 502
        assert is_static_page(response)
        assert "status 500" in response.text
        assert "secret" not in response.text


async def test_the_issuer_in_the_callback_is_checked(database_url: str, fake: FakeProvider) -> None:
    fake.discovery = {"authorization_response_iss_parameter_supported": True}
    async with running(database_url, **oidc_settings(fake)) as app, browser_for(app) as browser:
        assert (await sign_in(browser)).status_code == 303
        led = await browser.get("/login")
        address = await provider_redirect(led.headers["location"])
        other = address.replace(quote(fake.url, safe=""), quote("https://evil.example.com", safe=""))
        assert other != address
        assert (await browser.get(other)).status_code == 502


@pytest.mark.parametrize("secret", [SECRET, "a:b+c/d é%"])
@pytest.mark.parametrize("methods", [None, ["client_secret_basic"], ["client_secret_post"]])
async def test_the_client_authenticates_by_the_method_that_the_provider_supports(
    database_url: str, fake: FakeProvider, methods: list[str] | None, secret: str
) -> None:
    fake.secret = secret
    fake.discovery = {"token_endpoint_auth_methods_supported": methods} if methods else {}
    settings = oidc_settings(fake, oidc_client_secret=secret)
    async with running(database_url, **settings) as app, browser_for(app) as browser:
        assert (await sign_in(browser)).status_code == 303
    assert ("client_secret" in fake.forms[0]) == (methods == ["client_secret_post"])


async def test_a_public_client_can_sign_users_in(database_url: str, fake: FakeProvider) -> None:
    fake.secret = ""
    settings = oidc_settings(fake, oidc_client_secret="")
    async with running(database_url, **settings) as app, browser_for(app) as browser:
        assert (await sign_in(browser)).status_code == 303
    assert fake.forms[0]["client_id"] == CLIENT


async def test_sign_in_redirects_to_pages_of_this_server_only(database_url: str, fake: FakeProvider) -> None:
    async with running(database_url, **oidc_settings(fake)) as app, browser_for(app) as browser:
        for wanted, got in (("runs/a%2Fb?tab=x", "runs/a%2Fb?tab=x"), ("//evil.example.com", "")):
            back = await sign_in(browser, f"/login?return_to={quote(wanted, safe='')}")
            assert urljoin(str(back.url), back.headers["location"]) == f"{HERE}/{got}"


async def test_a_return_url_changed_in_the_cookie_is_checked_again(
    database_url: str, fake: FakeProvider
) -> None:
    async with running(database_url, **oidc_settings(fake)) as app, browser_for(app) as browser:
        led = await browser.get("/login?return_to=runs")
        ((name, cookie),) = cookies_in(led).items()
        browser.cookies.clear()
        changed = cookie.value.replace("runs", quote("//evil.example.com", safe=""))
        address = await provider_redirect(led.headers["location"])
        back = await browser.get(address, headers={"cookie": f"{name}={changed}"})
        assert urljoin(str(back.url), back.headers["location"]) == f"{HERE}/"
