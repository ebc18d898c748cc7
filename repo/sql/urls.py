"""Database URLs: which are supported, several hosts in one URL, and hiding passwords."""

import re

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from repo.domain.errors import InvalidArgument

_PARTS = re.compile(r"(?P<scheme>[^:/]+://)(?P<user>[^/?#]*@)?(?P<hosts>[^/?#]*)(?P<rest>.*)", re.DOTALL)


def parse_url(url: str) -> URL:
    """The URL with the driver that is used for it, and only its first host. Raises InvalidArgument for a
    URL that is not supported."""
    try:
        parsed, *_ = [make_url(each) for each in split_hosts(url)]
    except (ArgumentError, ValueError):
        # SQLAlchemy's message repeats the URL, which may contain a password.
        raise InvalidArgument("the database URL is not a URL") from None
    match parsed.drivername:
        case "sqlite" | "sqlite+aiosqlite":
            if not parsed.database or parsed.database == ":memory:":
                raise InvalidArgument("SQLite needs a file: sqlite:///rungraph.db")
            return parsed.set(drivername="sqlite+aiosqlite")
        case "postgres" | "postgresql" | "postgresql+asyncpg":
            return parsed.set(drivername="postgresql+asyncpg")
    raise InvalidArgument(f"the database must be postgresql:// or sqlite:///, not {parsed.drivername}://")


def check_database_url(url: str) -> None:
    """Raise InvalidArgument for a URL that is neither PostgreSQL nor a SQLite file."""
    parse_url(url)


def split_hosts(url: str) -> list[str]:
    """The URL once per host that it names. Raises InvalidArgument if one of them is empty."""
    parts = _PARTS.fullmatch(url)
    if parts is None:
        return [url]
    if "," not in parts["hosts"]:
        if re.search(r"[?&]host=[^&]*(,|%2C)", parts["rest"], re.IGNORECASE):
            raise InvalidArgument(
                "put several hosts before the name of the database: postgresql://user@one:5432,two:5432/name"
            )
        return [url]
    hosts = parts["hosts"].split(",")
    if not all(hosts):
        raise InvalidArgument("the URL has several hosts, and one of them is empty")
    return [f"{parts['scheme']}{parts['user'] or ''}{host}{parts['rest']}" for host in hosts]


def without_password(url: str) -> str:
    """The URL as it may be printed: without password and options, which may contain one too. Raises
    InvalidArgument for a URL that is not supported."""
    scheme = url.partition(":")[0]
    parse_url(url)
    first, *others = [
        make_url(each).set(drivername=scheme, query={}).render_as_string(hide_password=True)
        for each in split_hosts(url)
    ]
    if not others:
        return first
    before, at, _ = first.rpartition("@")
    hosts = [each.rpartition("@")[2].removeprefix(f"{scheme}://") for each in (first, *others)]
    name = hosts[0].partition("/")[2]
    start = f"{before}{at}" or f"{scheme}://"
    return f"{start}{','.join(host.partition('/')[0] for host in hosts)}/{name}"
