"""Reads and checks a token that an OpenID provider signed. `graph.auth.oidc` has the keys.

What costs little comes first: whoever sends junk must not have signatures verified.
"""

import binascii
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import orjson
from joserfc.errors import JoseError
from joserfc.jwa import JWS_ALGORITHMS
from joserfc.jwk import Key

from graph.transport.request import RequestRefused

MAX_LENGTH = 8192
"""Characters that a token may have. Headers of servers and proxies end there too."""

# Whoever may check a signature by a secret may also make one: HS256 and its like are none of a provider's.
_ALGORITHMS = {a.name: a for a in JWS_ALGORITHMS if not a.name.startswith(("HS", "none"))}
ALGORITHMS = frozenset(_ALGORITHMS)
"""What a token may be signed by at all."""

_FORM = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+", re.ASCII)
# RFC 9068 gives access tokens a type of their own. Many providers say only JWT, or nothing.
_TYPES = {"jwt", "at+jwt", "application/at+jwt", "application/jwt"}


@dataclass(frozen=True, slots=True)
class Rules:
    """What a token has to be like."""

    issuer: str
    audience: str
    algorithms: Collection[str]
    leeway: float
    """Seconds that the clock of the provider and ours may differ."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token as it was read; nothing of it is true before `verify`."""

    algorithm: str
    key_id: str | None
    claims: dict[str, Any]
    signed: bytes
    signature: bytes


def read(text: str, rules: Rules, now: float) -> Token:
    """The token, with all checked but its signature. `now` is in seconds since 1970.

    Keys that a token brings with it (`jwk`, `jku`, `x5u`, `x5c`) are not looked at. Raises RequestRefused.
    """
    if len(text) > MAX_LENGTH:
        raise refused(f"the token is longer than {MAX_LENGTH} characters")
    if not _FORM.fullmatch(text):
        raise refused("the token is not a signed JWT")
    head, body, signature = text.split(".")
    header = _object(head, "header")
    algorithm, key_id = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in rules.algorithms:
        raise refused("the token is signed by an algorithm that is not allowed")
    if key_id is not None and not isinstance(key_id, str):
        raise refused("the token's `kid` is not a string")
    if "crit" in header:
        raise refused("the token's header has a `crit`, and nothing that could be in it is understood")
    kind = header.get("typ", "JWT")
    if not isinstance(kind, str) or kind.lower() not in _TYPES:
        raise refused("the token is of another type than JWT")
    claims = _object(body, "body")
    _check(claims, rules, now)
    return Token(algorithm, key_id, claims, text[: len(head) + len(body) + 1].encode(), _decode(signature))


def _check(claims: dict[str, Any], rules: Rules, now: float) -> None:
    if claims.get("iss") != rules.issuer:
        raise refused("the token is of another issuer")
    audience = claims.get("aud")
    if rules.audience not in (audience if isinstance(audience, list) else [audience]):
        raise refused("the token is for another audience")
    expires = _time(claims, "exp")
    if expires is None:
        raise refused("the token has no `exp`: it would never expire")
    if expires <= now - rules.leeway:
        raise refused("the token has expired")
    if (_time(claims, "nbf") or 0) > now + rules.leeway:
        raise refused("the token is not valid yet")
    if (_time(claims, "iat") or 0) > now + rules.leeway:
        raise refused("the token was issued in the future: one of the clocks is wrong")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not subject:
        raise refused("the token has no `sub`: it says nobody")


def fits(key: Key, token: Token) -> bool:
    """Whether the key is for signatures such as this token's."""
    try:
        _ALGORITHMS[token.algorithm].check_key(key)
    except JoseError:
        return False
    return True


def verify(token: Token, key: Key) -> None:
    """Return if the key made the signature. It takes 50 to 150 µs. Raises RequestRefused."""
    try:
        is_right = _ALGORITHMS[token.algorithm].verify(token.signed, token.signature, key)
    except (JoseError, ValueError):
        is_right = False
    if not is_right:
        raise refused("the token's signature is wrong")


def refused(message: str) -> RequestRefused:
    """What is answered to somebody whose token does not count; the message repeats nothing of it."""
    return RequestRefused(
        401, "UNAUTHENTICATED", message, WWW_Authenticate='Bearer realm="rungraph", error="invalid_token"'
    )


def _object(part: str, what: str) -> dict[str, Any]:
    try:
        value = orjson.loads(_decode(part))
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise refused(f"the token's {what} is not a JSON object")
    return value


def _decode(part: str) -> bytes:
    padded = part.replace("-", "+").replace("_", "/") + "=" * (-len(part) % 4)
    try:
        return binascii.a2b_base64(padded)
    except binascii.Error:
        raise refused("the token is not base64") from None


def _time(claims: dict[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise refused(f"the token's `{name}` is not a time")
    return value
