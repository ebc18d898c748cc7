"""Owns what is asked of the OpenID provider: where its endpoints are, which keys it signs with, and who
signed in there."""

import asyncio
import contextlib
import time
import warnings
from base64 import b64encode
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from hashlib import sha256
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any
from urllib.parse import quote_plus

import httpx2
import orjson
import structlog
from joserfc import jwk
from joserfc.errors import SecurityWarning

from graph.auth import jwt
from graph.auth.caller import Caller
from graph.auth.roles import GrantRule, caller_of
from graph.auth.trusted_urls import check_safe_address
from graph.transport.request import RequestRefused

logger = structlog.get_logger("rungraph.oidc")

_ANSWERS_WITHIN = 5.0
"""Seconds that the provider has for each answer, all in all."""
_LARGEST_ANSWER = 512 * 1024
_KEPT_FOR = 600.0
"""Seconds after which its keys are read anew: one that it withdrew counts for no longer."""
_SOONEST = 30.0
"""Seconds between two readings, whatever keys tokens name and however the first one went."""
_SOONEST_AT_FIRST = 2.0
"""The same, while no keys are known at all."""
_REMEMBERED_FOR = 60.0
"""Seconds for which a signature that was verified need not be again."""
_MOST_REMEMBERED = 10_000
_SMALLEST_RSA = 2048


class ProviderFailed(Exception):
    """The provider gave no answer that can be used. The message says why and holds no secret."""


@dataclass(frozen=True, slots=True)
class Client:
    """What this server is to the provider."""

    id: str
    secret: str
    """Empty where it has none."""
    redirect_uri: str


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where the provider does what."""

    issuer: str
    jwks_uri: str
    authorization_endpoint: str | None
    token_endpoint: str | None
    end_session_endpoint: str | None
    says_issuer: bool
    """Whether it names itself where it sends somebody back (RFC 9207)."""
    takes_basic: bool
    """Whether a client may show its secret by HTTP Basic, which is the default."""


class Provider:
    """The OpenID provider whose tokens count.

    It is asked for its keys once in a while, and when a token names an unknown one; nothing else waits
    meanwhile, and the keys that are known count for as long as it is away.
    """

    def __init__(self, rules: jwt.Rules, grants: Iterable[GrantRule]) -> None:
        self._rules = rules
        self._grants = tuple(grants)
        self._endpoints: Endpoints | None = None
        self._keys: list[jwk.Key] = []
        self._read_at = self._tried_at = -float("inf")
        self._reading: asyncio.Task[None] | None = None
        self._failure = "it was not asked yet"
        self._remembered: dict[bytes, tuple[Caller, float, float]] = {}
        self._http: httpx2.AsyncClient | None = None

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """It can be asked within; its keys are read at once, but nothing waits for them."""
        no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
        async with httpx2.AsyncClient(follow_redirects=False, cookies=no_cookies) as self._http:
            self._read()
            try:
                yield
            finally:
                if self._reading is not None:
                    self._reading.cancel()
                    await asyncio.wait([self._reading])

    async def caller_of(self, token: str) -> Caller:
        """Who shows this access token. Raises RequestRefused."""
        now = time.time()
        digest = sha256(token.encode(errors="replace")).digest()
        known = self._remembered.get(digest)
        if known is not None and time.monotonic() < known[1] and now < known[2]:
            return known[0]
        claims = await self._checked(token, self._rules, now)
        expires_at = claims["exp"] + self._rules.leeway
        caller = caller_of(claims, self._grants, expires_at)
        if len(self._remembered) >= _MOST_REMEMBERED:
            del self._remembered[next(iter(self._remembered))]
        self._remembered[digest] = (caller, time.monotonic() + _REMEMBERED_FOR, expires_at)
        return caller

    async def _checked(self, token: str, rules: jwt.Rules, now: float) -> dict[str, Any]:
        read = jwt.read(token, rules, now)
        jwt.verify(read, await self._key_for(read))
        return read.claims

    async def _key_for(self, token: jwt.Token) -> jwk.Key:
        if time.monotonic() - self._read_at > _KEPT_FOR:
            self._read()
        if (key := self._find(token)) is None:
            await self._read_now()
            key = self._find(token)
        if key is not None:
            return key
        if not self._keys:
            raise _away(self._failure)
        raise jwt.refused("the token is signed by a key that the provider does not name")

    def _find(self, token: jwt.Token) -> jwk.Key | None:
        fitting = [key for key in self._keys if jwt.fits(key, token)]
        if token.key_id is not None:
            return next((key for key in fitting if key.kid == token.key_id), None)
        # Only one that stands alone needs no name.
        return fitting[0] if len(fitting) == 1 else None

    async def _read_now(self) -> None:
        """Read its keys anew, or wait for who does; return at once where it was asked just now."""
        self._read()
        if self._reading is not None:
            await asyncio.wait([self._reading])

    def _read(self) -> None:
        """Begin to read where nobody does, and nobody did just now."""
        soonest = _SOONEST if self._keys else _SOONEST_AT_FIRST
        if self._reading is None and time.monotonic() - self._tried_at >= soonest:
            self._tried_at = time.monotonic()
            self._reading = asyncio.create_task(self._read_endpoints_and_keys())

    async def _read_endpoints_and_keys(self) -> None:
        try:
            endpoints = _endpoints(
                await self._get(f"{self._rules.issuer.rstrip('/')}/.well-known/openid-configuration"),
                self._rules.issuer,
            )
            keys = _keys(await self._get(endpoints.jwks_uri))
        except ProviderFailed as error:
            self._failure = str(error)
            logger.warning("the keys of the OpenID provider cannot be read", reason=self._failure)
        else:
            if _names(keys) != _names(self._keys):
                # A key that was withdrawn takes with it what was verified by it.
                self._remembered.clear()
                logger.info("the OpenID provider's keys were read", keys=len(keys))
            self._endpoints, self._keys, self._read_at = endpoints, keys, time.monotonic()
        finally:
            self._reading = None

    async def endpoints(self) -> Endpoints:
        """Where the provider does what. Raises ProviderFailed."""
        if self._endpoints is None:
            await self._read_now()
        if self._endpoints is None:
            raise ProviderFailed(self._failure)
        return self._endpoints

    async def redeem(self, code: str, verifier: str, nonce: str, client: Client) -> dict[str, Any]:
        """The claims of the ID token that it gives for the code of somebody who signed in there.

        Raises ProviderFailed, and RequestRefused for a token that does not count.
        """
        endpoints = await self.endpoints()
        if endpoints.token_endpoint is None:
            raise ProviderFailed("it names no token endpoint")
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": client.redirect_uri,
            "code_verifier": verifier,
        }
        headers = {}
        if client.secret and endpoints.takes_basic:
            pair = f"{quote_plus(client.id)}:{quote_plus(client.secret)}"
            headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
        else:
            form["client_id"] = client.id
            if client.secret:
                form["client_secret"] = client.secret
        answer = await self._ask("POST", endpoints.token_endpoint, data=form, headers=headers)
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise ProviderFailed("it gave no ID token")
        rules = jwt.Rules(self._rules.issuer, client.id, self._rules.algorithms, self._rules.leeway)
        claims = await self._checked(token, rules, time.time())
        if claims.get("nonce") != nonce:
            raise jwt.refused("the ID token is for another attempt to sign in")
        if isinstance(claims["aud"], list) and len(claims["aud"]) > 1 and claims.get("azp") != client.id:
            raise jwt.refused("the ID token was given to another client")
        return claims

    async def _get(self, url: str) -> dict[str, Any]:
        return await self._ask("GET", url)

    async def _ask(self, method: str, url: str, **options: Any) -> dict[str, Any]:
        """The JSON object that it answers with. Raises ProviderFailed."""
        assert self._http is not None
        body = bytearray()
        try:
            async with (
                asyncio.timeout(_ANSWERS_WITHIN),
                self._http.stream(method, url, timeout=_ANSWERS_WITHIN, **options) as response,
            ):
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > _LARGEST_ANSWER:
                        raise ProviderFailed(f"its answer is larger than {_LARGEST_ANSWER} bytes")
        except (TimeoutError, httpx2.TimeoutException):
            raise ProviderFailed(f"no answer within {_ANSWERS_WITHIN:g} s") from None
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
            raise ProviderFailed(f"it cannot be reached: {type(error).__name__}") from None
        if response.status_code != 200:
            # What it says beside the status may repeat a code or a secret.
            raise ProviderFailed(f"it answered {response.status_code}")
        try:
            answer = orjson.loads(bytes(body))
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise ProviderFailed("its answer is not a JSON object")
        return answer


def _endpoints(document: dict[str, Any], issuer: str) -> Endpoints:
    if document.get("issuer") != issuer:
        raise ProviderFailed("it calls itself by another name than RUNGRAPH_OIDC_ISSUER")

    def address(name: str) -> str | None:
        url = document.get(name)
        if url is None:
            return None
        try:
            check_safe_address(url.partition("?")[0])
        except (AttributeError, ValueError):
            raise ProviderFailed(f"its `{name}` is not an https:// address") from None
        return str(url)

    if (jwks_uri := address("jwks_uri")) is None:
        raise ProviderFailed("it names no `jwks_uri`")
    methods = document.get("token_endpoint_auth_methods_supported")
    return Endpoints(
        issuer=issuer,
        jwks_uri=jwks_uri,
        authorization_endpoint=address("authorization_endpoint"),
        token_endpoint=address("token_endpoint"),
        end_session_endpoint=address("end_session_endpoint"),
        says_issuer=document.get("authorization_response_iss_parameter_supported") is True,
        takes_basic=not isinstance(methods, list) or "client_secret_basic" in methods,
    )


def _keys(document: dict[str, Any]) -> list[jwk.Key]:
    """The keys that signatures can be checked with; others are passed over, for a provider may have them."""
    found: list[jwk.Key] = []
    entries = document.get("keys")
    for entry in entries if isinstance(entries, list) else []:
        # What is wrong with one of somebody else's keys may be anything, and the others still count.
        with contextlib.suppress(Exception), warnings.catch_warnings():
            warnings.simplefilter("ignore", SecurityWarning)
            key = jwk.import_key(entry)
            is_weak = isinstance(key, jwk.RSAKey) and key.public_key.key_size < _SMALLEST_RSA
            if not is_weak and not isinstance(key, jwk.OctKey):
                found.append(key)
    if not found:
        raise ProviderFailed("it names no key that can be used")
    return found


def _names(keys: list[jwk.Key]) -> list[str]:
    return sorted(key.thumbprint() for key in keys)


def _away(reason: str) -> RequestRefused:
    return RequestRefused(
        503, "SERVICE_UNAVAILABLE", f"the OpenID provider has given no keys: {reason}", retry_after="5"
    )
