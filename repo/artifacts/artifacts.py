"""Reads and writes of artifacts, for one caller."""

import hashlib
from collections.abc import AsyncIterable, AsyncIterator, Collection
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Select, bindparam, select

from repo.actions.activity import Activity
from repo.artifacts.objects import Objects
from repo.artifacts.uploads import Storing, receive
from repo.artifacts.writes import COLUMNS, StoreRequest, run_is_full
from repo.domain.artifacts import (
    MAX_INLINE,
    Artifact,
    ArtifactKind,
    ArtifactLimits,
    NewArtifact,
    Upload,
    new_id,
    parse_digest,
    rows_of,
)
from repo.domain.authorization import Access, Permission, includes
from repo.domain.errors import ActionNotFound, InvalidArgument, NotFound, QuotaExceeded, StoreUnavailable
from repo.domain.identifiers import ActionIdentifier
from repo.domain.pages import PageRequest
from repo.domain.phases import is_count
from repo.sql.database import Database
from repo.sql.filters import key_filter
from repo.sql.paging import Keyset, fetch_pages
from repo.sql.statements import ResultSet
from repo.tables import actions, artifact_bytes, artifact_usage, artifacts, signing_keys

a = artifacts.c
b = artifact_bytes.c

_PART = 64 * 1024
_ORDER = Keyset("ATTEMPT", a.attempt, False, (a.kind, a.name))


class Artifacts:
    """The artifacts that a caller may read and write."""

    def __init__(
        self,
        database: Database,
        access: Access,
        storing: Storing,
        objects: Objects,
        limits: ArtifactLimits,
        activity: Activity,
    ) -> None:
        self._database = database
        self._access = access
        self._storing = storing
        self.objects = objects
        self._limits = limits
        self._activity = activity

    async def store(self, new: NewArtifact, content: bytes) -> Artifact:
        """Store a small artifact, and return the one that stays at its place. The same content again changes
        nothing; of another content the one made later stays. Raises ActionNotFound, InvalidArgument and
        QuotaExceeded."""
        self._access.check(Permission.WRITE, [new.action])
        if len(content) > MAX_INLINE:
            raise InvalidArgument(
                f"the artifact has {len(content):,} bytes; in a call at most {MAX_INLINE:,} are allowed: use "
                "createArtifactUpload"
            )
        artifact = Artifact(
            new_id(),
            new.action.key,
            new.attempt,
            new.kind,
            new.name,
            new.media_type,
            hashlib.sha256(content).digest(),
            len(content),
            in_store=False,
            created_at=new.created_at or datetime.now(UTC),
        )
        request = StoreRequest(str(new.action), artifact, new.created_at is not None, content)
        stored = await self._storing.write(request, rows_of(len(content)))
        self._activity.note([new.action])
        self._count(len(content))
        return stored

    async def announce(self, new: NewArtifact, size: int, digest: str) -> Upload:
        """An upload of `size` bytes with a digest, which the caller may do; to send its bytes needs no
        further permission. Raises ActionNotFound, InvalidArgument and QuotaExceeded."""
        self._access.check(Permission.WRITE, [new.action])
        algorithm, expected = parse_digest(digest)
        if size < 0:
            raise InvalidArgument("size must not be negative")
        if size > self._limits.bytes:
            text = f"the artifact has {size:,} bytes; at most {self._limits.bytes:,} are allowed"
            raise QuotaExceeded(f"{text} (RUNGRAPH_MAX_ARTIFACT_BYTES)")
        if size > MAX_INLINE and self.objects.store is None:
            raise QuotaExceeded(
                f"the artifact has {size:,} bytes; at most {MAX_INLINE:,} are allowed, since this server has "
                "no store for larger ones (RUNGRAPH_ARTIFACT_STORE)"
            )
        used = select(artifact_usage.c.bytes).where(artifact_usage.c.run_key == actions.c.run_key)
        found = select(used.scalar_subquery()).select_from(actions).where(actions.c.key == new.action.key)
        async with self._database.read() as connection:
            row = (await connection.execute(found)).first()
        if row is None:
            raise ActionNotFound(f"there is no action {new.action}")
        if (row[0] or 0) + size > self._limits.bytes_per_run:
            raise run_is_full(self._limits)
        return Upload(
            new.action.key,
            new.attempt,
            new.kind,
            new.name,
            new.media_type,
            new.created_at,
            size,
            algorithm,
            expected,
        )

    async def receive(self, upload: Upload, content: AsyncIterable[bytes]) -> Artifact:
        """See `repo.artifacts.uploads.receive`. Permissions were checked when it was announced."""
        counts = self.objects.counts
        counts.uploading += 1
        try:
            stored = await receive(self._storing, self.objects, upload, content)
        except BaseException:
            counts.uploads_failed += 1
            raise
        finally:
            counts.uploading -= 1
        self._activity.note_keys([upload.action_key])
        self._count(upload.size)
        return stored

    def _count(self, size: int) -> None:
        self.objects.counts.stored += 1
        self.objects.counts.bytes += size

    async def list_of(
        self,
        action_ids: Collection[ActionIdentifier],
        attempt: int | None = None,
        kinds: tuple[ArtifactKind, ...] | None = None,
        limit: int = 100,
    ) -> dict[ActionIdentifier, list[Artifact]]:
        """The artifacts of each action, or of one attempt, by attempt, kind and name; of more than `limit`
        the last ones."""
        scopes = self._access.readable
        by_key = {each.key: each for each in action_ids if includes(scopes, each.project, each.domain)}
        found: dict[ActionIdentifier, list[Artifact]] = {each: [] for each in action_ids}
        if by_key and limit and (attempt is None or is_count(attempt)):
            pages = await fetch_pages(
                self._database,
                ("artifacts", attempt, kinds),
                lambda: _select(attempt, kinds),
                a.action_key,
                by_key,
                _ORDER,
                PageRequest(last=limit),
                _read,
            )
            found |= {action_id: list(pages[key].items) for key, action_id in by_key.items()}
        return found

    async def find(self, id: bytes) -> Artifact | None:
        """The artifact with this id. Permissions are not checked: the caller shows a signed address."""
        rows = await self._database.fetch(
            "artifact", lambda: select(*COLUMNS).where(a.id == bindparam("id", type_=a.id.type)), {"id": id}
        )
        return next(iter(_read(rows)), None)

    async def read(self, ids: Collection[bytes]) -> dict[bytes, bytes]:
        """The bytes of those of the artifacts that the database contains."""
        by_id = key_filter(self._database, b.artifact_id, ids)
        found = await self._database.fetch(
            ("bytes of artifacts", by_id.key),
            lambda: by_id.apply(select(b.artifact_id, b.bytes)),
            by_id.values,
        )
        return {id: bytes(content) for id, content in found.decoded()}

    async def open(self, artifact: Artifact, start: int, end: int) -> AsyncIterator[bytes]:
        """The bytes of an artifact from `start` up to `end`. Raises NotFound and StoreUnavailable, before
        the first bytes or while they are read."""
        if artifact.in_store:
            if self.objects.store is None:
                raise StoreUnavailable("this server has no store of artifacts (RUNGRAPH_ARTIFACT_STORE)")
            return await _begun(self.objects.store.read(artifact.id, start, end))
        content = (await self.read([artifact.id])).get(artifact.id)
        if content is None:
            raise NotFound("the artifact was just removed")
        return _parts(content[start:end])

    async def signing_key(self) -> bytes:
        """The key by which all servers sign addresses of artifacts."""
        k = signing_keys.c
        async with self._database.read() as connection:
            return bytes(await connection.scalar(select(k.secret).where(k.name == "artifacts")) or b"")


async def _parts(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), _PART):
        yield content[start : start + _PART]


async def _begun(parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same parts, of which the first has been read."""
    first = await anext(parts, b"")

    async def all_parts() -> AsyncIterator[bytes]:
        yield first
        async for part in parts:
            yield part

    return all_parts()


def _select(attempt: int | None, kinds: tuple[ArtifactKind, ...] | None) -> Select[Any]:
    statement: Select[Any] = select(*COLUMNS)
    if attempt is not None:
        statement = statement.where(a.attempt == attempt)
    return statement if kinds is None else statement.where(a.kind.in_(kinds))


def _read(found: ResultSet) -> list[Artifact]:
    return [Artifact(*row[: len(COLUMNS)]) for row in found.decoded()]
