"""Identities and roles from the claims of an OpenID provider."""

import json
from typing import Any

import pytest

from graph.auth.claims import (
    access_from_claims,
    caller_from_claims,
    identity_from_claims,
    parse_grant_rules,
)
from graph.errors import RequestRefused
from repo import Access, Grant, Identity, IdentityKind, Role


def access(claims: dict[str, Any], *rules: dict[str, Any]) -> Access:
    return access_from_claims(claims, parse_grant_rules(json.dumps(rules)))


def rule(claim: str, value: str, role: str = "viewer", **more: Any) -> dict[str, Any]:
    return {"claim": claim, "value": value, "role": role, **more}


@pytest.mark.parametrize(
    ("claims", "claim", "value"),
    [
        ({"groups": ["a", "data"]}, "groups", "data"),
        ({"group": "data"}, "group", "data"),
        ({"scope": "openid data email"}, "scope", "data"),
        ({"team": "the data team"}, "team", "the data team"),
        ({"realm_access": {"roles": ["data"]}}, "realm_access.roles", "data"),
        ({"resource_access": {"runs": {"roles": ["data"]}}}, "resource_access.runs.roles", "data"),
        ({"https://example.com/groups": ["data"]}, "https://example.com/groups", "data"),
    ],
)
def test_a_matching_claim_grants_a_role(claims: dict[str, Any], claim: str, value: str) -> None:
    assert access(claims, rule(claim, value, "operator")).grants == {Grant(Role.OPERATOR)}


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"groups": []},
        {"groups": ["database"]},
        {"groups": ["DATA"]},
        {"groups": "database"},
        {"groups": {"data": True}},
        {"groups": [["data"]]},
        {"groups": 7},
        {"groups": None},
        {"realm_access": {"groups": ["data"]}},
    ],
)
def test_without_a_matching_rule_there_is_no_access(claims: dict[str, Any]) -> None:
    assert access(claims, rule("groups", "data", "admin")) == Access(frozenset())


def test_a_path_to_a_missing_claim_grants_nothing() -> None:
    tried: list[dict[str, Any]] = [{}, {"a": 1}, {"a": {}}, {"a": {"b": []}}, {"a": [{"b": "data"}]}]
    for claims in tried:
        assert access(claims, rule("a.b", "data")) == Access(frozenset())


def test_all_matching_rules_apply() -> None:
    found = access(
        {"groups": ["data", "web"], "roles": "admin"},
        rule("groups", "data", "operator", project="etl", domain="production"),
        rule("groups", "web", "VIEWER", project="shop"),
        rule("groups", "data", "writer", acts_for_others=True),
        rule("groups", "data", "viewer", domain="staging"),
        rule("groups", "other", "admin"),
    )
    assert found.grants == {
        Grant(Role.OPERATOR, "etl", "production"),
        Grant(Role.VIEWER, "shop"),
        Grant(Role.WRITER),
        Grant(Role.VIEWER, None, "staging"),
    }
    assert found.acts_for_others


def test_only_a_matching_rule_allows_acting_for_others() -> None:
    found = access({"groups": ["data"]}, rule("groups", "data"), rule("groups", "web", acts_for_others=True))
    assert not found.acts_for_others


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("secret", "json_invalid"),
        ("{}", "tuple_type"),
        ("[1]", "at 0"),
        ('[{"claim": "secret", "value": "secret"}]', "at 0.role: missing"),
        ('[{"claim": "secret", "value": "secret", "role": "secret"}]', "at 0.role: enum"),
        ('[{"claim": "", "value": "secret", "role": "viewer"}]', "at 0.claim: string_too_short"),
        ('[{"claim": "secret", "value": 1, "role": "viewer"}]', "at 0.value: string_type"),
        ('[{"claim": "a", "value": "b", "role": "viewer", "domian": "secret"}]', "extra_forbidden"),
    ],
)
def test_invalid_rules_are_explained_without_their_values(text: str, words: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_grant_rules(text)
    assert words in str(caught.value)
    assert "secret" not in str(caught.value)


def test_rules_may_be_empty() -> None:
    assert parse_grant_rules("") == parse_grant_rules("[]") == ()


@pytest.mark.parametrize(
    ("claims", "kind", "name"),
    [
        ({"name": "One", "email": "one@example.com"}, IdentityKind.USER, "One"),
        ({"preferred_username": "one", "azp": "page"}, IdentityKind.USER, "one"),
        ({}, IdentityKind.USER, None),
        ({"client_id": "s-1"}, IdentityKind.APPLICATION, None),
        ({"azp": "s-1"}, IdentityKind.APPLICATION, None),
        ({"gty": "client-credentials"}, IdentityKind.APPLICATION, None),
        ({"idtyp": "app"}, IdentityKind.APPLICATION, None),
        ({"preferred_username": "service-account-etl"}, IdentityKind.APPLICATION, "service-account-etl"),
    ],
)
def test_claims_identify_users_and_applications(
    claims: dict[str, Any], kind: IdentityKind, name: str | None
) -> None:
    assert identity_from_claims({"sub": "s-1", **claims}) == Identity(kind, "s-1", name, claims.get("email"))


def test_users_and_applications_have_different_keys() -> None:
    person, program = (caller_from_claims({"sub": "s-1", **more}, (), 1) for more in ({}, {"azp": "s-1"}))
    assert (person.key, program.key) == ("user:s-1", "application:s-1")


@pytest.mark.parametrize("subject", ["a\0b", "a\nb", "\ud800", "a" * 256])
def test_a_subject_that_cannot_be_stored_is_refused(subject: str) -> None:
    with pytest.raises(RequestRefused, match="`sub`"):
        identity_from_claims({"sub": subject})


@pytest.mark.parametrize("name", [7, "", "a\0b", "a" * 256, ["One"], None])
def test_a_name_that_cannot_be_stored_is_ignored(name: object) -> None:
    identity = identity_from_claims({"sub": "s-1", "name": name, "email": name})
    assert identity == Identity(IdentityKind.USER, "s-1")
