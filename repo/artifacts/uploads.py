"""Receives uploads: the bytes are checked on the way, and the row of the artifact is committed last."""

import asyncio
import hashlib
from collections.abc import AsyncIterable, AsyncIterator
from datetime import UTC, datetime

from repo.actions.group_commit import GroupCommit
from repo.artifacts.objects import UPLOAD_TIMEOUT, Objects
from repo.artifacts.writes import StoreRequest
from repo.domain.artifacts import MAX_INLINE, Artifact, Upload, new_id
from repo.domain.errors import DeadlineExceeded, DigestMismatch

Storing = GroupCommit[StoreRequest, Artifact]


class Receipt:
    """The bytes of an upload as they arrive, the last ones only if all of them are as announced."""

    def __init__(self, upload: Upload, content: AsyncIterable[bytes]) -> None:
        self._upload = upload
        self._content = content
        self.sha256 = hashlib.sha256()
        self._announced = self.sha256
        if upload.algorithm != "sha256":
            self._announced = hashlib.new(upload.algorithm, usedforsecurity=False)
        self._size = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Raises DigestMismatch, and what the content raises."""
        last, upload = b"", self._upload
        async for part in self._content:
            if last:
                yield last
            self._size += len(part)
            if self._size > upload.size:
                raise DigestMismatch(f"more than the announced {upload.size:,} bytes were sent")
            self.sha256.update(part)
            if self._announced is not self.sha256:
                self._announced.update(part)
            last = part
        if self._size != upload.size:
            raise DigestMismatch(f"{self._size:,} bytes were sent, but {upload.size:,} were announced")
        if self._announced.digest() != upload.digest:
            raise DigestMismatch(f"the {upload.algorithm} digest differs from the announced one")
        if last:
            yield last


async def receive(
    storing: Storing, objects: Objects, upload: Upload, content: AsyncIterable[bytes]
) -> Artifact:
    """Store the bytes of an upload, and return the artifact that stays at its place; an upload that fails
    leaves nothing. Raises ActionNotFound, Conflict, DeadlineExceeded, DigestMismatch, InvalidArgument,
    QuotaExceeded and StoreUnavailable, and what `content` raises."""
    receipt, id = Receipt(upload, content), new_id()
    if upload.size <= MAX_INLINE:
        inline = b"".join([part async for part in receipt])
        return await storing.write(_request(upload, id, receipt, inline), upload.rows)
    async with objects.writing(id) as store:
        try:
            async with asyncio.timeout(UPLOAD_TIMEOUT.total_seconds()):
                await store.write(id, receipt)
        except TimeoutError:
            raise DeadlineExceeded(f"an upload may take {UPLOAD_TIMEOUT}") from None
        return await storing.write(_request(upload, id, receipt, None), 1)


def _request(upload: Upload, id: bytes, receipt: Receipt, inline: bytes | None) -> StoreRequest:
    artifact = Artifact(
        id,
        upload.action_key,
        upload.attempt,
        upload.kind,
        upload.name,
        upload.media_type,
        receipt.sha256.digest(),
        upload.size,
        in_store=inline is None,
        created_at=upload.created_at or datetime.now(UTC),
    )
    return StoreRequest("of this upload", artifact, upload.created_at is not None, inline)
