"""Identifiers of runs and actions, and their fixed-size storage keys."""

import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b

from repo.domain.errors import InvalidArgument

MAX_LENGTH = 255
"""The maximum length of names, in characters."""

MAX_DEPENDENCIES = 1000
"""The maximum number of dependencies of an action."""

MAX_LABELS = 1000
"""The maximum number of labels."""

_UNPRINTABLE = {"Cc", "Cs", "Zl", "Zp"}


def check_name(value: str, what: str) -> None:
    """Raises InvalidArgument unless `value` has 1 to 255 characters without control characters, line or
    paragraph separators and lone surrogates."""
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
    """The text on one line, without terminal control sequences and bidirectional controls."""
    return "".join(character for character in " ".join(text.split()) if character.isprintable())


def folded(text: str) -> str:
    """Normalised text for searches: case-folded and Unicode-normalised."""
    if text.isascii():
        return text.casefold()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def stored_foldings(term: str) -> list[str]:
    """The stored forms that a search term may match: as `folded` returns it, or, from versions that did not
    normalise, with accents composed or decomposed."""
    decomposed = term if term.isascii() else unicodedata.normalize("NFD", term)
    return list(dict.fromkeys((folded(term), term.casefold(), decomposed.casefold())))


def compositions(term: str) -> list[str]:
    """The forms of a term in unnormalised names: with accents composed or decomposed."""
    if term.isascii():
        return [term]
    return list(dict.fromkeys((term, *(unicodedata.normalize(form, term) for form in ("NFC", "NFD")))))


def _are_names(*values: str) -> bool:
    """Whether all are valid names; the fast path."""
    for value in values:
        if not (0 < len(value) <= MAX_LENGTH and value.isprintable()):
            return False
    return True


# Batches mostly concern few runs and actions.
@lru_cache(8192)
def _digest(text: str) -> bytes:
    return blake2b(text.encode(), digest_size=16).digest()


def _run_key(project: str, domain: str, name: str) -> bytes:
    return _digest("\0".join((project, domain, name)))


@dataclass(frozen=True, slots=True)
class RunIdentifier:
    """Identifies a run. Raises InvalidArgument for an invalid name."""

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
        """The 16-byte key of the run. Three names of 255 characters do not fit into a PostgreSQL index entry
        (2,704 bytes), but their digest does. Names contain no U+0000, so joining with it is unambiguous."""
        return _run_key(self.project, self.domain, self.name)

    def __str__(self) -> str:
        return f"{self.project}/{self.domain}/{self.name}"


@dataclass(frozen=True, slots=True)
class ActionIdentifier:
    """Identifies an action. Raises InvalidArgument for an invalid name."""

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
        """The 32-byte key of the action: its run's key, then a digest of its name. One column, so that
        batches find rows by the primary key alone; the run first, so that the actions of a run are
        adjacent."""
        return _run_key(self.project, self.domain, self.run_name) + _digest(self.name)

    def __str__(self) -> str:
        return f"{self.project}/{self.domain}/{self.run_name}/{self.name}"
