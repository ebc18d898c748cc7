"""The webhook: notifies an executor of an abort with one signed POST, and interprets the response."""

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
import msgspec

import repo

SIGNATURE = "Rungraph-Signature"
"""`v1=` and the hexadecimal HMAC-SHA256 of timestamp, dot and body."""
TIMESTAMP = "Rungraph-Timestamp"
"""The time of signing, in seconds since 1970. Receivers should refuse requests older than a few minutes."""
KEY = "Idempotency-Key"
"""The same for each attempt of an abort."""

_STOPPED_STATUSES = {404, 410}
"""The status codes of an executor that does not have the work, or no longer has it."""

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


class NotificationFailed(Exception):
    """The executor was not reached or did not confirm; the message says why and has no secrets."""


def check_url(url: str, secret: str) -> None:
    """Raises ValueError for an invalid webhook URL, without repeating it. `secret` is the name of the
    setting for secrets."""
    try:
        # Both parsers: a URL that only one of them accepts is not reliable.
        parts, parsed = urlsplit(url), httpx2.URL(url)
        is_address = parts.scheme in ("http", "https") and bool(parsed.host) and parts.port != 0
    except (ValueError, httpx2.InvalidURL):
        # Their messages may repeat a part of the URL, which may be a password.
        is_address = False
    if not is_address:
        raise ValueError("it must be an address such as https://executor.example.com/aborts")
    if parsed.userinfo:
        raise ValueError(f"it must hold no password: {secret} signs what is sent")


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """The value of SIGNATURE for this body."""
    digest = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256)
    return f"v1={digest.hexdigest()}"


class Webhook:
    """Notifies one executor of aborts. Redirects are not followed, and private networks are refused unless
    `allows_private`: a URL must not reach what only this server can reach (SSRF). The checked address is
    the one connected to."""

    def __init__(
        self, url: str, secret: str, *, timeout: float, allows_private: bool, resolve: Resolve | None = None
    ) -> None:
        """`timeout` is the total time of a call in seconds."""
        self._url = httpx2.URL(url)
        self._port = self._url.port or (443 if self._url.scheme == "https" else 80)
        self._secret = secret
        self._timeout = timeout
        self._allows_private = allows_private
        self._resolve = resolve or _addresses
        # The transport without a client: a client would log the URL, use proxies of the environment and keep
        # cookies.
        self._transport = httpx2.AsyncHTTPTransport(trust_env=False)

    async def close(self) -> None:
        """Closes the connections."""
        await self._transport.aclose()

    async def notify(self, action: repo.Action, at: datetime) -> None:
        """Returns when the executor confirms that the work has stopped or does not exist. Raises
        NotificationFailed. `at` is the database's time, since executors check the timestamp and this
        server's clock may be wrong."""
        body = msgspec.json.encode(_payload(action))
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
            raise NotificationFailed(f"no answer within {self._timeout:g} s") from None
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
            # The library's message may repeat the URL, which may contain a token.
            raise NotificationFailed(f"it cannot be reached: {type(error).__name__}") from None
        if not (200 <= status < 300 or status in _STOPPED_STATUSES):
            raise NotificationFailed(f"it answered {status}")

    async def _post(self, headers: dict[str, str], body: bytes) -> int:
        """The response status of the first address that accepts the connection."""
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
            # The certificate is checked against the host name.
            extensions={"sni_hostname": self._url.raw_host.decode("ascii")},
        )
        response = await self._transport.handle_async_request(request)
        # The body is not needed and may be endless.
        await response.aclose()
        return response.status_code

    async def _look_up(self) -> list[str]:
        """The allowed addresses, at least one."""
        found = await self._resolve(self._url.raw_host.decode("ascii"), self._port)
        if not found:
            raise NotificationFailed("its name has no address")
        allowed = [address for address in found if self._allows_private or _is_public(address)]
        if not allowed:
            raise NotificationFailed("its address is of a private network, and these are not allowed")
        return allowed


def _is_public(address: str) -> bool:
    """Whether the address is public, and embeds no address that is not."""
    ip = ipaddress.ip_address(address)
    if not ip.is_global or ip.is_multicast:
        return False
    if isinstance(ip, ipaddress.IPv4Address):
        return True
    # Addresses that embed IPv4 (mapped, 6to4, Teredo, NAT64), and deprecated ranges.
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
