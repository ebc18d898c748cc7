"""Sign-in and sign-out of browsers, at /login and /logout."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

import repo
from graph.auth.cookies import Cookies
from graph.auth.origins import is_cross_origin
from graph.errors import RequestRefused
from graph.request_bodies import read_body
from graph.state import state_of
from graph.web.sign_in_pages import message_page, token_form
from graph.web.static_assets import StaticAssets
from graph.web.ui import Handler
from graph.web.urls import redirect, relative_base, requested_url, return_url

if TYPE_CHECKING:
    from graph.web.code_flow import AuthorizationCodeFlow

_STATIC = Path(__file__).parent / "static"
_MAX_FORM_BYTES = 16 * 1024
_MAX_TOKEN_LENGTH = 255


@dataclass(frozen=True, slots=True)
class SignIn:
    """Signs browsers in, at the OpenID provider or with an API token that becomes their session cookie."""

    cookies: Cookies
    session_lifetime: timedelta
    code_flow: "AuthorizationCodeFlow | None"
    """None for API tokens."""

    def routes(self) -> list[BaseRoute]:
        """The routes of /login and /logout."""
        routes: list[BaseRoute] = [
            Route("/logout", self.signed_out),
            Route("/logout", self.sign_out, methods=["POST"]),
            Route("/login/style.css", StaticAssets(_STATIC)),
        ]
        if self.code_flow is not None:
            return [
                *routes,
                Route("/login", self.code_flow.start),
                Route("/login/callback", self.code_flow.callback),
            ]
        return [
            *routes,
            Route("/login", self.token_form),
            Route("/login", self.sign_in_by_token, methods=["POST"]),
        ]

    def require_sign_in(self, handler: Handler) -> Handler:
        """The handler for authenticated callers; others are redirected to /login."""

        async def handle_or_redirect(request: Request) -> Response:
            try:
                await state_of(request).authenticator.authenticate(request)
            except RequestRefused as refusal:
                # Other errors, such as an unavailable database, are shown by the page itself.
                if refusal.status == 401:
                    query = urlencode({"return_to": requested_url(request)})
                    return redirect(f"{relative_base(request.scope)}login?{query}")
            return await handler(request)

        return handle_or_redirect

    async def token_form(self, request: Request) -> Response:
        """GET /login: a form for an API token."""
        return token_form(relative_base(request.scope), return_url(request.query_params.get("return_to", "")))

    async def sign_in_by_token(self, request: Request) -> Response:
        """POST /login: make a valid API token the session cookie, which then is valid for as long as it."""
        base = relative_base(request.scope)
        form = await _read_form(request)
        if form is None:
            return _cross_origin(base)
        token, return_to = form.get("token", "").strip(), return_url(form.get("return_to", ""))
        try:
            if len(token) > _MAX_TOKEN_LENGTH:
                raise RequestRefused(401, "UNAUTHENTICATED", "Not an API token.")
            await state_of(request).authenticator.authenticate(request, f"Bearer {token}")
        except RequestRefused as refusal:
            invalid = "This token is unknown, expired or revoked."
            error = invalid if refusal.status == 401 else str(refusal)
            return token_form(base, return_to, error, refusal.status)
        response = redirect(base + return_to)
        self.cookies.set(request, response, self.cookies.session, token, self.session_lifetime)
        return response

    async def sign_out(self, request: Request) -> Response:
        """POST /logout: revoke the session. An API token stays valid, since programs may use it too."""
        base = relative_base(request.scope)
        if await _read_form(request) is None:
            return _cross_origin(base)
        response = redirect(f"{base}logout")
        if secret := request.cookies.get(self.cookies.session):
            repository = state_of(request).repository
            try:
                credential = await repository.credentials.find(secret)
                if credential is not None and credential.kind is repo.CredentialKind.SESSION:
                    await repository.credentials.revoke(credential.id)
            except repo.DatabaseUnavailable as error:
                return message_page(base, "You are still signed in", str(error), {}, 503)
        self.cookies.delete(request, response, self.cookies.session)
        return response

    async def signed_out(self, request: Request) -> Response:
        """GET /logout: the page after sign-out."""
        base = relative_base(request.scope)
        links = {"Sign in again": f"{base}login"}
        if self.code_flow is not None and (url := await self.code_flow.sign_out_url()):
            links["Sign out of the OpenID provider too"] = url
        return message_page(base, "You are signed out", "", links)


async def _read_form(request: Request) -> dict[str, str] | None:
    """The fields of a same-origin form; None for anything else."""
    if is_cross_origin(request):
        return None
    try:
        body = await read_body(request, _MAX_FORM_BYTES)
        fields = parse_qs(body.decode("ascii"), max_num_fields=10, errors="strict")
    except (RequestRefused, ValueError):
        return None
    return {name: values[0] for name, values in fields.items()}


def _cross_origin(base: str) -> Response:
    text = "The request was not sent by a form of this server."
    return message_page(base, "Not done", text, {"Sign in": f"{base}login"}, 403)
