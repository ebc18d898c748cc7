"""Owns how an executor is told over HTTP of an abort: one signed POST, and what its answer means."""

import asyncio
import contextlib
import hashlib
import hmac
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
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


def check_url(url: str, secret: str) -> None:
    """Raise ValueError for what is no address of an executor, without repeating it. `secret` is how the
    setting is called that is for secrets."""
    try:
        # Both: what the one takes, and the other does not, is no address to rely on.
        parts, parsed = urlsplit(url), httpx2.URL(url)
        is_address = parts.scheme in ("http", "https") and bool(parsed.host) and parts.port != 0
    except (ValueError, httpx2.InvalidURL):
        # Their messages may repeat what they do not understand, and that may be a password.
        is_address = False
    if not is_address:
        raise ValueError("it must be an address such as https://executor.example.com/aborts")
    if parsed.userinfo:
        raise ValueError(f"it must hold no password: {secret} signs what is sent")


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
        resolve: Resolve | None = None,
    ) -> None:
        """`timeout` is how many seconds the executor has, all in all."""
        self._url = httpx2.URL(url)
        self._port = self._url.port or (443 if self._url.scheme == "https" else 80)
        self._secret = secret
        self._timeout = timeout
        self._allows_private = allows_private
        self._resolve = resolve or _addresses
        # No client above it: that one would log the URL, follow proxies of the environment and keep cookies.
        self._transport = httpx2.AsyncHTTPTransport(trust_env=False)

    async def close(self) -> None:
        """Close its connections."""
        await self._transport.aclose()

    async def tell(self, action: repo.Action, at: datetime) -> None:
        """Return once the executor says that the action is gone, or was never there. Raises NotTold.

        `at` is the time, by the clock of the database: executors refuse what was signed long ago, and this
        server's own clock may be wrong.
        """
        body = orjson.dumps(_payload(action))
        timestamp = str(int(at.timestamp()))
        headers = {
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            "Host": self._url.netloc.decode("ascii"),
            "User-Agent": "rungraph",
            TIMESTAMP: timestamp,
            SIGNATURE: sign(self._secret, timestamp, body),
            KEY: f"abort-{action.key.hex()}",
        }
        try:
            async with asyncio.timeout(self._timeout):
                status = await self._post(headers, body)
        except (TimeoutError, httpx2.TimeoutException):
            raise NotTold(f"no answer within {self._timeout:g} s") from None
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
            # The message of the library may repeat the URL, and that may hold a token.
            raise NotTold(f"it cannot be reached: {type(error).__name__}") from None
        if not (200 <= status < 300 or status in _GONE):
            raise NotTold(f"it answered {status}")

    async def _post(self, headers: dict[str, str], body: bytes) -> int:
        """The status of the answer, from the first address that takes the connection."""
        *others, last = await self._look_up()
        for address in others:
            with contextlib.suppress(httpx2.ConnectError):
                return await self._post_to(address, headers, body)
        return await self._post_to(last, headers, body)

    async def _post_to(self, address: str, headers: dict[str, str], body: bytes) -> int:
        request = httpx2.Request(
            "POST",
            self._url.copy_with(host=address),
            headers=headers,
            content=body,
            # The certificate has to be the one of the name.
            extensions={"sni_hostname": self._url.raw_host.decode("ascii")},
        )
        response = await self._transport.handle_async_request(request)
        # What it says beside the status is of no use, and may be without end.
        await response.aclose()
        return response.status_code

    async def _look_up(self) -> list[str]:
        """The addresses that may be connected to, at least one."""
        found = await self._resolve(self._url.raw_host.decode("ascii"), self._port)
        if not found:
            raise NotTold("its name has no address")
        allowed = [address for address in found if self._allows_private or _is_public(address)]
        if not allowed:
            raise NotTold("its address is of a private network, and these are not allowed")
        return allowed


def _is_public(address: str) -> bool:
    """Whether the address is somebody's on the internet, and holds no other address that is not."""
    ip = ipaddress.ip_address(address)
    if not ip.is_global or ip.is_multicast:
        return False
    if isinstance(ip, ipaddress.IPv4Address):
        return True
    # What leads on to IPv4: mapped, 6to4, Teredo, NAT64; and what was deprecated long ago.
    return not (
        ip.ipv4_mapped
        or ip.sixtofour
        or ip.teredo
        or ip.is_site_local
        or any(ip in network for network in _LEADS_TO_IPV4)
    )


_LEADS_TO_IPV4 = [ipaddress.IPv6Network(text) for text in ("64:ff9b::/96", "64:ff9b:1::/48", "::/96")]


async def _addresses(host: str, port: int) -> list[str]:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]).partition("%")[0] for *_, address in found))


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
