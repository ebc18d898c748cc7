"""Form, header and claims of JSON Web Tokens; the signatures are in test_oidc.py."""

import json
from dataclasses import replace
from typing import Any

import pytest

from graph.auth import jwt
from graph.errors import RequestRefused
from tests.support.provider import AUDIENCE, crafted, encoded, new_key

NOW = 1_800_000_000
RULES = jwt.TokenRules("https://login.example.com", AUDIENCE, {"RS256", "ES256"}, leeway=30)
CLAIMS = {"iss": RULES.issuer, "aud": AUDIENCE, "sub": "user-1", "exp": NOW + 300}


def check(claims: dict[str, Any], **header: Any) -> dict[str, Any]:
    """The claims of a token at the time NOW, without a check of its signature."""
    present = {name: value for name, value in {**CLAIMS, **claims}.items() if value is not None}
    return jwt.parse(crafted(present, **header), RULES, NOW).claims


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        ({"iss": "https://other.example.com"}, "[Cc]laim:? 'iss'"),
        ({"iss": RULES.issuer + "/"}, "[Cc]laim:? 'iss'"),
        ({"iss": None}, "[Cc]laim:? 'iss'"),
        ({"iss": [RULES.issuer]}, "[Cc]laim:? 'iss'"),
        ({"aud": "other"}, "[Cc]laim:? 'aud'"),
        ({"aud": ["other"]}, "[Cc]laim:? 'aud'"),
        ({"aud": []}, "[Cc]laim:? 'aud'"),
        ({"aud": {AUDIENCE: 1}}, "[Cc]laim:? 'aud'"),
        ({"aud": None}, "[Cc]laim:? 'aud'"),
        ({"aud": AUDIENCE + "-2"}, "[Cc]laim:? 'aud'"),
        ({"exp": None}, "Missing claim: 'exp'"),
        ({"exp": str(NOW + 300)}, "'exp' must be"),
        ({"exp": True}, "'exp' must be"),
        ({"nbf": [NOW]}, "'nbf' must be"),
        ({"iat": "now"}, "'iat' must be"),
        ({"exp": NOW - 31}, "is expired"),
        ({"exp": NOW - 30}, "is expired"),
        ({"exp": -1}, "is expired"),
        ({"nbf": NOW + 31}, "not yet valid"),
        ({"iat": NOW + 31}, "issued in the future"),
        ({"sub": None}, "[Cc]laim:? 'sub'"),
        ({"sub": ""}, "[Cc]laim:? 'sub'"),
        ({"sub": 17}, "[Cc]laim:? 'sub'"),
    ],
)
def test_a_token_with_invalid_claims_is_refused(claims: dict[str, Any], words: str) -> None:
    with pytest.raises(RequestRefused, match=words):
        check(claims)


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"exp": NOW - 29},
        {"exp": NOW + 0.5},
        {"nbf": NOW + 30, "iat": NOW + 30},
        {"aud": ["other", AUDIENCE]},
    ],
)
def test_clocks_may_differ_by_the_leeway(claims: dict[str, Any]) -> None:
    assert check(claims)["sub"] == "user-1"


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ({"crit": ["exp"], "exp": 1}, "`crit`"),
        ({"crit": ["b64"], "b64": False}, "`crit`"),
        ({"crit": []}, "`crit`"),
        ({"typ": "logout+jwt"}, "another type"),
        ({"typ": "dpop+jwt"}, "another type"),
        ({"typ": 1}, "another type"),
        ({"kid": 1}, "`kid`"),
        ({"alg": None}, "not allowed"),
        ({"alg": ["RS256"]}, "not allowed"),
        ({"alg": "ES384"}, "not allowed"),
    ],
)
def test_a_token_with_an_invalid_header_is_refused(header: dict[str, Any], words: str) -> None:
    with pytest.raises(RequestRefused, match=words):
        check({}, **header)


@pytest.mark.parametrize("kind", ["JWT", "jwt", "at+jwt", "application/at+jwt"])
def test_the_types_of_access_tokens_are_accepted(kind: str) -> None:
    assert check({}, typ=kind)["sub"] == "user-1"


def joined(header: bytes, claims: bytes) -> str:
    return f"{encoded(header)}.{encoded(claims)}.xx"


FINE = b'{"alg": "RS256"}'


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "a.b",
        "a.b.c.d",
        "a.b.c.d.e",
        "..",
        "a..c",
        "a.b.",
        "é.b.c",
        "a b.c.d",
        "a.b.c\n",
        "=.=.=",
        "a.a.a",
        "a" * 100_000,
        ".".join(["e" * 3000] * 3),
        joined(b"null", b"{}"),
        joined(b"{}", b"{}"),
        joined(b"[" * 3000, b"{}"),
        joined(b"\xff", b"{}"),
        joined(FINE, b"null"),
        joined(FINE, b'"text"'),
        joined(FINE, b'{"exp": NaN}'),
        joined(FINE, b"[" * 2000 + b"]" * 2000),
        joined(FINE, b"\xff"),
    ],
)
def test_malformed_tokens_are_refused(text: str) -> None:
    with pytest.raises(RequestRefused) as caught:
        jwt.parse(text, RULES, NOW)
    assert (caught.value.status, caught.value.code) == (401, "UNAUTHENTICATED")


def test_a_token_that_is_too_long_is_refused() -> None:
    assert check({"more": "x" * 5000})["sub"] == "user-1"
    with pytest.raises(RequestRefused, match="longer than 8192 characters"):
        check({"more": "x" * 8192})


def test_a_key_of_another_type_does_not_verify() -> None:
    token = jwt.parse(crafted(CLAIMS, alg="EdDSA"), replace(RULES, algorithms={"EdDSA"}), NOW)
    with pytest.raises(RequestRefused, match="wrong signature"):
        jwt.verify(token, new_key("RS256"))


@pytest.mark.parametrize("number", ["1e999", "-1e999", "NaN", "Infinity", "9" * 400])
def test_times_that_are_not_finite_are_refused(number: str) -> None:
    head, _, signature = crafted(CLAIMS).split(".")
    claims = json.dumps(CLAIMS).encode().replace(str(CLAIMS["exp"]).encode(), number.encode())
    with pytest.raises(RequestRefused, match="not a JSON object|out of range"):
        jwt.parse(".".join((head, encoded(claims), signature)), RULES, NOW)
