"""The authenticated caller of an operation."""

from dataclasses import dataclass

import repo


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request, and what they are allowed to do."""

    identity: repo.Identity
    """Recorded with what the caller creates and aborts."""
    access: repo.Access
    key: str
    """Identifies the caller in rate limits and logs. It is not secret."""
    credential: str | None = None
    """The id of the stored credential; None for tokens of an OpenID provider and anonymous callers."""
    expires_at: float | None = None
    """When the credential expires, in seconds since 1970; None for never."""

    def creator(self, claimed: repo.Identity | None) -> repo.Identity | None:
        """The identity to record as creator. The one that the caller claims is used only if the caller acts
        for others."""
        if claimed is not None and self.access.acts_for_others:
            return claimed
        return None if self is ANONYMOUS else self.identity


ANONYMOUS = Caller(repo.Identity(repo.IdentityKind.USER, "anonymous"), repo.FULL_ACCESS, "anonymous")
"""The caller of every request while authentication is off."""


def caller_from_credential(credential: repo.Credential) -> Caller:
    """The caller with a stored API token or session."""
    # All sessions of a person share a key; each API token has its own.
    is_token = credential.kind is repo.CredentialKind.TOKEN
    return Caller(
        credential.identity,
        credential.access,
        f"token:{credential.id}" if is_token else f"user:{credential.identity.subject}",
        credential.id,
        None if credential.expires_at is None else credential.expires_at.timestamp(),
    )
