"""A real OpenID provider whose keys and errors the tests control."""

import asyncio
import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import parse_qs, parse_qsl, unquote_plus, urlencode

from joserfc import jwk
from joserfc.jwa import JWS_ALGORITHMS
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from tests.support.serving import serving

CLIENT = "rungraph-page"
SECRET = "s3cret-of-the-client"
AUDIENCE = "rungraph-api"
_ALGORITHMS = {each.name: each for each in JWS_ALGORITHMS}
KINDS: dict[str, tuple[Literal["RSA", "EC", "OKP"], Any]] = {
    "RS256": ("RSA", 2048),
    "PS256": ("RSA", 2048),
    "ES256": ("EC", "P-256"),
    "Ed25519": ("OKP", "Ed25519"),
}


def new_key(algorithm: str = "ES256") -> jwk.Key:
    """A private key for this algorithm, with a unique id."""
    kind, size = KINDS[algorithm]
    parameters: jwk.KeyParameters = {"kid": secrets.token_hex(4), "use": "sig", "alg": algorithm}
    return jwk.JWKRegistry.generate_key(kind, size, parameters)


def signed(key: jwk.Key, claims: dict[str, Any], **header: Any) -> str:
    """A token with these claims, signed with the key. Header fields of None are omitted."""
    unsigned = crafted(claims, b"", **{"alg": key.alg, "kid": key.kid, **header})
    return unsigned + encoded(_ALGORITHMS[key.alg or ""].sign(unsigned[:-1].encode(), key))


def crafted(claims: object, signature: bytes = b"forged", **header: Any) -> str:
    """A token with any signature, as an attacker may send."""
    head = {
        name: value for name, value in {"alg": "RS256", "kid": "k", **header}.items() if value is not None
    }
    return ".".join(
        encoded(part) for part in (json.dumps(head).encode(), json.dumps(claims).encode(), signature)
    )


def encoded(data: bytes) -> str:
    """Base64 as used in tokens."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _set() -> threading.Event:
    event = threading.Event()
    event.set()
    return event


@dataclass
class FakeProvider:
    """A provider with one client and one user, which records requests."""

    keys: list[jwk.Key] = field(default_factory=lambda: [new_key()])
    """The first one signs; all are published."""
    user: dict[str, Any] = field(default_factory=lambda: {"sub": "user-1", "name": "User One"})
    """The claims of the user."""
    signs_with: jwk.Key | None = None
    """The key that signs ID tokens, instead of the first one."""
    secret: str = SECRET
    """The client's secret; empty for none."""
    url: str = ""
    requests: list[str] = field(default_factory=list)
    """The requested paths."""
    forms: list[dict[str, str]] = field(default_factory=list)
    """The forms posted to the token endpoint."""
    answers: dict[str, Response] = field(default_factory=dict)
    """Responses by path that replace the correct ones."""
    discovery: dict[str, Any] = field(default_factory=dict)
    """Fields that are added to the discovery document, or replace its own."""
    responding: threading.Event = field(default_factory=_set)
    """While it is not set, no response is sent."""
    denies: str | None = None
    """The error code with which sign-ins are denied."""
    more: dict[str, Any] = field(default_factory=dict)
    """Claims that are added to ID tokens, or replace the correct ones."""
    _codes: dict[str, dict[str, str]] = field(default_factory=dict)

    @contextmanager
    def serving(self, port: int = 0) -> Iterator["FakeProvider"]:
        """Serves while the context is open."""
        paths = {
            "/.well-known/openid-configuration": self._discover,
            "/keys": self._name_keys,
            "/authorize": self._authorize,
            "/token": self.redeem,
        }
        routes = [
            Route(path, self._at(path, answer), methods=["GET", "POST"]) for path, answer in paths.items()
        ]
        with serving(Starlette(routes=routes), port) as self.url:
            try:
                yield self
            finally:
                self.responding.set()

    def token(self, **claims: Any) -> str:
        """An access token of the user; claims of None are omitted."""
        return signed(self.keys[0], self.claims(AUDIENCE, **claims))

    def claims(self, audience: str, **claims: Any) -> dict[str, Any]:
        """The claims of a correct token."""
        now = int(time.time())
        right = {"iss": self.url, "aud": audience, "iat": now, "exp": now + 300, **self.user}
        return {name: value for name, value in {**right, **claims}.items() if value is not None}

    def rotate(self, algorithm: str = "ES256") -> None:
        """Replaces the keys by a new one."""
        self.keys = [new_key(algorithm)]

    def _at(self, path: str, answer: Any) -> Any:
        async def endpoint(request: Request) -> Response:
            self.requests.append(path)
            while not self.responding.is_set():  # noqa: ASYNC110 - it is set in another thread
                await asyncio.sleep(0.01)
            if path in self.answers:
                return self.answers[path]
            response: Response = await answer(request)
            return response

        return endpoint

    async def _discover(self, request: Request) -> Response:
        here = self.url
        return JSONResponse(
            {
                "issuer": here,
                "jwks_uri": f"{here}/keys",
                "authorization_endpoint": f"{here}/authorize",
                "token_endpoint": f"{here}/token",
                **self.discovery,
            }
        )

    async def _name_keys(self, request: Request) -> Response:
        return JSONResponse({"keys": [key.as_dict(private=False) for key in self.keys]})

    async def _authorize(self, request: Request) -> Response:
        """Signs the user in at once."""
        query = dict(request.query_params)
        assert (query["client_id"], query["response_type"]) == (CLIENT, "code")
        assert query["code_challenge_method"] == "S256"
        assert "openid" in query["scope"].split()
        back = {"state": query["state"]}
        if self.denies is not None:
            back |= {"error": self.denies, "error_description": "<b>not today</b>"}
        else:
            back["code"] = secrets.token_urlsafe()
            self._codes[back["code"]] = query
        if self.discovery.get("authorization_response_iss_parameter_supported"):
            back["iss"] = self.url
        return RedirectResponse(f"{query['redirect_uri']}?{urlencode(back)}", 302)

    async def redeem(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode()))
        self.forms.append(form)
        if self._client(request, form) != (CLIENT, self.secret):
            return JSONResponse({"error": "invalid_client"}, 401)
        # A code can be redeemed once.
        query = self._codes.pop(form.get("code", ""), None)
        if query is None or form["redirect_uri"] != query["redirect_uri"]:
            return JSONResponse({"error": "invalid_grant"}, 400)
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        if base64.urlsafe_b64encode(digest).decode().rstrip("=") != query["code_challenge"]:
            return JSONResponse({"error": "invalid_grant"}, 400)
        claims = {**self.claims(CLIENT, nonce=query["nonce"]), **self.more}
        claims = {name: value for name, value in claims.items() if value is not None}
        token = signed(self.signs_with or self.keys[0], claims)
        return JSONResponse({"id_token": token, "access_token": self.token(), "token_type": "Bearer"})

    def _client(self, request: Request, form: dict[str, str]) -> tuple[str, str]:
        kind, _, pair = request.headers.get("authorization", "").partition(" ")
        if kind == "Basic":
            id, _, secret = base64.b64decode(pair).decode().partition(":")
            return unquote_plus(id), unquote_plus(secret)
        return form.get("client_id", ""), form.get("client_secret", "")


def query_of(address: str) -> dict[str, str]:
    """The query parameters of a URL, each with one value."""
    return {name: value for name, (value,) in parse_qs(address.partition("?")[2]).items()}
