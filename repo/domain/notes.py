"""The rules of notes: their text, their number and what identifies them."""

import json
from hashlib import blake2b

from repo.domain.errors import InvalidArgument
from repo.domain.identifiers import check_name
from repo.domain.models import Identity

MAX_NOTE = 2000
"""Characters of a note."""
MAX_NOTES = 100
"""Notes of an action."""

_ALLOWED = {"\n", "\t"}


def note_text(text: str) -> str:
    """The text as it is stored. Raises InvalidArgument."""
    text = text.replace("\r\n", "\n").strip()
    if not text:
        raise InvalidArgument("text must not be empty")
    if len(text) > MAX_NOTE:
        raise InvalidArgument(f"text has {len(text):,} characters; at most {MAX_NOTE:,} are allowed")
    for position, character in enumerate(text):
        if character not in _ALLOWED and (character < " " or character == "\x7f" or _is_surrogate(character)):
            raise InvalidArgument(
                f"text has the unprintable character U+{ord(character):04X} at position {position}"
            )
    return text


def _is_surrogate(character: str) -> bool:
    return "\ud800" <= character <= "\udfff"


def note_id(action_key: bytes, author: Identity | None, key: str | None, text: str) -> bytes:
    """The id of a note: the same for the same action, author and key, or text if it has no key. Raises
    InvalidArgument."""
    if key is not None:
        check_name(key, "key")
    of = None if author is None else [author.kind.name, author.subject]
    identified_by = ["text", text] if key is None else ["key", key]
    names = json.dumps([action_key.hex(), of, *identified_by])
    return blake2b(names.encode(), digest_size=16, person=b"note").digest()


def is_same(author: Identity | None, other: Identity | None) -> bool:
    """Whether both are the same person or program."""
    if author is None or other is None:
        return False
    return (author.kind, author.subject) == (other.kind, other.subject)
