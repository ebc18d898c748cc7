"""Owns how an executor is told over HTTP of an abort: one signed POST, and what its answer means."""

import asyncio
import hashlib
import hmac
import ipaddress
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

import httpx2
import orjson

import repo

SIGNATURE = "Rungraph-Signature"
"""`v1=` and the HMAC-SHA256, in hexadecimal, of the time, a dot and the body."""
TIMESTAMP = "Rungraph-Timestamp"
"""When it was signed, in seconds since 1970: refuse what is older than a few minutes."""
KEY = "Idempotency-Key"
"""The same for each time that the same abort is told of."""

_GONE = {404, 410}
"""What an executor says of work that it does not have, or not any more."""

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


class NotTold(Exception):
    """The executor was not told, or did not agree; the message says why, and holds no secret."""


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """What SIGNATURE is for this body."""
    digest = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256)
    return f"v1={digest.hexdigest()}"


class Webhook:
    """Tells one executor of aborts.

    Redirects are not followed, and addresses of private networks are refused unless `allows_private`: whoever
    may set a URL must not reach what only this server can reach. The address that was looked at is the one
    that is connected to.
    """

    def __init__(
        self,
        url: str,
        secret: str,
        *,
        timeout: float,
        allows_private: bool,
        transport: httpx2.AsyncBaseTransport | None = None,
        resolve: Resolve | None = None,
    ) -> None:
        """`timeout` is how many seconds the executor has, all in all."""
        parts = urlsplit(url)
        assert parts.hostname is not None
        self._url = httpx2.URL(url)
        self._host = parts.hostname
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._secret = secret
        self._timeout = timeout
        self._allows_private = allows_private
        self._resolve = resolve or _addresses
        self._client = httpx2.AsyncClient(
            # What the environment says of proxies would lead past the look at the address.
            transport=transport or httpx2.AsyncHTTPTransport(trust_env=False),
            timeout=timeout,
            follow_redirects=False,
            trust_env=False,
        )

    async def close(self) -> None:
        """Close its connections."""
        await self._client.aclose()

    async def tell(self, action: repo.Action) -> None:
        """Return once the executor says that the action is gone, or was never there. Raises NotTold."""
        body = orjson.dumps(_payload(action))
        timestamp = str(int(time.time()))
        try:
            async with asyncio.timeout(self._timeout):
                response = await self._client.send(await self._request(action, timestamp, body))
        except (TimeoutError, httpx2.TimeoutException):
            raise NotTold(f"no answer within {self._timeout:g} s") from None
        except (httpx2.HTTPError, OSError) as error:
            # The message of the library may repeat the URL, and that may hold a token.
            raise NotTold(f"it cannot be reached: {type(error).__name__}") from None
        if not (response.is_success or response.status_code in _GONE):
            raise NotTold(f"it answered {response.status_code}")

    async def _request(self, action: repo.Action, timestamp: str, body: bytes) -> httpx2.Request:
        address = await self._address()
        headers = {
            "Content-Type": "application/json",
            "Host": self._url.netloc.decode("ascii"),
            "User-Agent": "rungraph",
            TIMESTAMP: timestamp,
            SIGNATURE: sign(self._secret, timestamp, body),
            KEY: f"abort-{action.key.hex()}",
        }
        return self._client.build_request(
            "POST",
            self._url.copy_with(host=address),
            headers=headers,
            content=body,
            extensions={"sni_hostname": self._host},
        )

    async def _address(self) -> str:
        """The address to connect to, which was looked at."""
        found = await self._resolve(self._host, self._port)
        for address in found:
            if self._allows_private or ipaddress.ip_address(address).is_global:
                return address
        raise NotTold("its address is of a private network, and these are not allowed")


async def _addresses(host: str, port: int) -> list[str]:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]).partition("%")[0] for *_, address in found]


def _payload(action: repo.Action) -> dict[str, Any]:
    abort = action.abort
    assert abort is not None
    by = abort.requested_by
    return {
        "action": {
            "project": action.project,
            "domain": action.domain,
            "runName": action.run_name,
            "name": action.name,
        },
        "isRun": action.parent_name is None,
        "reason": abort.reason,
        "requestedBy": by and {"kind": by.kind.name, "subject": by.subject, "name": by.name},
        "requestedAt": abort.requested_at.isoformat(),
        "attempt": abort.attempt_count,
    }
