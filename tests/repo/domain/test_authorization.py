"""Roles, grants and scopes."""

from itertools import product

import pytest

from repo import FULL_ACCESS, Access, Grant, Permission, Role
from repo.domain.authorization import Scopes, includes, narrowed

READ, ABORT, WRITE, NOTE = Permission.READ, Permission.ABORT, Permission.WRITE, Permission.NOTE


def access(*grants: Grant) -> Access:
    """An access with these grants."""
    return Access(frozenset(grants))


@pytest.mark.parametrize(
    ("role", "allowed"),
    [
        (Role.VIEWER, {READ}),
        (Role.OPERATOR, {READ, ABORT, NOTE}),
        (Role.WRITER, {READ, WRITE, NOTE}),
        (Role.ADMIN, {READ, ABORT, WRITE, NOTE, Permission.MANAGE}),
    ],
)
def test_each_role_has_its_permissions(role: Role, allowed: set[Permission]) -> None:
    granted = access(Grant(role, "etl", "production"))
    for permission in Permission:
        assert includes(granted.scopes(permission), "etl", "production") is (permission in allowed)
        assert not includes(granted.scopes(permission), "etl", "staging")
        assert not includes(granted.scopes(permission), "other", "production")


@pytest.mark.parametrize(
    ("grant", "inside"),
    [
        (Grant(Role.VIEWER), {("a", "x"), ("a", "y"), ("b", "x"), ("b", "y")}),
        (Grant(Role.VIEWER, "a"), {("a", "x"), ("a", "y")}),
        (Grant(Role.VIEWER, None, "x"), {("a", "x"), ("b", "x")}),
        (Grant(Role.VIEWER, "a", "x"), {("a", "x")}),
    ],
)
def test_a_grant_without_a_project_or_domain_covers_all(grant: Grant, inside: set[tuple[str, str]]) -> None:
    granted = access(grant)
    assert {place for place in product("ab", "xy") if includes(granted.scopes(READ), *place)} == inside


def test_grants_are_combined() -> None:
    granted = access(Grant(Role.VIEWER), Grant(Role.OPERATOR, "a"), Grant(Role.WRITER, "b", "x"))
    assert granted.scopes(READ) is None
    assert granted.scopes(ABORT) == frozenset({("a", None)})
    assert granted.scopes(WRITE) == frozenset({("b", "x")})


def test_no_grants_allow_nothing_and_full_access_allows_everything() -> None:
    for permission in Permission:
        assert access().scopes(permission) == frozenset()
        assert FULL_ACCESS.scopes(permission) is None


SCOPES: list[Scopes] = [
    None,
    frozenset(),
    frozenset({("a", None)}),
    frozenset({(None, "x")}),
    frozenset({("a", "x"), ("b", None)}),
    frozenset({(None, None)}),
]


@pytest.mark.parametrize("scopes", SCOPES)
def test_narrowed_scopes_are_the_intersection(scopes: Scopes) -> None:
    for project, domain in product((None, "a", "b", "c", ""), (None, "x", "y", "")):
        found = narrowed(scopes, project, domain)
        for place in product("abc", "xy"):
            wanted = project in (None, place[0]) and domain in (None, place[1])
            assert includes(found, *place) is (wanted and includes(scopes, *place))
