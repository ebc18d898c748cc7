"""Owns the one policy: which role may do what, and in which projects and domains.

Rows outside what somebody may read do not exist for them. What they may read but not change is refused.
"""

from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass
from enum import Enum
from typing import Self

from repo.domain.errors import Forbidden
from repo.domain.identifiers import ActionIdentifier, RunIdentifier

Scope = tuple[str | None, str | None]
"""A project and a domain in it; None stands for all of them."""

Scopes = frozenset[Scope] | None
"""What something is allowed in; None stands for everything."""


class Permission(Enum):
    """What may be allowed in a project and domain."""

    READ = "read"
    """See its runs, and all that belongs to them."""
    ABORT = "abort"
    """Ask for aborts, and ask again."""
    WRITE = "write"
    """Do what executors do: create, report, and confirm aborts."""


class Role(Enum):
    """What somebody may do. Every role may read."""

    VIEWER = "viewer"
    """Only read."""
    OPERATOR = "operator"
    """Also abort."""
    WRITER = "writer"
    """Also what executors do, but not abort."""
    ADMIN = "admin"
    """Everything."""

    @property
    def permissions(self) -> frozenset[Permission]:
        """What the role allows."""
        return _PERMISSIONS[self]


_PERMISSIONS = {
    Role.VIEWER: frozenset({Permission.READ}),
    Role.OPERATOR: frozenset({Permission.READ, Permission.ABORT}),
    Role.WRITER: frozenset({Permission.READ, Permission.WRITE}),
    Role.ADMIN: frozenset(Permission),
}


@dataclass(frozen=True, slots=True)
class Grant:
    """A role in a project and domain; in all of them where none is named."""

    role: Role
    project: str | None = None
    domain: str | None = None


@dataclass(frozen=True, slots=True)
class Access:
    """What somebody may do."""

    grants: frozenset[Grant]
    acts_for_others: bool = False
    """Whether what they say about who created something counts."""

    def scopes(self, permission: Permission) -> Scopes:
        """Where it is allowed; None for everywhere, and nowhere where there are none."""
        allowed = {(g.project, g.domain) for g in self.grants if permission in g.role.permissions}
        return None if (None, None) in allowed else frozenset(allowed)

    def may(self, permission: Permission, project: str, domain: str) -> bool:
        """Whether it is allowed in this project and domain."""
        return includes(self.scopes(permission), project, domain)


def narrowed(scopes: Scopes, project: str | None, domain: str | None) -> frozenset[Scope]:
    """What of the scopes is in this project and domain, each of which may be any."""
    return frozenset(
        (in_project if project is None else project, in_domain if domain is None else domain)
        for in_project, in_domain in ({(None, None)} if scopes is None else scopes)
        if (project is None or in_project in (None, project))
        and (domain is None or in_domain in (None, domain))
    )


def includes(scopes: Scopes, project: str, domain: str) -> bool:
    """Whether a project and domain are among these."""
    if scopes is None:
        return True
    return not scopes.isdisjoint(((project, domain), (project, None), (None, domain), (None, None)))


FULL_ACCESS = Access(frozenset({Grant(Role.ADMIN)}), acts_for_others=True)
"""What somebody may do where nobody has to say who they are."""


class AccessControlled:
    """Acts on behalf of somebody."""

    _access: Access = FULL_ACCESS
    _seen: Scopes = None
    """Where they may read."""

    def on_behalf_of(self, access: Access) -> Self:
        """The same, on behalf of somebody else."""
        if access is self._access:
            return self
        other = copy(self)
        other._access, other._seen = access, access.scopes(Permission.READ)
        return other

    def _check(self, permission: Permission, ids: Iterable[RunIdentifier | ActionIdentifier]) -> None:
        """Raise Forbidden where it is not allowed for all of these. Whether they exist makes no difference,
        so that the answer tells nothing about it."""
        scopes = self._access.scopes(permission)
        if scopes is None:
            return
        for each in ids:
            if not includes(scopes, each.project, each.domain):
                text = f"you may not {permission.value} in {each.project}/{each.domain}"
                raise Forbidden(text).of(each)
