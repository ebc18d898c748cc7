"""Owns who calls: a person or a program, what they may do, and until when that holds."""

from dataclasses import dataclass

import repo


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asked for an operation, as the gate found it."""

    identity: repo.Identity
    """Who it is, as it is recorded with what they create and abort."""
    access: repo.Access
    """What they may do."""
    key: str
    """What stands for them where callers are told apart: in limits and in logs. It is no secret."""
    credential: str | None = None
    """The id of the stored credential that they showed; None where they showed none that is stored."""
    expires_at: float | None = None
    """When what they showed ends, in seconds since 1970; None for never."""

    def creator(self, said: repo.Identity | None) -> repo.Identity | None:
        """Who is recorded as having created something, where the caller says that it was this one: only from
        who acts for others does that count."""
        if said is not None and self.access.acts_for_others:
            return said
        return None if self is ANYBODY else self.identity


ANYBODY = Caller(repo.Identity(repo.IdentityKind.USER, "anonymous"), repo.EVERYTHING, "anonymous")
"""Who calls a server that asks nobody who they are."""
