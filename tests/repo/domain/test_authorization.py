"""The policy by itself: which role may do what, and where."""

from itertools import product

import pytest

from repo import FULL_ACCESS, Access, Grant, Permission, Role
from repo.domain.authorization import Scopes, includes, narrowed

READ, ABORT, WRITE = Permission.READ, Permission.ABORT, Permission.WRITE


def access(*grants: Grant) -> Access:
    """What somebody with these grants may do."""
    return Access(frozenset(grants))


@pytest.mark.parametrize(
    ("role", "allowed"),
    [
        (Role.VIEWER, {READ}),
        (Role.OPERATOR, {READ, ABORT}),
        (Role.WRITER, {READ, WRITE}),
        (Role.ADMIN, {READ, ABORT, WRITE}),
    ],
)
def test_a_role_allows_what_it_is_for(role: Role, allowed: set[Permission]) -> None:
    granted = access(Grant(role, "etl", "production"))
    for permission in Permission:
        assert granted.may(permission, "etl", "production") is (permission in allowed)
        assert not granted.may(permission, "etl", "staging")
        assert not granted.may(permission, "other", "production")


@pytest.mark.parametrize(
    ("grant", "inside"),
    [
        (Grant(Role.VIEWER), {("a", "x"), ("a", "y"), ("b", "x"), ("b", "y")}),
        (Grant(Role.VIEWER, "a"), {("a", "x"), ("a", "y")}),
        (Grant(Role.VIEWER, None, "x"), {("a", "x"), ("b", "x")}),
        (Grant(Role.VIEWER, "a", "x"), {("a", "x")}),
    ],
)
def test_what_a_grant_does_not_name_it_means_all_of(grant: Grant, inside: set[tuple[str, str]]) -> None:
    granted = access(grant)
    assert {place for place in product("ab", "xy") if granted.may(READ, *place)} == inside


def test_grants_add_up_and_take_nothing_away() -> None:
    granted = access(Grant(Role.VIEWER), Grant(Role.OPERATOR, "a"), Grant(Role.WRITER, "b", "x"))
    assert granted.scopes(READ) is None
    assert granted.scopes(ABORT) == frozenset({("a", None)})
    assert granted.scopes(WRITE) == frozenset({("b", "x")})


def test_nobody_s_access_is_nowhere_and_everybody_s_is_everywhere() -> None:
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
def test_what_is_narrowed_is_what_is_in_both(scopes: Scopes) -> None:
    for project, domain in product((None, "a", "b", "c", ""), (None, "x", "y", "")):
        found = narrowed(scopes, project, domain)
        for place in product("abc", "xy"):
            wanted = project in (None, place[0]) and domain in (None, place[1])
            assert includes(found, *place) is (wanted and includes(scopes, *place))
