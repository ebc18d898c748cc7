"""API tokens and sessions for tests."""

from datetime import timedelta

from repo import Access, ActionRepo, CredentialKind, Grant, Identity, IdentityKind, Role
from tests.support.clock import Clock

UNKNOWN = "rg_" + 43 * "A"


async def token(
    repository: ActionRepo,
    subject: str = "user-1",
    *,
    expires_in: tuple[Clock, float] | None = None,
    role: Role = Role.ADMIN,
    project: str | None = None,
    kind: CredentialKind = CredentialKind.TOKEN,
) -> tuple[str, str]:
    """Creates a credential; returns its id and secret."""
    made, secret = await repository.credentials.create(
        kind,
        f"a token of {subject}",
        Identity(IdentityKind.USER, subject),
        Access(frozenset({Grant(role, project)})),
        None if expires_in is None else expires_in[0].now() + timedelta(seconds=expires_in[1]),
    )
    return made.id, secret


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}
