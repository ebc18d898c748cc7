"""Owns how the tests sign in: a browser, which keeps cookies, and goes where it is led step by step."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http.cookies import SimpleCookie
from typing import Any

import httpx2
from starlette.applications import Starlette

from graph.app import create_app
from graph.settings import Settings
from tests.support.provider import (
    AUDIENCE,
    CLIENT,
    SECRET,
    FakeProvider,
)

HERE = "https://runs.example.com"
GRANTS = '[{"claim": "groups", "value": "data", "role": "operator", "project": "etl"}]'
VIEWER = "{ viewer { identity { kind subject name email } } }"


def by_provider(fake: FakeProvider, **more: Any) -> dict[str, Any]:
    """Settings of a server that has people sign in there."""
    return {
        "auth": "oidc",
        "public_url": HERE,
        "oidc_issuer": fake.url,
        "oidc_audience": AUDIENCE,
        "oidc_client_id": CLIENT,
        "oidc_client_secret": SECRET,
        "oidc_grants": GRANTS,
        **more,
    }


@asynccontextmanager
async def running(database_url: str, **settings: Any) -> AsyncIterator[Starlette]:
    """The application, in this process."""
    app = create_app(Settings(database_url=database_url, **settings))
    async with app.router.lifespan_context(app):
        yield app


def browser_of(app: Starlette, origin: str = HERE) -> httpx2.AsyncClient:
    """A browser that is nowhere yet, and has no cookies."""
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=origin)


async def at_provider(address: str) -> str:
    """Where the provider sends somebody back to who signs in there."""
    async with httpx2.AsyncClient() as elsewhere:
        response = await elsewhere.get(address)
    assert response.status_code == 302, response.text
    return str(response.headers["location"])


async def sign_in(browser: httpx2.AsyncClient, login: str = "/login") -> httpx2.Response:
    """The answer to who comes back from the provider."""
    led = await browser.get(login)
    assert led.status_code == 303, led.text
    return await browser.get(await at_provider(led.headers["location"]))


async def viewer(browser: httpx2.AsyncClient, path: str = "/graphql") -> Any:
    """Who the server takes the browser for; the code of the error where it takes it for nobody."""
    answer = (await browser.post(path, json={"query": VIEWER})).json()
    return (
        answer["data"]["viewer"]["identity"]
        if "data" in answer
        else answer["errors"][0]["extensions"]["code"]
    )


def cookies_in(response: httpx2.Response) -> dict[str, Any]:
    """The cookies that an answer sets, each with its attributes."""
    jar: SimpleCookie = SimpleCookie()
    for line in response.headers.get_list("set-cookie"):
        jar.load(line)
    return dict(jar)


def is_a_plain_page(response: httpx2.Response) -> bool:
    """Whether it is HTML that can run nothing, load nothing from elsewhere and be kept by nobody."""
    policy = response.headers["content-security-policy"]
    return (
        response.headers["content-type"].startswith("text/html")
        and response.headers["cache-control"] == "no-store"
        and "default-src 'none'" in policy
        and "frame-ancestors 'none'" in policy
        and "script-src" not in policy
        and "unsafe" not in policy
        and not re.search(r"<script|<style|style=|onclick|http-equiv", response.text)
    )
