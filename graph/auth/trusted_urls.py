"""Owns which addresses on the web this server trusts with a secret."""

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

_PLAIN = re.compile(r"https?://[\w.~:/%\[\]+-]+", re.ASCII)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches the address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def check_safe_address(url: str) -> None:
    """Raise ValueError for one that others could listen to on the way, or that is none at all, without
    repeating it: it may hold what it must not."""
    if not _is_safe(url):
        raise ValueError(
            "must be like https://login.example.com/path, without a password, query or fragment; http:// is "
            "for addresses of this machine only"
        )


def _is_safe(url: str) -> bool:
    if not _PLAIN.fullmatch(url):
        return False
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return False
    return bool(host) and port != 0 and (parts.scheme == "https" or is_loopback(host))
