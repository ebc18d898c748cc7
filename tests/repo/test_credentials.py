"""Stored credentials: created once, found by their secret until they end."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

import repo.credentials
from repo import (
    Access,
    ActionRepo,
    CredentialKind,
    Grant,
    Identity,
    IdentityKind,
    InvalidArgument,
    NotFound,
    Role,
)
from repo.tables import credentials
from tests.support.clock import Clock

CI = Identity(IdentityKind.APPLICATION, "ci", "CI of the data team", "ci@example.com")
ACCESS = Access(
    frozenset({Grant(Role.WRITER, "etl", "production"), Grant(Role.VIEWER)}), acts_for_others=True
)
DAY = timedelta(days=1)


async def make(repository: ActionRepo, name: str = "CI", lasts: timedelta | None = None) -> tuple[str, str]:
    """Creates a token; returns its id and secret."""
    expires_at = None if lasts is None else datetime.now(UTC) + lasts
    made, secret = await repository.credentials.create(CredentialKind.TOKEN, name, CI, ACCESS, expires_at)
    return made.id, secret


async def test_a_credential_is_found_by_its_secret_with_all_fields(repository: ActionRepo) -> None:
    expires_at = datetime.now(UTC) + timedelta(days=90)
    made, secret = await repository.credentials.create(CredentialKind.TOKEN, "CI", CI, ACCESS, expires_at)
    assert await repository.credentials.find(secret) == made
    assert (made.name, made.identity, made.access, made.expires_at) == ("CI", CI, ACCESS, expires_at)
    assert made.revoked_at is None


@pytest.mark.parametrize(
    ("kind", "prefix"), [(CredentialKind.TOKEN, "rg_"), (CredentialKind.SESSION, "rgs_")]
)
async def test_secrets_have_the_prefix_of_their_kind_and_are_unique(
    repository: ActionRepo, kind: CredentialKind, prefix: str
) -> None:
    secrets = {(await repository.credentials.create(kind, "CI", CI, ACCESS))[1] for _ in range(5)}
    assert len(secrets) == 5
    assert all(secret.startswith(prefix) and len(secret) == len(prefix) + 43 for secret in secrets)


async def test_the_secret_is_not_stored(repository: ActionRepo) -> None:
    _, secret = await make(repository)
    async with repository.database.read() as connection:
        (row,) = (await connection.execute(select(credentials))).all()
    assert secret not in repr(row)
    assert secret.removeprefix("rg_") not in repr(row)


async def test_an_unknown_secret_finds_nothing(repository: ActionRepo) -> None:
    _, secret = await make(repository)
    for other in (secret[:-1], secret + "A", secret.swapcase(), "", "ü"):
        assert await repository.credentials.find(other) is None


async def test_a_revoked_credential_is_not_valid(repository: ActionRepo) -> None:
    (first, secret), (second, _) = await make(repository), await make(repository)
    revoked = await repository.credentials.revoke(first)
    assert revoked.revoked_at is not None
    assert await repository.credentials.find(secret) is None
    assert await repository.credentials.find_valid([first, second, "unknown"]) == {second}
    assert await repository.credentials.find_valid([first]) == set()


async def test_revoking_a_credential_again_keeps_the_first_time(repository: ActionRepo) -> None:
    id, _ = await make(repository)
    revoked = await repository.credentials.revoke(id)
    assert await repository.credentials.revoke(id) == revoked


async def test_an_expired_credential_is_not_valid(repository: ActionRepo, clock: Clock) -> None:
    id, secret = await make(repository, lasts=DAY)
    assert await repository.credentials.find(secret) is not None
    assert await repository.credentials.find_valid([id]) == {id}
    clock.forward(DAY.total_seconds())
    assert await repository.credentials.find(secret) is None
    assert await repository.credentials.find_valid([id]) == set()


async def test_credentials_are_listed_by_kind_the_newest_first(repository: ActionRepo) -> None:
    made = [(await make(repository, name))[0] for name in ("a", "b", "c")]
    await repository.credentials.create(CredentialKind.SESSION, "browser", CI, ACCESS)
    await repository.credentials.revoke(made[0])
    listed = await repository.credentials.list_of_kind(CredentialKind.TOKEN)
    assert [each.id for each in listed] == made[::-1]
    assert [each.revoked_at is None for each in listed] == [True, True, False]


async def test_credentials_that_ended_long_ago_are_deleted(
    repository: ActionRepo, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    (revoked, _), (expired, _), (lasting, _) = [
        await make(repository),
        await make(repository, lasts=DAY),
        await make(repository),
    ]
    await repository.credentials.revoke(revoked)
    clock.forward(2 * DAY.total_seconds())
    await make(repository)
    assert len(await repository.credentials.list_of_kind(CredentialKind.TOKEN)) == 4
    monkeypatch.setattr(repo.credentials, "KEEP_ENDED", timedelta(0))
    newest, _ = await make(repository)
    left = {each.id for each in await repository.credentials.list_of_kind(CredentialKind.TOKEN)}
    assert {lasting, newest} <= left
    assert not left & {revoked, expired}


async def test_revoking_an_unknown_credential_raises_not_found(repository: ActionRepo) -> None:
    with pytest.raises(NotFound, match="no credential nothing"):
        await repository.credentials.revoke("nothing")


@pytest.mark.parametrize(
    ("name", "subject", "project", "lasts"),
    [
        pytest.param("", "ci", None, None, id="no name"),
        pytest.param("\x1b[31m", "ci", None, None, id="a name that terminals obey"),
        pytest.param("CI", "", None, None, id="nobody"),
        pytest.param("CI", "ci", "", None, id="no project"),
        pytest.param("CI", "ci", None, timedelta(0), id="expired already"),
    ],
)
async def test_an_invalid_credential_is_rejected(
    repository: ActionRepo, name: str, subject: str, project: str | None, lasts: timedelta | None
) -> None:
    with pytest.raises(InvalidArgument):
        await repository.credentials.create(
            CredentialKind.TOKEN,
            name,
            Identity(IdentityKind.USER, subject),
            Access(frozenset({Grant(Role.ADMIN, project)})),
            None if lasts is None else datetime.now(UTC) + lasts,
        )
    assert await repository.credentials.list_of_kind(CredentialKind.TOKEN) == []
