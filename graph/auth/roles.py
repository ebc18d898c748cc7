"""Owns who somebody is, and what they may do, by what an OpenID provider says of them."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

import repo
from graph.auth.caller import Caller
from graph.auth.jwt import refused

LONGEST = 255
"""Characters that a subject, a name or an address of mail may have."""

_Name = Annotated[str, Field(min_length=1, max_length=LONGEST)]


def _role(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


class GrantRule(BaseModel):
    """Who has a claim with this value has this role."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    claim: _Name
    """The name of the claim; dots lead into objects, as in `realm_access.roles`."""
    value: _Name
    role: Annotated[repo.Role, BeforeValidator(_role)]
    project: _Name | None = None
    domain: _Name | None = None
    acts_for_others: bool = False

    def holds(self, claims: Mapping[str, Any]) -> bool:
        """Whether the claim has the value: it is the value, a list with it, or a text of words with it, as
        `scope` is."""
        found = _claim(claims, self.claim)
        if isinstance(found, list):
            return self.value in found
        return isinstance(found, str) and (self.value == found or self.value in found.split())


_RULES = TypeAdapter(tuple[GrantRule, ...])


def parse_rules(text: str) -> tuple[GrantRule, ...]:
    """The rules that stand in a setting as JSON; none in an empty one. Raises ValueError, whose message
    repeats no value."""
    if not text:
        return ()
    try:
        return _RULES.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ValueError(
            'must be JSON such as [{"claim": "groups", "value": "data", "role": "operator"}]: '
            + (f"at {where}: {first['type']}" if where else first["type"])
        ) from None


def access_of(claims: Mapping[str, Any], rules: Iterable[GrantRule]) -> repo.Access:
    """What the rules that hold give, all together; nothing at all where none does."""
    held = [rule for rule in rules if rule.holds(claims)]
    return repo.Access(
        frozenset(repo.Grant(rule.role, rule.project, rule.domain) for rule in held),
        acts_for_others=any(rule.acts_for_others for rule in held),
    )


def identity_of(claims: Mapping[str, Any]) -> repo.Identity:
    """Who it is. Raises RequestRefused for a subject that cannot be stored."""
    subject = claims["sub"]
    if len(subject) > LONGEST or not subject.isprintable():
        raise refused(f"the token's `sub` has more than {LONGEST} characters, or some that cannot be shown")
    kind = repo.IdentityKind.APPLICATION if _is_application(claims) else repo.IdentityKind.USER
    return repo.Identity(
        kind, subject, _text(claims, "name") or _text(claims, "preferred_username"), _text(claims, "email")
    )


def caller_of(claims: Mapping[str, Any], rules: Iterable[GrantRule], expires_at: float) -> Caller:
    """Who calls with these claims, until `expires_at` in seconds since 1970. Raises RequestRefused."""
    identity = identity_of(claims)
    return Caller(
        identity,
        access_of(claims, rules),
        f"{identity.kind.name.lower()}:{identity.subject}",
        expires_at=expires_at,
    )


def _is_application(claims: Mapping[str, Any]) -> bool:
    """Whether a program got the token for itself. RFC 9068 has its subject be the client; others say so
    elsewhere."""
    return (
        claims["sub"] in (claims.get("client_id"), claims.get("azp"))
        or claims.get("gty") == "client-credentials"
        or claims.get("idtyp") == "app"
        or str(claims.get("preferred_username", "")).startswith("service-account-")
    )


def _claim(claims: Mapping[str, Any], path: str) -> Any:
    """The claim of this name, or what lies at the end of the path. A name may have dots itself: some are
    addresses."""
    if path in claims:
        return claims[path]
    found: Any = claims
    for name in path.split("."):
        if not isinstance(found, Mapping):
            return None
        found = found.get(name)
    return found


def _text(claims: Mapping[str, Any], name: str) -> str | None:
    """A claim for people to read; None where it is none."""
    value = claims.get(name)
    is_text = isinstance(value, str) and value.isprintable() and 0 < len(value) <= LONGEST
    return value if is_text else None
