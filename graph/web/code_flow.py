"""Owns how people sign in at an OpenID provider: by the authorization code flow with PKCE."""

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, unquote, urlencode

import structlog
from starlette.requests import Request
from starlette.responses import Response

import repo
from graph.auth.cookies import Cookies
from graph.auth.oidc import Client, Provider, ProviderFailed
from graph.auth.roles import access_of, identity_of, parse_rules
from graph.settings import Settings
from graph.transport.request import RequestRefused
from graph.web import sign_in_pages as pages
from graph.web.page import base_of
from graph.web.return_urls import lead, way_back

logger = structlog.get_logger("rungraph.sign_in")

_ATTEMPT_LASTS = timedelta(minutes=10)
"""The time that somebody has to sign in at the provider."""
_MOST_ATTEMPTS = 5
"""How many a browser may have open, each in a tab of its own."""
_LONGEST_ERROR = 300


@dataclass(frozen=True, slots=True)
class _Attempt:
    """Somebody is at the provider to sign in. All that has to be known when they come back is kept by their
    browser, in a cookie; what the provider sees of it tells nothing about the rest."""

    secret: str
    return_to: str

    def derived(self, purpose: str) -> str:
        """43 letters that nobody can guess who does not know the secret."""
        digest = hmac.digest(self.secret.encode(), purpose.encode(), hashlib.sha256)
        return _base64(digest)

    @property
    def state(self) -> str:
        """What the provider hands back. Its beginning names the cookie."""
        return f"{self.derived('id')[:8]}{self.derived('state')}"

    @property
    def verifier(self) -> str:
        """What proves that the code was asked for here (PKCE)."""
        return self.derived("verifier")

    @property
    def challenge(self) -> str:
        """By what the provider knows the verifier again."""
        return _base64(hashlib.sha256(self.verifier.encode()).digest())

    @property
    def nonce(self) -> str:
        """What the ID token has to hold."""
        return self.derived("nonce")

    @property
    def cookie(self) -> str:
        """What the browser keeps."""
        return f"{self.secret}.{quote(self.return_to, safe='')}"


class CodeFlow:
    """Leads people to the provider, and lets those in who come back from it."""

    def __init__(self, settings: Settings, provider: Provider, cookies: Cookies) -> None:
        self._provider = provider
        self._cookies = cookies
        self._session = timedelta(hours=settings.session_hours)
        self._scopes = settings.oidc_scopes
        self._rules = parse_rules(settings.oidc_grants)
        self._client = Client(
            settings.oidc_client_id,
            settings.oidc_client_secret.get_secret_value(),
            f"{settings.public_url}/login/callback",
        )

    async def lead_to_provider(self, request: Request) -> Response:
        """Begin to sign in at the provider."""
        base = base_of(request.scope)
        attempt = _Attempt(secrets.token_urlsafe(32), way_back(request.query_params.get("return_to", "")))
        try:
            address = await self._address(attempt)
        except ProviderFailed as error:
            return _failed(base, attempt.return_to, error)
        response = lead(address)
        others = [name for name in request.cookies if name.startswith(self._cookies.pending)]
        for name in others if len(others) >= _MOST_ATTEMPTS else []:
            self._cookies.remove(request, response, name)
        name = self._cookies.pending + attempt.state[:8]
        self._cookies.set(request, response, name, attempt.cookie, _ATTEMPT_LASTS)
        return response

    async def _address(self, attempt: _Attempt) -> str:
        where = (await self._provider.endpoints()).authorization_endpoint
        if where is None:
            raise ProviderFailed("it names no authorization endpoint")
        asked = {
            "response_type": "code",
            "client_id": self._client.id,
            "redirect_uri": self._client.redirect_uri,
            "scope": self._scopes,
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": attempt.challenge,
            "code_challenge_method": "S256",
        }
        return _with(where, asked)

    async def come_back(self, request: Request) -> Response:
        """Let in whoever comes back from the provider with a code. An attempt counts once, and only in the
        browser that began it."""
        base, state = base_of(request.scope), request.query_params.get("state", "")
        name = self._cookies.pending + state[:8]
        secret, _, return_to = request.cookies.get(name, "").partition(".")
        attempt = _Attempt(secret, way_back(unquote(return_to)))
        if not secret or not hmac.compare_digest(attempt.state.encode(), state.encode(errors="replace")):
            text = (
                "This attempt to sign in is over, or began in another browser. Cookies have to be allowed, "
                "and the page has to be opened under its own address."
            )
            return pages.message(base, "Please try again", text, {"Sign in": f"{base}login"}, 400)
        response = await self._let_in(request, attempt)
        self._cookies.remove(request, response, name)
        return response

    async def _let_in(self, request: Request, attempt: _Attempt) -> Response:
        base, told = base_of(request.scope), request.query_params
        try:
            await self._check_sender(told.get("iss"))
            if "error" in told:
                said = ": ".join(filter(None, (told["error"], told.get("error_description"))))
                text = f"The OpenID provider says: {said[:_LONGEST_ERROR]}"
                return _not_signed_in(base, attempt.return_to, text, 403)
            claims = await self._provider.redeem(
                told.get("code", ""), attempt.verifier, attempt.nonce, self._client
            )
            identity = identity_of(claims)
            repository: repo.ActionRepo = request.app.state.repository
            _, secret = await repository.create_credential(
                repo.CredentialKind.SESSION,
                identity.name or identity.subject,
                identity,
                access_of(claims, self._rules),
                datetime.now(UTC) + self._session,
            )
        except (ProviderFailed, RequestRefused, repo.DatabaseUnavailable) as error:
            return _failed(base, attempt.return_to, error)
        response = lead(base + attempt.return_to)
        self._cookies.set(request, response, self._cookies.session, secret, self._session)
        return response

    async def _check_sender(self, issuer: str | None) -> None:
        """Raise ProviderFailed where another provider sent them back than the one that they went to."""
        endpoints = await self._provider.endpoints()
        if issuer != endpoints.issuer and (issuer is not None or endpoints.says_issuer):
            raise ProviderFailed("somebody else sent you back here")

    async def where_to_sign_out(self) -> str | None:
        """Where people can sign out of the provider too, if it has that."""
        try:
            end = (await self._provider.endpoints()).end_session_endpoint
        except ProviderFailed:
            return None
        return end and _with(end, {"client_id": self._client.id})


def _failed(base: str, return_to: str, error: Exception) -> Response:
    """What somebody sees who cannot be let in, through no fault of theirs that we know of."""
    logger.warning("somebody could not sign in", reason=str(error))
    if isinstance(error, ProviderFailed):
        return _not_signed_in(base, return_to, f"The OpenID provider cannot be used: {error}.", 502)
    status = error.status if isinstance(error, RequestRefused) else 503
    return _not_signed_in(base, return_to, f"{error}.", status)


def _not_signed_in(base: str, return_to: str, text: str, status: int) -> Response:
    again = f"{base}login?{urlencode({'return_to': return_to})}"
    return pages.message(base, "You are not signed in", text, {"Try again": again}, status)


def _with(address: str, parameters: dict[str, str]) -> str:
    return f"{address}{'&' if '?' in address else '?'}{urlencode(parameters)}"


def _base64(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")
