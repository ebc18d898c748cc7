"""Signing in at an OpenID provider: the whole flow, and what others make of it."""

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
    at_provider,
    browser_of,
    by_provider,
    cookies_in,
    is_a_plain_page,
    running,
    sign_in,
    viewer,
)


@pytest.fixture
def fake() -> Iterator[FakeProvider]:
    """A provider on loopback, whose next visitor is of the group `data`."""
    user = {"sub": "user-1", "name": "User One", "email": "one@example.com", "groups": ["data"]}
    with FakeProvider(user=user).serving() as one:
        yield one


async def test_somebody_signs_in_at_the_provider_and_is_where_they_were(
    database_url: str, fake: FakeProvider
) -> None:
    async with running(database_url, **by_provider(fake)) as app, browser_of(app) as browser:
        assert await viewer(browser) == "UNAUTHENTICATED"
        asked = await browser.get("/runs/etl/production/a%2Fb?tab=x&y=%20")
        assert asked.status_code == 303
        login = urljoin(str(asked.url), asked.headers["location"])
        assert login.startswith(f"{HERE}/login?return_to=")
        back = await sign_in(browser, login)
        assert back.status_code == 303
        assert urljoin(str(back.url), back.headers["location"]) == str(asked.url)
        assert await viewer(browser) == {
            "kind": "USER",
            "subject": "user-1",
            "name": "User One",
            "email": "one@example.com",
        }
        assert (await browser.get("/runs")).status_code in (200, 503)  # where nobody built the page


async def test_the_provider_is_shown_nothing_that_it_need_not_know(
    database_url: str, fake: FakeProvider
) -> None:
    async with running(database_url, **by_provider(fake)) as app, browser_of(app) as browser:
        led = await browser.get("/login?return_to=runs%2Fsecret")
        asked = query_of(led.headers["location"])
        assert asked.keys() == {
            *("response_type", "client_id", "redirect_uri", "scope", "state", "nonce"),
            *("code_challenge", "code_challenge_method"),
        }
        assert asked["redirect_uri"] == f"{HERE}/login/callback"
        await browser.get(await at_provider(led.headers["location"]))
        (form,) = fake.forms
        assert form.keys() == {"grant_type", "code", "redirect_uri", "code_verifier"}
        verifier = form["code_verifier"]
        assert re.fullmatch(r"[\w-]{43,128}", verifier)
        assert verifier not in led.headers["location"]


async def test_the_cookie_is_not_for_scripts_nor_for_other_sites(
    database_url: str, fake: FakeProvider
) -> None:
    async with running(database_url, **by_provider(fake)) as app, browser_of(app) as browser:
        led = await browser.get("/login")
        ((name, pending),) = cookies_in(led).items()
        assert name.startswith("__Secure-rungraph-sign-in-")
        back = await browser.get(await at_provider(led.headers["location"]))
        session = cookies_in(back)["__Host-rungraph"]
        assert session.value.startswith("rgs_")
        for cookie, seconds in ((pending, 600), (session, 8 * 3600)):
            assert (cookie["httponly"], cookie["secure"], cookie["samesite"]) == (True, True, "lax")
            assert (cookie["path"], cookie["domain"], int(cookie["max-age"])) == ("/", "", seconds)
        # The attempt is over.
        assert cookies_in(back)[name]["max-age"] == "0"


async def test_a_cookie_is_of_its_path_where_others_may_be_beside_it(
    database_url: str, fake: FakeProvider
) -> None:
    settings = by_provider(fake, public_url=f"{HERE}/team/rungraph", base_path="/team/rungraph")
    async with running(database_url, **settings) as app, browser_of(app) as browser:
        asked = await browser.get("/team/rungraph/runs/a/b/c")
        login = urljoin(str(asked.url), asked.headers["location"])
        assert login == f"{HERE}/team/rungraph/login?return_to=runs%2Fa%2Fb%2Fc"
        back = await sign_in(browser, login)
        assert urljoin(str(back.url), back.headers["location"]) == str(asked.url)
        session = cookies_in(back)["__Secure-rungraph"]
        assert (session["path"], session["secure"]) == ("/team/rungraph", True)
        assert (await viewer(browser, "/team/rungraph/graphql"))["subject"] == "user-1"


async def test_whoever_is_in_no_rule_is_signed_in_and_sees_nothing(
    database_url: str, fake: FakeProvider
) -> None:
    fake.user = {"sub": "user-2"}
    async with running(database_url, **by_provider(fake)) as app, browser_of(app) as browser:
        await sign_in(browser)
        assert (await viewer(browser))["subject"] == "user-2"
        task = '{project: "etl", domain: "production", name: "t", version: "1"}'
        id = '{project: "etl", domain: "production", runName: "r", name: "main"}'
        wanted = f"mutation {{ createAction(input: {{id: {id}, task: {task}}}) {{ action {{ name }} }} }}"
        answer = (await browser.post("/graphql", json={"query": wanted})).json()
        assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"


async def test_the_grants_of_a_session_are_those_of_the_claims(database_url: str, fake: FakeProvider) -> None:
    async with running(database_url, **by_provider(fake)) as app, browser_of(app) as browser:
        await sign_in(browser)
        (session,) = await app.state.repository.list_credentials(CredentialKind.SESSION)
    assert session.access == Access(frozenset({Grant(Role.OPERATOR, "etl")}))
    assert session.identity == Identity(IdentityKind.USER, "user-1", "User One", "one@example.com")
    in_eight_hours = datetime.now(UTC) + timedelta(hours=8)
    assert abs(session.expires_at - in_eight_hours) < timedelta(minutes=1)


async def test_several_tabs_sign_in_at_the_same_time(database_url: str, fake: FakeProvider) -> None:
    async with running(database_url, **by_provider(fake)) as app, browser_of(app) as browser:
        led = [await browser.get(f"/login?return_to=runs%2F{tab}") for tab in range(3)]
        for tab, one in reversed(list(enumerate(led))):
            back = await browser.get(await at_provider(one.headers["location"]))
            assert urljoin(str(back.url), back.headers["location"]) == f"{HERE}/runs/{tab}"
        assert (await viewer(browser))["subject"] == "user-1"
        assert list(browser.cookies) == ["__Host-rungraph"]


async def test_attempts_that_nobody_ends_do_not_pile_up(database_url: str, fake: FakeProvider) -> None:
    async with running(database_url, **by_provider(fake)) as app, browser_of(app) as browser:
        for _ in range(30):
            await browser.get("/login")
            assert len(browser.cookies) <= 6
        assert (await sign_in(browser)).status_code == 303


async def test_a_way_back_counts_once(database_url: str, fake: FakeProvider) -> None:
    async with running(database_url, **by_provider(fake)) as app, browser_of(app) as browser:
        led = await browser.get("/login")
        address = await at_provider(led.headers["location"])
        kept = dict(browser.cookies)
        assert (await browser.get(address)).status_code == 303
        again = await browser.get(address)
        assert again.status_code == 400
        assert is_a_plain_page(again)
        assert 'href="../login"' in again.text
        # Also with the cookie, as a thief may have it: the provider takes the code once.
        async with browser_of(app) as thief:
            thief.cookies.update(kept)
            stolen = await thief.get(address)
            assert stolen.status_code == 502
            assert await viewer(thief) == "UNAUTHENTICATED"


async def test_what_another_browser_began_signs_nobody_in(database_url: str, fake: FakeProvider) -> None:
    async with (
        running(database_url, **by_provider(fake)) as app,
        browser_of(app) as attacker,
        browser_of(app) as victim,
    ):
        address = await at_provider((await attacker.get("/login")).headers["location"])
        assert (await victim.get(address)).status_code == 400
        assert fake.forms == []
        # One that is at the provider itself, too.
        own = (await victim.get("/login")).headers["location"]
        mixed = address.replace(query_of(address)["state"], query_of(own)["state"])
        refused = await victim.get(mixed)
        assert refused.status_code == 502
        assert await viewer(victim) == "UNAUTHENTICATED"


async def test_only_the_whole_state_counts(database_url: str, fake: FakeProvider) -> None:
    async with running(database_url, **by_provider(fake)) as app, browser_of(app) as browser:
        address = await at_provider((await browser.get("/login")).headers["location"])
        state = query_of(address)["state"]
        assert (await browser.get(address.replace(state, state[:-1]))).status_code == 400
        assert fake.forms == []
        assert (await browser.get(address)).status_code == 303


@pytest.mark.parametrize("state", ["", "x", "../../x", "é", "a" * 5000, "__Host-"])
async def test_a_state_that_nobody_gave_signs_nobody_in(
    database_url: str, fake: FakeProvider, state: str
) -> None:
    async with running(database_url, **by_provider(fake)) as app, browser_of(app) as browser:
        await browser.get("/login")
        refused = await browser.get("/login/callback", params={"code": "x", "state": state})
        assert refused.status_code == 400
        assert is_a_plain_page(refused)
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
async def test_an_id_token_that_is_not_for_this_attempt_signs_nobody_in(
    database_url: str, fake: FakeProvider, claims: dict[str, Any]
) -> None:
    fake.more = claims
    async with running(database_url, **by_provider(fake)) as app, browser_of(app) as browser:
        refused = await sign_in(browser)
        assert refused.status_code == 401
        assert is_a_plain_page(refused)
        assert "rgs_" not in str(refused.headers)
        assert await viewer(browser) == "UNAUTHENTICATED"


async def test_an_id_token_by_a_key_of_somebody_else_signs_nobody_in(
    database_url: str, fake: FakeProvider
) -> None:
    async with running(database_url, **by_provider(fake)) as app, browser_of(app) as browser:
        led = await browser.get("/login")
        address = await at_provider(led.headers["location"])
        fake.signs_with = new_key()
        assert (await browser.get(address)).status_code == 401


async def test_an_error_of_the_provider_is_shown_as_text(database_url: str, fake: FakeProvider) -> None:
    fake.denies = "access_denied"
    async with running(database_url, **by_provider(fake)) as app, browser_of(app) as browser:
        refused = await sign_in(browser, "/login?return_to=runs%2Fa")
        assert refused.status_code == 403
        assert is_a_plain_page(refused)
        assert "access_denied: &lt;b&gt;not today&lt;/b&gt;" in refused.text
        assert 'href="../login?return_to=runs%2Fa"' in refused.text


@pytest.mark.parametrize("path", ["/token", "/keys", "/.well-known/openid-configuration"])
async def test_a_provider_that_fails_is_told_of_without_its_words(
    database_url: str, fake: FakeProvider, path: str
) -> None:
    fake.answers[path] = JSONResponse({"error": "a secret"}, 500)
    async with running(database_url, **by_provider(fake)) as app, browser_of(app) as browser:
        response = await browser.get("/login")
        if response.status_code == 303:
            response = await browser.get(await at_provider(response.headers["location"]))
        assert response.status_code == 502
        assert is_a_plain_page(response)
        assert "status 500" in response.text
        assert "secret" not in response.text


async def test_a_provider_that_names_itself_on_the_way_back_is_checked(
    database_url: str, fake: FakeProvider
) -> None:
    fake.discovery = {"authorization_response_iss_parameter_supported": True}
    async with running(database_url, **by_provider(fake)) as app, browser_of(app) as browser:
        assert (await sign_in(browser)).status_code == 303
        led = await browser.get("/login")
        address = await at_provider(led.headers["location"])
        other = address.replace(quote(fake.url, safe=""), quote("https://evil.example.com", safe=""))
        assert other != address
        assert (await browser.get(other)).status_code == 502


@pytest.mark.parametrize("secret", [SECRET, "a:b+c/d é%"])
@pytest.mark.parametrize("methods", [None, ["client_secret_basic"], ["client_secret_post"]])
async def test_the_page_shows_its_secret_as_the_provider_wants_it(
    database_url: str, fake: FakeProvider, methods: list[str] | None, secret: str
) -> None:
    fake.secret = secret
    fake.discovery = {"token_endpoint_auth_methods_supported": methods} if methods else {}
    settings = by_provider(fake, oidc_client_secret=secret)
    async with running(database_url, **settings) as app, browser_of(app) as browser:
        assert (await sign_in(browser)).status_code == 303
    assert ("client_secret" in fake.forms[0]) == (methods == ["client_secret_post"])


async def test_a_page_without_a_secret_signs_people_in_too(database_url: str, fake: FakeProvider) -> None:
    fake.secret = ""
    settings = by_provider(fake, oidc_client_secret="")
    async with running(database_url, **settings) as app, browser_of(app) as browser:
        assert (await sign_in(browser)).status_code == 303
    assert fake.forms[0]["client_id"] == CLIENT


async def test_people_come_back_to_any_page_and_are_led_nowhere_else(
    database_url: str, fake: FakeProvider
) -> None:
    async with running(database_url, **by_provider(fake)) as app, browser_of(app) as browser:
        for wanted, got in (("runs/a%2Fb?tab=x", "runs/a%2Fb?tab=x"), ("//evil.example.com", "")):
            back = await sign_in(browser, f"/login?return_to={quote(wanted, safe='')}")
            assert urljoin(str(back.url), back.headers["location"]) == f"{HERE}/{got}"


async def test_a_way_back_that_was_changed_in_the_browser_leads_nowhere_else(
    database_url: str, fake: FakeProvider
) -> None:
    async with running(database_url, **by_provider(fake)) as app, browser_of(app) as browser:
        led = await browser.get("/login?return_to=runs")
        ((name, cookie),) = cookies_in(led).items()
        browser.cookies.clear()
        changed = cookie.value.replace("runs", quote("//evil.example.com", safe=""))
        address = await at_provider(led.headers["location"])
        back = await browser.get(address, headers={"cookie": f"{name}={changed}"})
        assert urljoin(str(back.url), back.headers["location"]) == f"{HERE}/"
