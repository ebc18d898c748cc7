"""How long texts may be that a caller gives: what is shown in lists must not be as long as a request."""

import repo

MAX_TEXT = 4096
"""Characters of a text that is a name of something, or a reason."""
MAX_MESSAGE = 256 * 1024
"""Characters of a message, which may be a traceback, and of an address."""


def short(value: str, name: str) -> str:
    """A text of a name. Raises InvalidArgument."""
    return _at_most(MAX_TEXT, value, name)


def optional_short(value: str | None, name: str) -> str | None:
    """The same, where it may be left out."""
    return None if value is None else _at_most(MAX_TEXT, value, name)


def message(value: str, name: str) -> str:
    """A message or an address. Raises InvalidArgument."""
    return _at_most(MAX_MESSAGE, value, name)


def _at_most(most: int, value: str, name: str) -> str:
    if len(value) > most:
        raise repo.InvalidArgument(f"{name} has {len(value):,} characters; at most {most:,} are allowed")
    return value
