"""Requests of this server to addresses that others name: they must not reach what only this server can
reach (SSRF).

Redirects are not followed, and the checked network address is the one connected to.
"""

import asyncio
import contextlib
import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import urlsplit

import httpx2

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


class AddressRefused(Exception):
    """The host has no address that may be connected to; the message names none."""


class Outbound:
    """Sends requests. Private networks are refused unless `allows_private`."""

    def __init__(
        self, *, allows_private: bool, resolve: Resolve | None = None, keeps_connections: bool = True
    ) -> None:
        """Without `keeps_connections` each request has a connection of its own: a kept one was authenticated
        for the host name of an earlier request, which may have been another."""
        self._allows_private = allows_private
        self._resolve = resolve or _addresses
        limits = httpx2.Limits(max_keepalive_connections=None if keeps_connections else 0)
        # The transport without a client: a client would log the URL, use proxies of the environment and keep
        # cookies.
        self._transport = httpx2.AsyncHTTPTransport(trust_env=False, limits=limits)

    async def close(self) -> None:
        """Closes the connections."""
        await self._transport.aclose()

    async def send(
        self, method: str, url: httpx2.URL, headers: dict[str, str], body: bytes = b""
    ) -> httpx2.Response:
        """The response of the first address that accepts the connection, its body not read. Raises
        AddressRefused, or an error of httpx2."""
        *others, last = await self._look_up(url)
        for address in others:
            with contextlib.suppress(httpx2.ConnectError):
                return await self._send_to(address, method, url, headers, body)
        return await self._send_to(last, method, url, headers, body)

    async def _send_to(
        self, address: str, method: str, url: httpx2.URL, headers: dict[str, str], body: bytes
    ) -> httpx2.Response:
        request = httpx2.Request(
            method,
            url.copy_with(host=address),
            headers={**headers, "Host": url.netloc.decode("ascii"), "User-Agent": "rungraph"},
            content=body,
            # The certificate is checked against the host name.
            extensions={"sni_hostname": url.raw_host.decode("ascii")},
        )
        return await self._transport.handle_async_request(request)

    async def _look_up(self, url: httpx2.URL) -> list[str]:
        """The allowed addresses, at least one."""
        found = await self._resolve(url.raw_host.decode("ascii"), _port(url))
        if not found:
            raise AddressRefused("its name has no address")
        allowed = [address for address in found if self._allows_private or _is_public(address)]
        if not allowed:
            raise AddressRefused("its address is of a private network, and these are not allowed")
        return allowed


_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"(\*\.)?([\w.-]+|\[[\da-fA-F:]+\])(:\d+)?", re.ASCII)


class AllowedAddresses:
    """Hosts such as `logs.example.com`, `*.example.com` or `localhost:8080`, and beginnings of addresses such
    as `https://example.com/logs/`."""

    def __init__(self, items: Sequence[str]) -> None:
        """Raises ValueError for an item that is neither."""
        self._prefixes: list[httpx2.URL] = []
        self._hosts: list[tuple[str, int | None]] = []
        for item in items:
            url = parse_address(item if "://" in item else f"http://{item.removeprefix('*.')}/")
            is_host = _HOST.fullmatch(item) is not None
            if url is None or url.userinfo or url.query or not ("://" in item or is_host):
                raise ValueError(
                    "every item must be a host such as logs.example.com, or the beginning of an address such "
                    "as https://example.com/logs/"
                )
            if is_host:
                self._hosts.append((f".{url.host}" if item.startswith("*.") else url.host, url.port))
            else:
                self._prefixes.append(url)

    def allow_text(self, text: str) -> bool:
        """Whether the text is an address, and one of the items stands for it."""
        if not (self._prefixes or self._hosts):
            return False
        url = parse_address(text)
        return url is not None and self.allow(url)

    def allow(self, url: httpx2.URL) -> bool:
        """Whether one of the items stands for the address, a usual port being meant if an item has none."""
        # Some servers take what follows a semicolon for a parameter of the segment.
        segments = {each.partition(";")[0] for each in url.path.replace("\\", "/").split("/")}
        if url.userinfo or not segments.isdisjoint((".", "..")):
            return False
        return any(_begins_with(url, prefix) for prefix in self._prefixes) or any(
            (url.host.endswith(host) if host.startswith(".") else url.host == host)
            and _port(url) == (port or _PORTS[url.scheme])
            for host, port in self._hosts
        )


def _begins_with(url: httpx2.URL, prefix: httpx2.URL) -> bool:
    if (url.scheme, url.host, _port(url)) != (prefix.scheme, prefix.host, _port(prefix)):
        return False
    return url.path == prefix.path or url.path.startswith(prefix.path.removesuffix("/") + "/")


def _port(url: httpx2.URL) -> int:
    return url.port or _PORTS[url.scheme]


def parse_address(url: str) -> httpx2.URL | None:
    """The URL, if it is one of HTTP that may be trusted to mean the same to all parsers; else None."""
    try:
        # Both parsers: a URL that only one of them accepts is not reliable.
        parts, parsed = urlsplit(url), httpx2.URL(url)
        is_address = parts.scheme in ("http", "https") and bool(parsed.host) and parts.port != 0
    except (ValueError, httpx2.InvalidURL):
        return None
    return parsed if is_address else None


def _is_public(address: str) -> bool:
    """Whether the address is public, and embeds no address that is not."""
    ip = ipaddress.ip_address(address)
    if not ip.is_global or ip.is_multicast:
        return False
    if isinstance(ip, ipaddress.IPv4Address):
        return True
    # Addresses that embed IPv4 (mapped, translated, 6to4, Teredo, NAT64), and deprecated ranges.
    return not (
        ip.ipv4_mapped
        or ip.sixtofour
        or ip.teredo
        or ip.is_site_local
        or any(ip in network for network in _LEADS_TO_IPV4)
    )


_LEADS_TO_IPV4 = [
    ipaddress.IPv6Network(text) for text in ("64:ff9b::/96", "64:ff9b:1::/48", "::/96", "::ffff:0:0:0/96")
]


async def _addresses(host: str, port: int) -> list[str]:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]).partition("%")[0] for *_, address in found))
