"""Where the bytes of large artifacts are: a directory, or a bucket of an object store."""

import asyncio
import os
from collections.abc import AsyncIterable, AsyncIterator, Collection
from contextlib import suppress
from pathlib import Path
from typing import IO, Protocol
from urllib.parse import unquote, urlsplit

from repo.domain.errors import InvalidArgument, NotFound, StoreUnavailable
from repo.sql.urls import parse_url

NONE = "none"
"""The URL of no store."""
_BUCKETS = ("s3", "gs", "az")
_PART = 1024 * 1024
"""Bytes that are written or read at a time."""


class Store(Protocol):
    """Objects by id. Each call raises StoreUnavailable."""

    async def write(self, id: bytes, content: AsyncIterable[bytes]) -> None:
        """Write an object, whole or not at all. Raises what `content` raises."""

    def read(self, id: bytes, start: int, end: int) -> AsyncIterator[bytes]:
        """The bytes of an object from `start` up to `end`. Raises NotFound."""

    async def delete(self, ids: Collection[bytes]) -> None:
        """Delete those of the objects that exist, and what is left of those that were not written whole."""


def check_store_url(url: str) -> None:
    """Raise InvalidArgument for a URL that is not supported."""
    parts = urlsplit(url)
    if url in ("", NONE):
        return
    if parts.scheme == "file":
        if parts.netloc or not parts.path.startswith("/"):
            raise InvalidArgument(
                "a directory needs three slashes and its whole path: file:///var/lib/artifacts"
            )
    elif parts.scheme not in _BUCKETS or not parts.netloc:
        schemes = ", ".join(f"{each}://BUCKET/PREFIX" for each in _BUCKETS)
        raise InvalidArgument(f"must be file:///DIRECTORY, {schemes} or none")
    else:
        try:
            import obstore  # noqa: F401 - only whether it is installed
        except ImportError:
            text = f"{parts.scheme}:// needs a package that is not installed: pip install .[obstore]"
            raise InvalidArgument(text) from None


def open_store(url: str, database_url: str) -> Store | None:
    """The store at a URL; None for none. Without a URL it is a directory beside the SQLite file, and none
    with PostgreSQL, whose servers may be on several machines. Raises InvalidArgument."""
    check_store_url(url)
    if not url:
        database = parse_url(database_url)
        file = database.database or ""
        if not database.drivername.startswith("sqlite") or file.startswith("file:"):
            return None
        return Directory(Path(f"{file}.artifacts").absolute())
    if url == NONE:
        return None
    if url.startswith("file:"):
        return Directory(Path(unquote(urlsplit(url).path)))
    from repo.artifacts.bucket import Bucket

    return Bucket(url)


class Directory:
    """A directory with a file for each object, which is created with its first one."""

    def __init__(self, path: Path) -> None:
        self.path = path

    async def write(self, id: bytes, content: AsyncIterable[bytes]) -> None:
        path, part = self._paths(id)
        try:
            file = await asyncio.to_thread(_create, part)
            try:
                buffer = bytearray()
                async for each in content:
                    buffer += each
                    if len(buffer) >= _PART:
                        await asyncio.to_thread(file.write, bytes(buffer))
                        buffer.clear()
                await asyncio.to_thread(_finish, file, bytes(buffer), part, path)
            except BaseException:
                # Not awaited: the task may have been cancelled.
                file.close()
                part.unlink(missing_ok=True)
                raise
        except OSError as error:
            raise _unavailable(error) from error

    async def read(self, id: bytes, start: int, end: int) -> AsyncIterator[bytes]:
        try:
            file = await asyncio.to_thread(_open_at, self._paths(id)[0], start)
            with file:
                while start < end:
                    part = await asyncio.to_thread(file.read, min(_PART, end - start))
                    if not part:
                        raise NotFound("the bytes of the artifact are not complete in the store")
                    start += len(part)
                    yield part
        except FileNotFoundError:
            raise NotFound("the bytes of the artifact are missing in the store") from None
        except OSError as error:
            raise _unavailable(error) from error

    async def delete(self, ids: Collection[bytes]) -> None:
        def unlink() -> None:
            for id in ids:
                for each in self._paths(id):
                    each.unlink(missing_ok=True)

        try:
            await asyncio.to_thread(unlink)
        except OSError as error:
            raise _unavailable(error) from error

    def _paths(self, id: bytes) -> tuple[Path, Path]:
        """The file of an object, and the one that it is written to first."""
        name = id.hex()
        return self.path / name[:2] / name, self.path / name[:2] / f"{name}.part"


def _create(path: Path) -> IO[bytes]:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb", buffering=0)


def _open_at(path: Path, start: int) -> IO[bytes]:
    file = path.open("rb", buffering=0)
    file.seek(start)
    return file


def _finish(file: IO[bytes], rest: bytes, part: Path, path: Path) -> None:
    """Write the rest, and have it on the disk under its name."""
    with file:
        file.write(rest)
        os.fsync(file.fileno())
    part.rename(path)
    with suppress(OSError):  # not every file system has it
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _unavailable(error: OSError) -> StoreUnavailable:
    return StoreUnavailable(f"the store of artifacts is not available ({type(error).__name__}); try again")
