"""Stored credentials: API tokens and browser sessions. Only the hash of a secret is stored, so that a copy
of the database contains no usable credential. SHA-256 is enough, since secrets have 256 random bits."""

import hashlib
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from repo.domain.authorization import Access, Grant, Role
from repo.domain.errors import InvalidArgument, NotFound
from repo.domain.identifiers import check_name
from repo.domain.models import Identity, identity_from_json, identity_to_json
from repo.domain.phases import CredentialKind
from repo.sql.database import Database
from repo.sql.filters import key_filter
from repo.sql.functions import database_now
from repo.tables import credentials

PREFIXES = {CredentialKind.TOKEN: "rg_", CredentialKind.SESSION: "rgs_"}
"""The prefixes of secrets, for secret scanners."""

KEEP_ENDED = timedelta(days=30)
"""How long expired and revoked credentials are listed."""

_SECRET_BYTES = 32

c = credentials.c

# By the database's clock; the server's clock is checked too. A clock that is set back does not prolong a
# credential.
_is_in_time = or_(c.expires_at.is_(None), c.expires_at > database_now())


@dataclass(frozen=True, slots=True)
class Credential:
    """A credential, without its secret."""

    id: str
    """Its short public id."""
    kind: CredentialKind
    name: str
    """Its display name."""
    identity: Identity
    """The identity that it authenticates."""
    access: Access
    """The roles of its caller."""
    created_at: datetime
    expires_at: datetime | None
    """When it expires; None for never."""
    revoked_at: datetime | None

    def is_valid(self, at: datetime) -> bool:
        """Whether it is valid at this time."""
        return self.revoked_at is None and (self.expires_at is None or at < self.expires_at)


class Credentials:
    """The credentials of the repository. Each write is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(
        self,
        kind: CredentialKind,
        name: str,
        identity: Identity,
        access: Access,
        expires_at: datetime | None = None,
    ) -> tuple[Credential, str]:
        """Creates a credential and returns it with its secret, which cannot be read again. Deletes those
        that ended long ago. Raises InvalidArgument."""
        check_name(name, "the name of a credential")
        check_name(identity.subject, "the subject of an identity")
        for grant in access.grants:
            for what, value in (("project", grant.project), ("domain", grant.domain)):
                if value is not None:
                    check_name(value, what)
        now = utc_now()
        if expires_at is not None and expires_at <= now:
            raise InvalidArgument("a credential must expire later than now")
        secret = PREFIXES[kind] + secrets.token_urlsafe(_SECRET_BYTES)
        created = Credential(secrets.token_hex(5), kind, name, identity, access, now, expires_at, None)
        row = {
            "id": created.id,
            "kind": kind,
            "secret_hash": _hash(secret),
            "name": name,
            "identity": identity_to_json(identity),
            "access": _access_to_json(access),
            "created_at": now,
            "expires_at": expires_at,
        }

        async def work(connection: AsyncConnection) -> None:
            ended = now - KEEP_ENDED
            await connection.execute(
                credentials.delete().where(or_(c.expires_at < ended, c.revoked_at < ended))
            )
            await connection.execute(credentials.insert(), row)

        await self._database.transact_on_connection(work)
        return created, secret

    async def find(self, secret: str) -> Credential | None:
        """The valid credential with this secret."""
        found = await self._database.fetch(
            "credential by secret",
            lambda: select(*_COLUMNS).where(
                c.secret_hash == bindparam("secret_hash", type_=c.secret_hash.type), _is_in_time
            ),
            {"secret_hash": _hash(secret)},
        )
        credential = next((_credential(row) for row in found.decoded()), None)
        return credential if credential is not None and credential.is_valid(utc_now()) else None

    async def find_valid(self, ids: Collection[str]) -> set[str]:
        """Those of these ids whose credentials are neither revoked nor expired."""
        by_id = key_filter(self._database, c.id, ids)
        found = await self._database.fetch(
            ("valid credentials", by_id.key),
            lambda: by_id.apply(select(c.id, c.expires_at).where(c.revoked_at.is_(None), _is_in_time)),
            by_id.values,
        )
        now = utc_now()
        return {id for id, expires_at in found.decoded() if expires_at is None or now < expires_at}

    async def list_of_kind(self, kind: CredentialKind) -> list[Credential]:
        """All of a kind, newest first, including those that ended recently."""
        statement = select(*_COLUMNS).where(c.kind == kind).order_by(c.created_at.desc(), c.id)
        async with self._database.read() as connection:
            return [_credential(row) for row in await connection.execute(statement)]

    async def revoke(self, id: str) -> Credential:
        """Revoke a credential and return it. A revoked one is not changed. Raises NotFound."""

        async def work(connection: AsyncConnection) -> Credential:
            which = (c.id == id) & c.revoked_at.is_(None)
            await connection.execute(credentials.update().where(which).values(revoked_at=utc_now()))
            row = (await connection.execute(select(*_COLUMNS).where(c.id == id))).first()
            if row is None:
                raise NotFound(f"there is no credential {id}")
            return _credential(row)

        return await self._database.transact_on_connection(work)


_COLUMNS = (c.id, c.kind, c.name, c.identity, c.access, c.created_at, c.expires_at, c.revoked_at)


def _credential(row: Any) -> Credential:
    id, kind, name, document, access, *times = row
    identity = identity_from_json(document)
    assert identity is not None
    return Credential(id, kind, name, identity, _access_from_json(access), *times)


def _access_to_json(access: Access) -> dict[str, Any]:
    grants = [{"role": g.role.value, "project": g.project, "domain": g.domain} for g in access.grants]
    return {"grants": grants, "acts_for_others": access.acts_for_others}


def _access_from_json(document: Mapping[str, Any]) -> Access:
    grants = (Grant(Role(g["role"]), g["project"], g["domain"]) for g in document["grants"])
    return Access(frozenset(grants), document["acts_for_others"])


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def utc_now() -> datetime:
    return datetime.now(UTC)
