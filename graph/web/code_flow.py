"""Sign-in at an OpenID provider by the authorization code flow with PKCE."""

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
from graph.auth.claims import GrantRule, access_from_claims, identity_from_claims
from graph.auth.cookies import Cookies
from graph.auth.oidc import Client, Provider, ProviderError
from graph.errors import RequestRefused
from graph.state import state_of
from graph.web.sign_in_pages import message_page
from graph.web.urls import redirect, relative_base, return_url

logger = structlog.get_logger("rungraph.sign_in")

_ATTEMPT_MAX_AGE = timedelta(minutes=10)
_MAX_ATTEMPTS = 5
"""Concurrent attempts of a browser, each in a tab of its own."""
_MAX_ERROR_LENGTH = 300


@dataclass(frozen=True, slots=True)
class SignInAttempt:
    """A sign-in in progress. All values are derived from a secret in a cookie, so any replica can complete
    it."""

    secret: str
    return_to: str

    def derive(self, purpose: str) -> str:
        """43 characters that cannot be guessed without the secret."""
        digest = hmac.digest(self.secret.encode(), purpose.encode(), hashlib.sha256)
        return _base64url(digest)

    @property
    def state(self) -> str:
        """Returned by the provider. Its first 8 characters name the cookie."""
        return f"{self.derive('id')[:8]}{self.derive('state')}"

    @property
    def verifier(self) -> str:
        """The PKCE code verifier."""
        return self.derive("verifier")

    @property
    def challenge(self) -> str:
        """The PKCE code challenge (S256)."""
        return _base64url(hashlib.sha256(self.verifier.encode()).digest())

    @property
    def nonce(self) -> str:
        """Has to be in the ID token."""
        return self.derive("nonce")

    @property
    def cookie(self) -> str:
        """The value of the cookie."""
        return f"{self.secret}.{quote(self.return_to, safe='')}"


@dataclass(frozen=True, slots=True)
class AuthorizationCodeFlow:
    """Redirects browsers to the provider, and creates a session when they return with a code."""

    provider: Provider
    client: Client
    scopes: str
    grant_rules: tuple[GrantRule, ...]
    cookies: Cookies
    session_lifetime: timedelta

    async def start(self, request: Request) -> Response:
        """GET /login: redirect to the provider."""
        attempt = SignInAttempt(
            secrets.token_urlsafe(32), return_url(request.query_params.get("return_to", ""))
        )
        try:
            url = await self._authorization_url(attempt)
        except ProviderError as error:
            return _failed(relative_base(request.scope), attempt.return_to, error)
        response = redirect(url)
        prefix = self.cookies.attempt_prefix
        others = [name for name in request.cookies if name.startswith(prefix)]
        for name in others if len(others) >= _MAX_ATTEMPTS else []:
            self.cookies.delete(request, response, name)
        self.cookies.set(request, response, prefix + attempt.state[:8], attempt.cookie, _ATTEMPT_MAX_AGE)
        return response

    async def _authorization_url(self, attempt: SignInAttempt) -> str:
        endpoint = (await self.provider.endpoints()).authorization_endpoint
        if endpoint is None:
            raise ProviderError("it has no authorization endpoint")
        parameters = {
            "response_type": "code",
            "client_id": self.client.id,
            "redirect_uri": self.client.redirect_uri,
            "scope": self.scopes,
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": attempt.challenge,
            "code_challenge_method": "S256",
        }
        return _with_query(endpoint, parameters)

    async def callback(self, request: Request) -> Response:
        """GET /login/callback: create a session. An attempt counts once, in the browser that began it."""
        base, state = relative_base(request.scope), request.query_params.get("state", "")
        cookie = self.cookies.attempt_prefix + state[:8]
        secret, _, return_to = request.cookies.get(cookie, "").partition(".")
        attempt = SignInAttempt(secret, return_url(unquote(return_to)))
        if not secret or not hmac.compare_digest(attempt.state.encode(), state.encode(errors="replace")):
            text = (
                "This sign-in attempt has expired, or began in another browser. Cookies have to be allowed, "
                "and the page has to be opened under its own address."
            )
            return message_page(base, "Please try again", text, {"Sign in": f"{base}login"}, 400)
        response = await self._complete(request, attempt)
        self.cookies.delete(request, response, cookie)
        return response

    async def _complete(self, request: Request, attempt: SignInAttempt) -> Response:
        base, query = relative_base(request.scope), request.query_params
        try:
            await self._check_issuer(query.get("iss"))
            if "error" in query:
                error = ": ".join(filter(None, (query["error"], query.get("error_description"))))
                text = f"The OpenID provider responded: {error[:_MAX_ERROR_LENGTH]}"
                return _not_signed_in(base, attempt.return_to, text, 403)
            claims = await self.provider.redeem_code(
                query.get("code", ""), attempt.verifier, attempt.nonce, self.client
            )
            identity = identity_from_claims(claims)
            repository = state_of(request).repository
            _, secret = await repository.credentials.create(
                repo.CredentialKind.SESSION,
                identity.name or identity.subject,
                identity,
                access_from_claims(claims, self.grant_rules),
                datetime.now(UTC) + self.session_lifetime,
            )
        except (ProviderError, RequestRefused, repo.DatabaseUnavailable) as error:
            return _failed(base, attempt.return_to, error)
        response = redirect(base + attempt.return_to)
        self.cookies.set(request, response, self.cookies.session, secret, self.session_lifetime)
        return response

    async def _check_issuer(self, issuer: str | None) -> None:
        """Raise ProviderError if the response is from another provider (a mix-up attack, RFC 9207)."""
        endpoints = await self.provider.endpoints()
        if issuer != endpoints.issuer and (issuer is not None or endpoints.sends_issuer):
            raise ProviderError("the response is from another provider")

    async def sign_out_url(self) -> str | None:
        """Where to sign out of the provider too; None if it offers that nowhere."""
        try:
            endpoint = (await self.provider.endpoints()).end_session_endpoint
        except ProviderError:
            return None
        return endpoint and _with_query(endpoint, {"client_id": self.client.id})


def _failed(base: str, return_to: str, error: Exception) -> Response:
    logger.warning("sign-in failed", reason=str(error))
    if isinstance(error, ProviderError):
        return _not_signed_in(base, return_to, f"The OpenID provider cannot be used: {error}.", 502)
    status = error.status if isinstance(error, RequestRefused) else 503
    return _not_signed_in(base, return_to, f"{error}.", status)


def _not_signed_in(base: str, return_to: str, text: str, status: int) -> Response:
    retry = f"{base}login?{urlencode({'return_to': return_to})}"
    return message_page(base, "You are not signed in", text, {"Try again": retry}, status)


def _with_query(url: str, parameters: dict[str, str]) -> str:
    return f"{url}{'&' if '?' in url else '?'}{urlencode(parameters)}"


def _base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")
