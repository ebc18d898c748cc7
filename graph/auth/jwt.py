"""Checks JSON Web Tokens of an OpenID provider: form, header, claims and signature.

Cheap checks come first, so that junk does not cost a signature verification. Keys that a token brings with it
(`jwk`, `jku`, `x5u`, `x5c`) are ignored.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import msgspec
from joserfc.errors import JoseError
from joserfc.jwa import JWS_ALGORITHMS
from joserfc.jwk import Key
from joserfc.jwt import JWTClaimsRegistry
from joserfc.util import urlsafe_b64decode

from graph.errors import invalid_token

MAX_LENGTH = 8192
"""Characters of a token. Header limits of servers and proxies are of this size too."""

# With a shared secret (HS256), everyone who can verify a signature can also forge one.
_ALGORITHMS = {a.name: a for a in JWS_ALGORITHMS if not a.name.startswith(("HS", "none"))}
ALGORITHMS = frozenset(_ALGORITHMS)
"""The supported signature algorithms, all of them asymmetric."""

_MAX_TIME = 2**53
"""Seconds since 1970 that a double represents exactly."""

_FORM = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+", re.ASCII)
# Access tokens have a type of their own (RFC 9068), but many providers send JWT or nothing.
_TYPES = {"jwt", "at+jwt", "application/at+jwt", "application/jwt"}


@dataclass(frozen=True, slots=True)
class TokenRules:
    """What a token has to contain."""

    issuer: str
    audience: str
    algorithms: Collection[str]
    leeway: float
    """Seconds that the clocks of the provider and of this server may differ."""


@dataclass(frozen=True, slots=True)
class Token:
    """A parsed token, not to be trusted before `verify`."""

    algorithm: str
    key_id: str | None
    claims: dict[str, Any]
    signed: bytes
    signature: bytes


def parse(text: str, rules: TokenRules, now: float) -> Token:
    """Parse a token and check everything but its signature. `now` is in seconds since 1970.

    Raises RequestRefused.
    """
    if len(text) > MAX_LENGTH:
        raise invalid_token(f"longer than {MAX_LENGTH} characters")
    if not _FORM.fullmatch(text):
        raise invalid_token("not a signed JWT")
    head, body, signature = text.split(".")
    header, claims = _json_object(head, "header"), _json_object(body, "claims")
    algorithm, key_id = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in rules.algorithms:
        raise invalid_token("signed by an algorithm that is not allowed")
    if key_id is not None and not isinstance(key_id, str):
        raise invalid_token("`kid` is not a string")
    if "crit" in header:
        raise invalid_token("`crit` is not supported")
    kind = header.get("typ", "JWT")
    if not isinstance(kind, str) or kind.lower() not in _TYPES:
        raise invalid_token("of another type than JWT")
    _check_claims(claims, rules, now)
    return Token(algorithm, key_id, claims, f"{head}.{body}".encode(), _decode(signature, "signature"))


def _check_claims(claims: dict[str, Any], rules: TokenRules, now: float) -> None:
    registry = JWTClaimsRegistry(
        now,  # type: ignore[arg-type]  # fractions of a second are compared as well
        rules.leeway,  # type: ignore[arg-type]
        iss={"essential": True, "value": rules.issuer},
        aud={"essential": True, "value": rules.audience},
        exp={"essential": True},
        sub={"essential": True},
    )
    for name in ("exp", "nbf", "iat"):
        if isinstance(claims.get(name), int) and abs(claims[name]) > _MAX_TIME:
            raise invalid_token(f"`{name}` is out of range")
    checked = {name: claims.get(name) for name in ("iss", "aud", "exp", "nbf", "iat", "sub")}
    try:
        registry.validate({name: value for name, value in checked.items() if value is not None})
    except JoseError as error:
        raise invalid_token(error.description) from None


def is_key_for(key: Key, token: Token) -> bool:
    """Whether the key is of the kind that the token's algorithm needs."""
    try:
        _ALGORITHMS[token.algorithm].check_key(key)
    except JoseError:
        return False
    return True


def verify(token: Token, key: Key) -> None:
    """Check the signature, which takes 50 to 150 µs. Raises RequestRefused."""
    try:
        is_valid = _ALGORITHMS[token.algorithm].verify(token.signed, token.signature, key)
    except (JoseError, ValueError):
        is_valid = False
    if not is_valid:
        raise invalid_token("wrong signature")


def _json_object(part: str, name: str) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(_decode(part, name))
    except (msgspec.DecodeError, ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise invalid_token(f"the {name} is not a JSON object")
    return value


def _decode(part: str, name: str) -> bytes:
    try:
        return urlsafe_b64decode(part.encode())
    except ValueError:
        raise invalid_token(f"the {name} is not base64url") from None
