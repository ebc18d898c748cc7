"""Which URLs the server may send secrets to, and which requests come from pages of other origins."""

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

_URL_WITHOUT_QUERY = re.compile(r"https?://[\w.~:/%\[\]+-]+", re.ASCII)


def is_loopback(host: str) -> bool:
    """Whether a host name or address can only be reached from this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def check_safe_url(url: str) -> None:
    """Raise ValueError unless the URL is https:// or loopback, without a password, query or fragment.

    The message does not repeat the URL, which may contain a secret.
    """
    if not _is_safe(url):
        raise ValueError(
            "must be like https://login.example.com/path, without a password, query or fragment; http:// is "
            "for addresses of this machine only"
        )


def _is_safe(url: str) -> bool:
    if not _URL_WITHOUT_QUERY.fullmatch(url):
        return False
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return False
    return bool(host) and port != 0 and (parts.scheme == "https" or is_loopback(host))


def is_cross_origin(connection: HTTPConnection) -> bool:
    """Whether a browser says that a page of another origin caused this request."""
    site = connection.headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = connection.headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != connection.headers.get("host")
