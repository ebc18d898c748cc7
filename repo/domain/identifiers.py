"""Owns how runs and actions are named, and the fixed-size key under which a run is stored."""

import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b

from repo.domain.errors import InvalidArgument

MAX_LENGTH = 255
"""The longest name of a project, domain, run or action, in characters."""

MAX_DEPENDENCIES = 1000
"""The most actions that one may name as those it waited for."""

MAX_LABELS = 1000
"""The most labels that an action may have."""

_UNPRINTABLE = {"Cc", "Cs", "Zl", "Zp"}


def check_name(value: str, what: str) -> None:
    """Raise InvalidArgument unless `value` has 1 to 255 characters, none of them a control character,
    a line or paragraph separator, or half of a surrogate pair."""
    if not value:
        raise InvalidArgument(f"{what} must not be empty")
    if len(value) > MAX_LENGTH:
        raise InvalidArgument(f"{what} has {len(value)} characters; at most {MAX_LENGTH} are allowed")
    if not value.isprintable():
        for position, character in enumerate(value):
            if unicodedata.category(character) in _UNPRINTABLE:
                raise InvalidArgument(
                    f"{what} has the unprintable character U+{ord(character):04X} at position {position}"
                )


def printable(text: str) -> str:
    """The text on one line, without what would move a terminal's cursor, change its colours or title, or
    reverse the direction of its writing."""
    return "".join(character for character in " ".join(text.split()) if character.isprintable())


def folded(text: str) -> str:
    """Text as a search compares it: without case, and the same however its accents are composed."""
    if text.isascii():
        return text.casefold()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def stored_foldings(term: str) -> list[str]:
    """How what a search compares may be stored: as `folded` has it, or by versions that did not normalize it
    as it was written, with accents composed or not."""
    decomposed = term if term.isascii() else unicodedata.normalize("NFD", term)
    return list(dict.fromkeys((folded(term), term.casefold(), decomposed.casefold())))


def compositions(term: str) -> list[str]:
    """How a name that was stored as it came may hold the term: with accents composed, or not."""
    if term.isascii():
        return [term]
    return list(dict.fromkeys((term, *(unicodedata.normalize(form, term) for form in ("NFC", "NFD")))))


def _are_names(*values: str) -> bool:
    """Whether all of them are names, in the least time."""
    for value in values:
        if not (0 < len(value) <= MAX_LENGTH and value.isprintable()):
            return False
    return True


# What is written or read together is mostly of few runs and actions.
@lru_cache(8192)
def _digest(text: str) -> bytes:
    return blake2b(text.encode(), digest_size=16).digest()


def _run_key(project: str, domain: str, name: str) -> bytes:
    return _digest("\0".join((project, domain, name)))


@dataclass(frozen=True, slots=True)
class RunIdentifier:
    """Names a run. Raises InvalidArgument when a part of it cannot be a name."""

    project: str
    domain: str
    name: str

    def __post_init__(self) -> None:
        if not _are_names(self.project, self.domain, self.name):
            check_name(self.project, "project")
            check_name(self.domain, "domain")
            check_name(self.name, "run name")

    @property
    def key(self) -> bytes:
        """The 16 bytes that stand for this run in every key and index.

        Three names of 255 characters do not fit into one PostgreSQL index entry (2,704 bytes); their
        digest does. No name holds U+0000, so joining with it is unambiguous.
        """
        return _run_key(self.project, self.domain, self.name)

    def __str__(self) -> str:
        return f"{self.project}/{self.domain}/{self.name}"


@dataclass(frozen=True, slots=True)
class ActionIdentifier:
    """Names an action within its run. Raises InvalidArgument when a part of it cannot be a name."""

    project: str
    domain: str
    run_name: str
    name: str

    def __post_init__(self) -> None:
        if not _are_names(self.project, self.domain, self.run_name, self.name):
            check_name(self.project, "project")
            check_name(self.domain, "domain")
            check_name(self.run_name, "run name")
            check_name(self.name, "action name")

    @property
    def run(self) -> RunIdentifier:
        """The run that this action belongs to."""
        return RunIdentifier(self.project, self.domain, self.run_name)

    @property
    def key(self) -> bytes:
        """The 32 bytes that stand for this action: those of its run, then those of its name.

        One column, so that a batch finds its rows by the primary key and by nothing else; the run
        first, so that the actions of a run lie side by side.
        """
        return _run_key(self.project, self.domain, self.run_name) + _digest(self.name)

    def __str__(self) -> str:
        return f"{self.project}/{self.domain}/{self.run_name}/{self.name}"
