"""Signed addresses of artifacts: who has one may download this artifact, or upload it, until it expires.

An address is relative to that of the API, `…/graphql`, and so holds behind any proxy. Its token is a payload
and its HMAC, by a key that all servers share.
"""

import asyncio
import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Awaitable, Callable
from dataclasses import astuple
from datetime import UTC, datetime
from typing import Any, get_type_hints
from urllib.parse import quote

import msgspec

from graph.errors import RequestRefused
from repo import Artifact, Upload

_MAC_BYTES = 16
_DOWNLOAD = b"download"
_UPLOAD = b"upload"
_UPLOAD_TYPE: Any = tuple.__class_getitem__((int, *get_type_hints(Upload).values()))
_TIME_BYTES = 5
_MAX_TOKEN = 4096


class ArtifactUrls:
    """Signs and verifies addresses."""

    def __init__(self, read_key: Callable[[], Awaitable[bytes]], lifetime: float = 3600.0) -> None:
        """`lifetime` is how many seconds addresses are valid at least; downloads up to twice as long."""
        self._read_key = read_key
        self._lifetime = lifetime
        self._key: bytes | None = None
        self._reading = asyncio.Lock()

    async def download(self, artifact: Artifact) -> str:
        """The address of a download. It stays the same for a while, so that browsers find their copy."""
        expires_at = int((time.time() // self._lifetime + 2) * self._lifetime)
        payload = artifact.id + expires_at.to_bytes(_TIME_BYTES)
        token = await self._sign(_DOWNLOAD, payload)
        return f"artifacts/{token}/{quote(file_name(artifact.name))}"

    async def artifact_id(self, token: str) -> bytes:
        """The id of the artifact that may be downloaded. Raises RequestRefused."""
        payload = await self._verify(_DOWNLOAD, token)
        id, expires_at = payload[:-_TIME_BYTES], int.from_bytes(payload[-_TIME_BYTES:])
        if time.time() >= expires_at:
            raise _expired("Query the artifact's `url` again.")
        return id

    async def upload(self, upload: Upload) -> tuple[str, datetime]:
        """The address to which the bytes of an artifact may be sent, and when it expires."""
        expires_at = int(time.time() + self._lifetime)
        payload = msgspec.msgpack.encode((expires_at, *astuple(upload)))
        token = await self._sign(_UPLOAD, payload)
        return f"artifacts/uploads/{token}", datetime.fromtimestamp(expires_at, UTC)

    async def announced(self, token: str) -> Upload:
        """The upload that an address was signed for. Raises RequestRefused."""
        payload = await self._verify(_UPLOAD, token)
        expires_at, *values = msgspec.msgpack.decode(payload, type=_UPLOAD_TYPE)
        if time.time() >= expires_at:
            raise _expired("Call createArtifactUpload again.")
        return Upload(*values)

    async def _sign(self, purpose: bytes, payload: bytes) -> str:
        return _encode(payload + await self._mac(purpose, payload))

    async def _verify(self, purpose: bytes, token: str) -> bytes:
        signed = _decode(token)
        payload, mac = signed[:-_MAC_BYTES], signed[-_MAC_BYTES:]
        if not payload or not hmac.compare_digest(mac, await self._mac(purpose, payload)):
            text = "The signature of this address is not valid: use it unchanged, as the API returned it."
            raise RequestRefused(403, "SIGNATURE_INVALID", text)
        return payload

    async def _mac(self, purpose: bytes, payload: bytes) -> bytes:
        async with self._reading:
            if self._key is None:
                self._key = await self._read_key()
        return hmac.digest(self._key, purpose + b"\0" + payload, hashlib.sha256)[:_MAC_BYTES]


def file_name(name: str) -> str:
    """The last part of an artifact's name; of dots alone none, since clients remove it from an address."""
    last = name.rstrip("/").rpartition("/")[2]
    return last if last.strip(".") else "artifact"


def _expired(what_to_do: str) -> RequestRefused:
    return RequestRefused(403, "SIGNATURE_EXPIRED", f"This address has expired. {what_to_do}")


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(token: str) -> bytes:
    """The bytes of a token; none if it is not one."""
    if len(token) > _MAX_TOKEN:
        return b""
    try:
        return base64.b64decode(token + "=" * (-len(token) % 4), b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""
