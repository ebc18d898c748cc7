"""The OpenID provider: its endpoints and signing keys, and the tokens it issues."""

import asyncio
import contextlib
import time
import warnings
from base64 import b64encode
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, replace
from hashlib import sha256
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any
from urllib.parse import quote_plus

import httpx2
import msgspec
import structlog
from joserfc import jwk
from joserfc.errors import SecurityWarning

from graph.auth import jwt
from graph.auth.caller import Caller
from graph.auth.claims import GrantRule, caller_from_claims
from graph.auth.origins import check_safe_url
from graph.errors import RequestRefused, invalid_token

logger = structlog.get_logger("rungraph.oidc")

RESPONSE_TIMEOUT = 5.0
"""Seconds for a complete response of the provider."""
_MAX_RESPONSE_BYTES = 512 * 1024
REFRESH_INTERVAL = 600.0
"""Seconds after which keys are read again, so that withdrawn ones are no longer accepted."""
MIN_REFRESH_INTERVAL = 30.0
"""Seconds between two reads, whatever keys tokens name and however the last read went."""
MIN_RETRY_INTERVAL = 2.0
"""The same while no keys are known at all."""
CACHE_SECONDS = 60.0
"""For how long the caller of a verified token is cached."""
MAX_CACHED = 10_000
_MIN_RSA_BITS = 2048


class ProviderError(Exception):
    """The provider did not return a usable response. The message is safe to display."""


@dataclass(frozen=True, slots=True)
class Client:
    """The registration of this server with the provider."""

    id: str
    secret: str
    """Empty for a public client."""
    redirect_uri: str


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The discovery document."""

    issuer: str
    jwks_uri: str
    authorization_endpoint: str | None
    token_endpoint: str | None
    end_session_endpoint: str | None
    sends_issuer: bool
    """Whether `iss` is in authorization responses (RFC 9207)."""
    accepts_basic: bool
    """Whether clients may authenticate by HTTP Basic, the default."""


class Provider:
    """A trusted OpenID provider.

    Its keys are read at start, periodically, and when a token names an unknown one. Requests with known keys
    do not wait for that, and known keys stay valid while the provider is unavailable.
    """

    def __init__(self, rules: jwt.TokenRules, grant_rules: Iterable[GrantRule]) -> None:
        self._rules = rules
        self._grant_rules = tuple(grant_rules)
        self._endpoints: Endpoints | None = None
        self._keys: list[jwk.Key] = []
        self._read_at = self._tried_at = -float("inf")
        self._refreshing: asyncio.Task[None] | None = None
        self._failure = "not read yet"
        self._cache: dict[bytes, tuple[Caller, float, float]] = {}
        self._http: httpx2.AsyncClient | None = None

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Open the HTTP client and begin to read the keys, without waiting for them."""
        no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
        async with httpx2.AsyncClient(follow_redirects=False, cookies=no_cookies) as self._http:
            self._start_refresh()
            try:
                yield
            finally:
                if self._refreshing is not None:
                    self._refreshing.cancel()
                    await asyncio.wait([self._refreshing])

    async def caller_of(self, token: str) -> Caller:
        """The caller with this access token. Raises RequestRefused."""
        now = time.time()
        digest = sha256(token.encode(errors="replace")).digest()
        cached = self._cache.get(digest)
        if cached is not None and time.monotonic() < cached[1] and now < cached[2]:
            return cached[0]
        claims = await self._verify(token, self._rules, now)
        expires_at = claims["exp"] + self._rules.leeway
        caller = caller_from_claims(claims, self._grant_rules, expires_at)
        if len(self._cache) >= MAX_CACHED:
            del self._cache[next(iter(self._cache))]
        self._cache[digest] = (caller, time.monotonic() + CACHE_SECONDS, expires_at)
        return caller

    async def _verify(self, text: str, rules: jwt.TokenRules, now: float) -> dict[str, Any]:
        """The claims of a valid token. Raises RequestRefused."""
        token = jwt.parse(text, rules, now)
        jwt.verify(token, await self._key_for(token))
        return token.claims

    async def _key_for(self, token: jwt.Token) -> jwk.Key:
        if time.monotonic() - self._read_at > REFRESH_INTERVAL:
            self._start_refresh()
        if (key := self._find_key(token)) is None:
            await self._refresh()
            key = self._find_key(token)
        if key is not None:
            return key
        if not self._keys:
            raise RequestRefused(
                503,
                "SERVICE_UNAVAILABLE",
                f"The keys of the OpenID provider are unavailable: {self._failure}",
                retry_after="5",
            )
        raise invalid_token("signed by a key that the provider does not publish")

    def _find_key(self, token: jwt.Token) -> jwk.Key | None:
        candidates = [key for key in self._keys if jwt.is_key_for(key, token)]
        if token.key_id is not None:
            return next((key for key in candidates if key.kid == token.key_id), None)
        # Without a `kid`, only a single candidate is unambiguous.
        return candidates[0] if len(candidates) == 1 else None

    async def _refresh(self) -> None:
        """Read the keys again, or wait for the read in progress. Returns at once if one has just ended."""
        self._start_refresh()
        if self._refreshing is not None:
            await asyncio.wait([self._refreshing])

    def _start_refresh(self) -> None:
        interval = MIN_REFRESH_INTERVAL if self._keys else MIN_RETRY_INTERVAL
        if self._refreshing is None and time.monotonic() - self._tried_at >= interval:
            self._tried_at = time.monotonic()
            self._refreshing = asyncio.create_task(self._read_endpoints_and_keys())

    async def _read_endpoints_and_keys(self) -> None:
        try:
            issuer = self._rules.issuer
            discovery = await self._request("GET", f"{issuer.rstrip('/')}/.well-known/openid-configuration")
            endpoints = _parse_endpoints(discovery, issuer)
            keys = parse_keys(await self._request("GET", endpoints.jwks_uri))
        except ProviderError as error:
            self._failure = str(error)
            logger.warning("cannot read the keys of the OpenID provider", reason=self._failure)
        else:
            if _thumbprints(keys) != _thumbprints(self._keys):
                # Tokens that were verified with a withdrawn key are no longer valid.
                self._cache.clear()
                logger.info("read the keys of the OpenID provider", keys=len(keys))
            self._endpoints, self._keys, self._read_at = endpoints, keys, time.monotonic()
        finally:
            self._refreshing = None

    async def endpoints(self) -> Endpoints:
        """The provider's endpoints. Raises ProviderError."""
        if self._endpoints is None:
            await self._refresh()
        if self._endpoints is None:
            raise ProviderError(self._failure)
        return self._endpoints

    async def redeem_code(self, code: str, verifier: str, nonce: str, client: Client) -> dict[str, Any]:
        """Exchange an authorization code for an ID token, and return its claims.

        Raises ProviderError, and RequestRefused for an invalid ID token.
        """
        endpoints = await self.endpoints()
        if endpoints.token_endpoint is None:
            raise ProviderError("it has no token endpoint")
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": client.redirect_uri,
            "code_verifier": verifier,
        }
        headers = {}
        if client.secret and endpoints.accepts_basic:
            pair = f"{quote_plus(client.id)}:{quote_plus(client.secret)}"
            headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
        else:
            form["client_id"] = client.id
            if client.secret:
                form["client_secret"] = client.secret
        response = await self._request("POST", endpoints.token_endpoint, data=form, headers=headers)
        token = response.get("id_token")
        if not isinstance(token, str):
            raise ProviderError("it sent no ID token")
        claims = await self._verify(token, replace(self._rules, audience=client.id), time.time())
        if claims.get("nonce") != nonce:
            raise invalid_token("issued for another sign-in attempt")
        if isinstance(claims["aud"], list) and len(claims["aud"]) > 1 and claims.get("azp") != client.id:
            raise invalid_token("issued to another client")
        return claims

    async def _request(self, method: str, url: str, **options: Any) -> dict[str, Any]:
        """The JSON object in the response. Raises ProviderError."""
        assert self._http is not None
        body = bytearray()
        try:
            async with (
                asyncio.timeout(RESPONSE_TIMEOUT),
                self._http.stream(method, url, timeout=RESPONSE_TIMEOUT, **options) as response,
            ):
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > _MAX_RESPONSE_BYTES:
                        raise ProviderError(f"its response is larger than {_MAX_RESPONSE_BYTES} bytes")
        except (TimeoutError, httpx2.TimeoutException):
            raise ProviderError(f"no response within {RESPONSE_TIMEOUT:g} s") from None
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
            raise ProviderError(f"cannot connect: {type(error).__name__}") from None
        if response.status_code != 200:
            # The body is not repeated: it may contain a code or a secret.
            raise ProviderError(f"it responded with status {response.status_code}")
        try:
            content = msgspec.json.decode(body)
        except (msgspec.DecodeError, ValueError, RecursionError):
            content = None
        if not isinstance(content, dict):
            raise ProviderError("its response is not a JSON object")
        return content


def _parse_endpoints(document: dict[str, Any], issuer: str) -> Endpoints:
    if document.get("issuer") != issuer:
        raise ProviderError("its `issuer` is not RUNGRAPH_OIDC_ISSUER")

    def endpoint(name: str) -> str | None:
        url = document.get(name)
        if url is None:
            return None
        try:
            check_safe_url(url.partition("?")[0])
        except (AttributeError, ValueError):
            raise ProviderError(f"its `{name}` is not an https:// URL") from None
        return str(url)

    if (jwks_uri := endpoint("jwks_uri")) is None:
        raise ProviderError("it has no `jwks_uri`")
    methods = document.get("token_endpoint_auth_methods_supported")
    return Endpoints(
        issuer=issuer,
        jwks_uri=jwks_uri,
        authorization_endpoint=endpoint("authorization_endpoint"),
        token_endpoint=endpoint("token_endpoint"),
        end_session_endpoint=endpoint("end_session_endpoint"),
        sends_issuer=document.get("authorization_response_iss_parameter_supported") is True,
        accepts_basic=not isinstance(methods, list) or "client_secret_basic" in methods,
    )


def parse_keys(document: dict[str, Any]) -> list[jwk.Key]:
    """The keys that can verify signatures. Others are skipped, as providers may publish them."""
    keys: list[jwk.Key] = []
    entries = document.get("keys")
    for entry in entries if isinstance(entries, list) else []:
        # A malformed key may raise anything, and the others are still usable.
        with contextlib.suppress(Exception), warnings.catch_warnings():
            warnings.simplefilter("ignore", SecurityWarning)
            key = jwk.import_key(entry)
            is_weak = isinstance(key, jwk.RSAKey) and key.public_key.key_size < _MIN_RSA_BITS
            if not is_weak and not isinstance(key, jwk.OctKey):
                keys.append(key)
    if not keys:
        raise ProviderError("it publishes no usable key")
    return keys


def _thumbprints(keys: list[jwk.Key]) -> list[str]:
    return sorted(key.thumbprint() for key in keys)
