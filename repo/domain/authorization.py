"""Authorization: which role may do what, in which projects and domains.

Rows that a caller may not read do not exist for it. Changing rows that it may only read is refused.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

from repo.domain.errors import Forbidden
from repo.domain.identifiers import ActionIdentifier, RunIdentifier

Scope = tuple[str | None, str | None]
"""A project and a domain; None means all."""

Scopes = frozenset[Scope] | None
"""The scopes in which something is allowed; None means everywhere."""


class Permission(Enum):
    """A permission in a project and domain."""

    READ = "read"
    """Read runs and everything that belongs to them."""
    ABORT = "abort"
    """Request and retry aborts."""
    WRITE = "write"
    """Create, report and confirm aborts, as executors do."""
    NOTE = "write notes"
    """Write notes on runs and actions, and change one's own."""
    MANAGE = "change what others wrote"
    """Change and delete the notes of others."""


class Role(Enum):
    """A role. Every role includes reading."""

    VIEWER = "viewer"
    """Read."""
    OPERATOR = "operator"
    """Read, abort and write notes."""
    WRITER = "writer"
    """Read, write notes and do what executors do, but not abort."""
    ADMIN = "admin"
    """Everything."""

    @property
    def permissions(self) -> frozenset[Permission]:
        """The permissions of the role."""
        return _PERMISSIONS[self]


_PERMISSIONS = {
    Role.VIEWER: frozenset({Permission.READ}),
    Role.OPERATOR: frozenset({Permission.READ, Permission.ABORT, Permission.NOTE}),
    Role.WRITER: frozenset({Permission.READ, Permission.WRITE, Permission.NOTE}),
    Role.ADMIN: frozenset(Permission),
}


@dataclass(frozen=True, slots=True)
class Grant:
    """A role in a project and domain; None means all."""

    role: Role
    project: str | None = None
    domain: str | None = None


@dataclass(frozen=True)
class Access:
    """The access of a caller."""

    grants: frozenset[Grant]
    acts_for_others: bool = False
    """Whether the caller may name others as creators."""

    def scopes(self, permission: Permission) -> Scopes:
        """The scopes in which it is allowed; None means everywhere, an empty set nowhere."""
        allowed = {(g.project, g.domain) for g in self.grants if permission in g.role.permissions}
        return None if (None, None) in allowed else frozenset(allowed)

    @cached_property
    def readable(self) -> Scopes:
        """Where the caller may read."""
        return self.scopes(Permission.READ)

    def check(self, permission: Permission, ids: Iterable[RunIdentifier | ActionIdentifier]) -> None:
        """Raise Forbidden unless it is allowed for all of these, whether they exist or not, so that the
        error does not reveal which exist."""
        scopes = self.scopes(permission)
        if scopes is None:
            return
        for each in ids:
            if not includes(scopes, each.project, each.domain):
                text = f"you may not {permission.value} in {each.project}/{each.domain}"
                raise Forbidden(text).of(each)


def narrowed(scopes: Scopes, project: str | None, domain: str | None) -> frozenset[Scope]:
    """Intersects the scopes with this project and domain, either of which may be None for any."""
    return frozenset(
        (in_project if project is None else project, in_domain if domain is None else domain)
        for in_project, in_domain in ({(None, None)} if scopes is None else scopes)
        if (project is None or in_project in (None, project))
        and (domain is None or in_domain in (None, domain))
    )


def includes(scopes: Scopes, project: str, domain: str) -> bool:
    """Whether the scopes contain this project and domain."""
    if scopes is None:
        return True
    return not scopes.isdisjoint(((project, domain), (project, None), (None, domain), (None, None)))


FULL_ACCESS = Access(frozenset({Grant(Role.ADMIN)}), acts_for_others=True)
"""The access of callers on a server without authentication."""
