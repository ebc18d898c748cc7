"""Signing in through a provider with a client that keeps cookies, redirect by redirect."""

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


def oidc_settings(fake: FakeProvider, **more: Any) -> dict[str, Any]:
    """The settings of a server that uses this provider."""
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
    """Runs the application in this process."""
    app = create_app(Settings(database_url=database_url, **settings))
    async with app.router.lifespan_context(app):
        yield app


def browser_for(app: Starlette, origin: str = HERE) -> httpx2.AsyncClient:
    """A client with an empty cookie jar."""
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=origin)


async def provider_redirect(address: str) -> str:
    """Signs in at the provider; returns the URL to which it redirects."""
    async with httpx2.AsyncClient() as elsewhere:
        response = await elsewhere.get(address)
    assert response.status_code == 302, response.text
    return str(response.headers["location"])


async def sign_in(browser: httpx2.AsyncClient, login: str = "/login") -> httpx2.Response:
    """Signs in; returns the response to the redirect of the provider."""
    redirect = await browser.get(login)
    assert redirect.status_code == 303, redirect.text
    return await browser.get(await provider_redirect(redirect.headers["location"]))


async def viewer(browser: httpx2.AsyncClient, path: str = "/graphql") -> Any:
    """The identity of the signed-in user, or the code of the error."""
    answer = (await browser.post(path, json={"query": VIEWER})).json()
    return (
        answer["data"]["viewer"]["identity"]
        if "data" in answer
        else answer["errors"][0]["extensions"]["code"]
    )


def cookies_in(response: httpx2.Response) -> dict[str, Any]:
    """The cookies that a response sets, with their attributes."""
    jar: SimpleCookie = SimpleCookie()
    for line in response.headers.get_list("set-cookie"):
        jar.load(line)
    return dict(jar)


def is_static_page(response: httpx2.Response) -> bool:
    """Whether it is HTML without scripts and external resources that must not be cached or framed."""
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
