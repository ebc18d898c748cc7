"""Owns what a reader of changes has seen so far, and how a client carries that away and back."""

import base64
import binascii
import json
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Position:
    """Which write transactions have been seen: all those below `upper`, but the ones still `open`.

    On PostgreSQL it is a snapshot of the database: what a statement in it sees, no more and no less. A
    transaction that commits late is among the open ones, so nothing passes it by.
    """

    upper: int
    open: frozenset[int] = frozenset()

    def includes(self, transaction_id: int) -> bool:
        """Whether what this transaction wrote has been seen."""
        return transaction_id < self.upper and transaction_id not in self.open

    def has_all_below(self, transaction_id: int) -> bool:
        """Whether what all transactions below this one wrote has been seen."""
        return self.upper >= transaction_id and all(number >= transaction_id for number in self.open)

    def below(self, transaction_id: int) -> "Position":
        """What has been seen of the transactions below this one; all others have not been."""
        opened = frozenset(number for number in self.open if number < transaction_id)
        return Position(min(self.upper, transaction_id), opened)

    def is_before(self, other: "Position") -> bool:
        """Whether `other` can be reached from here: time in one database only goes forward."""
        return self.upper <= other.upper


@dataclass(frozen=True, slots=True)
class WatchCursor:
    """Where a stream stands: in which life of the database, at which position, and behind which page of
    a snapshot that is not complete."""

    epoch: str
    position: Position
    page: str | None = None

    def __str__(self) -> str:
        parts = [self.epoch, self.position.upper, sorted(self.position.open), self.page]
        text = json.dumps(parts, separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def parse_watch_cursor(text: str) -> WatchCursor | None:
    """The cursor, or None where it is not one: a stream then begins anew."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
        match json.loads(raw):
            case [str(epoch), int(upper), [*open_], (str() | None) as page]:
                if all(type(number) is int for number in (upper, *open_)):
                    return WatchCursor(epoch, Position(upper, frozenset(open_)), page)
    except (binascii.Error, ValueError, RecursionError):
        pass
    return None
