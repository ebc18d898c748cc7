"""Maps the claims of an OpenID provider's tokens to identities and roles."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

import repo
from graph.auth.caller import Caller
from graph.errors import invalid_token

MAX_LENGTH = 255
"""Characters of a subject, name or email address."""

_Text = Annotated[str, Field(min_length=1, max_length=MAX_LENGTH)]


class GrantRule(BaseModel):
    """Grants a role to callers whose claim has a value."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    claim: _Text
    """The name of the claim, or a path with dots into objects, such as `realm_access.roles`."""
    value: _Text
    role: Annotated[repo.Role, BeforeValidator(lambda value: value.lower() if type(value) is str else value)]
    project: _Text | None = None
    domain: _Text | None = None
    acts_for_others: bool = False

    def matches(self, claims: Mapping[str, Any]) -> bool:
        """Whether the claim is the value, a list that contains it, or text with it as one of its words, such
        as `scope`."""
        claim = _claim(claims, self.claim)
        if isinstance(claim, list):
            return self.value in claim
        return isinstance(claim, str) and (self.value == claim or self.value in claim.split())


_RULES = TypeAdapter(tuple[GrantRule, ...])


def parse_grant_rules(text: str) -> tuple[GrantRule, ...]:
    """The rules in a JSON setting; none if it is empty. Raises ValueError with a message that repeats no
    value."""
    if not text:
        return ()
    try:
        return _RULES.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        location = ".".join(map(str, first["loc"]))
        raise ValueError(
            'must be JSON such as [{"claim": "groups", "value": "data", "role": "operator"}]: '
            + (f"at {location}: {first['type']}" if location else first["type"])
        ) from None


def access_from_claims(claims: Mapping[str, Any], rules: Iterable[GrantRule]) -> repo.Access:
    """The union of what all matching rules grant; no access if none matches."""
    matching = [rule for rule in rules if rule.matches(claims)]
    return repo.Access(
        frozenset(repo.Grant(rule.role, rule.project, rule.domain) for rule in matching),
        acts_for_others=any(rule.acts_for_others for rule in matching),
    )


def identity_from_claims(claims: Mapping[str, Any]) -> repo.Identity:
    """Raises RequestRefused if the subject cannot be stored."""
    subject = claims["sub"]
    if len(subject) > MAX_LENGTH or not subject.isprintable():
        raise invalid_token(f"`sub` has more than {MAX_LENGTH} characters or unprintable ones")
    kind = repo.IdentityKind.APPLICATION if _is_application(claims) else repo.IdentityKind.USER
    return repo.Identity(
        kind, subject, _text(claims, "name") or _text(claims, "preferred_username"), _text(claims, "email")
    )


def caller_from_claims(claims: Mapping[str, Any], rules: Iterable[GrantRule], expires_at: float) -> Caller:
    """The caller with a token that expires at `expires_at`, in seconds since 1970. Raises RequestRefused."""
    identity = identity_from_claims(claims)
    return Caller(
        identity,
        access_from_claims(claims, rules),
        f"{identity.kind.name.lower()}:{identity.subject}",
        expires_at=expires_at,
    )


def _is_application(claims: Mapping[str, Any]) -> bool:
    """Whether a program got the token for itself. In RFC 9068 its subject is then the client id; some
    providers say so in claims of their own."""
    return (
        claims["sub"] in (claims.get("client_id"), claims.get("azp"))
        or claims.get("gty") == "client-credentials"
        or claims.get("idtyp") == "app"
        or str(claims.get("preferred_username", "")).startswith("service-account-")
    )


def _claim(claims: Mapping[str, Any], path: str) -> Any:
    # Names may contain dots themselves: some are URLs.
    if path in claims:
        return claims[path]
    value: Any = claims
    for name in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return value


def _text(claims: Mapping[str, Any], name: str) -> str | None:
    """A claim to display; None if it is missing or not displayable."""
    value = claims.get(name)
    is_text = isinstance(value, str) and value.isprintable() and 0 < len(value) <= MAX_LENGTH
    return value if is_text else None
