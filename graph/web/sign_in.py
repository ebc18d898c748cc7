"""Owns the pages with which people sign in and out with a browser."""

from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

import repo
from graph.auth.cookies import cookies_of
from graph.auth.oidc import Provider
from graph.settings import Settings
from graph.transport.request import RequestRefused, read_body
from graph.web import sign_in_pages as pages
from graph.web.code_flow import CodeFlow
from graph.web.page import Show, base_of
from graph.web.return_urls import here, lead, way_back
from graph.web.security import is_of_another_site
from graph.web.static_assets import Files

_STATIC = Path(__file__).parent / "static"
_LARGEST_FORM = 16 * 1024
_LONGEST_TOKEN = 255


class SignIn:
    """The pages at /login and /logout. Where no provider knows the page as its client, people show an API
    token, and their browser shows it from then on."""

    def __init__(self, settings: Settings, provider: Provider | None) -> None:
        self._cookies = cookies_of(settings)
        self._session = timedelta(hours=settings.session_hours)
        self._flow = None
        if provider is not None and settings.oidc_client_id:
            self._flow = CodeFlow(settings, provider, self._cookies)

    def routes(self) -> list[BaseRoute]:
        """Where the pages are."""
        routes: list[BaseRoute] = [
            Route("/logout", self.signed_out),
            Route("/logout", self.sign_out, methods=["POST"]),
            Route("/login/style.css", Files(_STATIC)),
        ]
        if self._flow is not None:
            routes += [
                Route("/login", self._flow.lead_to_provider),
                Route("/login/callback", self._flow.come_back),
            ]
        else:
            routes += [
                Route("/login", self.ask_for_token),
                Route("/login", self.take_token, methods=["POST"]),
            ]
        return routes

    def only_signed_in(self, show: Show) -> Show:
        """Show it to whoever signed in, and lead others to where they can."""

        async def show_or_lead(request: Request) -> Response:
            try:
                await request.app.state.gate.caller(request)
            except RequestRefused as refusal:
                # Where the server cannot tell who it is at the moment, the page says so itself.
                if refusal.status == 401:
                    query = urlencode({"return_to": here(request)})
                    return lead(f"{base_of(request.scope)}login?{query}")
            return await show(request)

        return show_or_lead

    async def ask_for_token(self, request: Request) -> Response:
        """The page with a field for an API token."""
        return pages.ask_for_token(
            base_of(request.scope), way_back(request.query_params.get("return_to", ""))
        )

    async def take_token(self, request: Request) -> Response:
        """Let somebody in whose token holds. It is what their browser shows from then on, and so they are in
        for as long as it holds."""
        base = base_of(request.scope)
        form = await _form(request)
        if form is None:
            return _refused(base)
        token, return_to = form.get("token", "").strip(), way_back(form.get("return_to", ""))
        try:
            if len(token) > _LONGEST_TOKEN:
                raise RequestRefused(401, "UNAUTHENTICATED", "This is no API token.")
            await request.app.state.gate.caller(request, f"Bearer {token}")
        except RequestRefused as refusal:
            wrong = "This token is not known, has expired or was revoked."
            error = wrong if refusal.status == 401 else str(refusal)
            return pages.ask_for_token(base, return_to, error, refusal.status)
        response = lead(base + return_to)
        self._cookies.set(request, response, self._cookies.session, token, self._session)
        return response

    async def sign_out(self, request: Request) -> Response:
        """End the session, and with it what goes on in it. An API token stays: others may have it too."""
        base = base_of(request.scope)
        if await _form(request) is None:
            return _refused(base)
        response = lead(f"{base}logout")
        if secret := request.cookies.get(self._cookies.session):
            repository: repo.ActionRepo = request.app.state.repository
            try:
                credential = await repository.find_credential(secret)
                if credential is not None and credential.kind is repo.CredentialKind.SESSION:
                    await repository.revoke_credential(credential.id)
            except repo.DatabaseUnavailable as error:
                return pages.message(base, "You are still signed in", str(error), {}, 503)
        self._cookies.remove(request, response, self._cookies.session)
        return response

    async def signed_out(self, request: Request) -> Response:
        """What is shown once somebody signed out."""
        base = base_of(request.scope)
        links = {"Sign in again": f"{base}login"}
        if self._flow is not None and (elsewhere := await self._flow.where_to_sign_out()):
            links["Sign out of the OpenID provider too"] = elsewhere
        return pages.message(base, "You are signed out", "", links)


async def _form(request: Request) -> dict[str, str] | None:
    """The fields that a page of ours sent; None where another site's did, or it is no form."""
    if is_of_another_site(request):
        return None
    try:
        body = await read_body(request, _LARGEST_FORM)
        fields = parse_qs(body.decode("ascii"), max_num_fields=10, errors="strict")
    except (RequestRefused, ValueError):
        return None
    return {name: values[0] for name, values in fields.items()}


def _refused(base: str) -> Response:
    text = "This was not sent by a page of Rungraph's."
    return pages.message(base, "Not done", text, {"Sign in": f"{base}login"}, 403)
