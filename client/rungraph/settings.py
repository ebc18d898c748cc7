"""The configuration of the client, read from the environment when the first step begins."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from pathlib import Path
from urllib.parse import urlsplit

DEFAULT_URL = "http://127.0.0.1:8000"
_OFF = {"", "0", "false", "no", "off"}


class Settings:
    """What the variables `RUNGRAPH_…` say."""

    def __init__(self) -> None:
        value = os.environ.get
        self.url = api_url(value("RUNGRAPH_URL") or DEFAULT_URL)
        self.is_disabled = value("RUNGRAPH_DISABLED", "").lower() not in _OFF
        self.problem = None if is_http(self.url) else not_an_address(self.url)
        """Why nothing can be recorded, or None."""
        self.project = value("RUNGRAPH_PROJECT") or "default"
        self.domain = value("RUNGRAPH_DOMAIN") or "development"
        self.run_name = value("RUNGRAPH_RUN")
        self.labels = _labels(value("RUNGRAPH_LABELS", ""))
        self.parent = value("RUNGRAPH_PARENT")
        logs = value("RUNGRAPH_LOGS", "logging").lower()
        self.records_logging = logs in {"logging", "all"}
        self.records_prints = logs == "all"
        self.lease_seconds = _integer("RUNGRAPH_LEASE_SECONDS", 30)
        self.exit_seconds = _integer("RUNGRAPH_EXIT_SECONDS", 10)
        self.spool_bytes = _integer("RUNGRAPH_SPOOL_BYTES", 256 * 1024 * 1024)
        digest = hashlib.sha256(self.url.encode()).hexdigest()[:16]
        self.spool_folder = _spool_root() / digest

    @property
    def token(self) -> str | None:
        """The token, or None. A file is read each time, so that it may be replaced."""
        if token := os.environ.get("RUNGRAPH_TOKEN", "").strip():
            return token
        named = os.environ.get("RUNGRAPH_TOKEN_FILE")
        try:
            path = Path(named) if named else Path.home() / ".config" / "rungraph" / "token"
            return path.read_text(encoding="utf-8").strip() or None
        except (OSError, UnicodeError, RuntimeError):
            return None


def api_url(url: str) -> str:
    """The address of the API on a server; by HTTP unless it says otherwise."""
    url = (url if "://" in url else f"http://{url}").rstrip("/")
    return url if url.endswith("/graphql") else url + "/graphql"


def is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


def not_an_address(url: str) -> str:
    """Why a URL is refused."""
    return f"{without_password(url)!r} is not the address of a server, such as {DEFAULT_URL}"


def without_password(url: str) -> str:
    """The URL without the user and the password that may be in it."""
    return re.sub(r"(://|^)[^/@]*@", r"\1…@", url)


def _spool_root() -> Path:
    if named := os.environ.get("RUNGRAPH_SPOOL"):
        return Path(named)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or os.path.expanduser("~")) / "rungraph" / "spool"
    state = os.environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    return Path(state) / "rungraph" / "spool"


def _labels(text: str) -> dict[str, str]:
    """From `team=data,nightly`; a label without a value has an empty one."""
    pairs = (each.partition("=") for each in text.split(","))
    return {key.strip(): value.strip() for key, _, value in pairs if key.strip()}


def _integer(name: str, default: int) -> int:
    try:
        return max(1, int(os.environ.get(name) or default))
    except ValueError:
        return default
