"""A bucket of S3, Google Cloud Storage or Azure. The credentials are in the environment, as each of them
defines it (`AWS_ACCESS_KEY_ID`, …)."""

import os
from collections.abc import AsyncIterable, AsyncIterator, Collection
from datetime import timedelta

import obstore
from obstore.exceptions import BaseError
from obstore.store import from_url

from repo.domain.errors import NotFound, StoreUnavailable

_PART = 5 * 1024 * 1024
"""Bytes of a part of an upload: the least that S3 takes, which has up to 10,000 parts."""
_RANGE = 4 * 1024 * 1024
"""Bytes that are read in a request."""


class Bucket:
    """The objects below a prefix of a bucket. Each upload holds two parts in memory."""

    def __init__(self, url: str) -> None:
        self._store = from_url(
            url,
            client_options={
                "connect_timeout": timedelta(seconds=5),
                "timeout": timedelta(seconds=60),
                # Options in the environment are not read beside these.
                "allow_http": os.environ.get("AWS_ALLOW_HTTP", "").lower() in ("true", "1"),
            },
            retry_config={"max_retries": 3, "retry_timeout": timedelta(seconds=60)},
        )

    async def write(self, id: bytes, content: AsyncIterable[bytes]) -> None:
        try:
            # What `content` raises aborts the upload of parts.
            await obstore.put_async(self._store, _name(id), content, chunk_size=_PART, max_concurrency=1)
        except (BaseError, OSError) as error:
            raise _unavailable(error) from error

    async def read(self, id: bytes, start: int, end: int) -> AsyncIterator[bytes]:
        try:
            while start < end:
                until = min(end, start + _RANGE)
                yield bytes(await obstore.get_range_async(self._store, _name(id), start=start, end=until))
                start = until
        except FileNotFoundError:
            raise NotFound("the bytes of the artifact are missing in the store") from None
        except (BaseError, OSError) as error:
            raise _unavailable(error) from error

    async def delete(self, ids: Collection[bytes]) -> None:
        try:
            await obstore.delete_async(self._store, [_name(id) for id in ids])
        except FileNotFoundError:  # some stores report what does not exist
            for id in ids:
                await self._delete_one(id)
        except (BaseError, OSError) as error:
            raise _unavailable(error) from error

    async def _delete_one(self, id: bytes) -> None:
        try:
            await obstore.delete_async(self._store, _name(id))
        except FileNotFoundError:
            return
        except (BaseError, OSError) as error:
            raise _unavailable(error) from error


def _name(id: bytes) -> str:
    return f"{id.hex()[:2]}/{id.hex()}"


def _unavailable(error: Exception) -> StoreUnavailable:
    return StoreUnavailable(f"the store of artifacts is not available ({type(error).__name__}); try again")
