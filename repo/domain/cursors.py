"""What a reader of changes has seen so far, and the cursor by which a client continues from there."""

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class FeedPosition:
    """Which write transactions have been seen: all those below `upper`, but the ones still `open`.

    On PostgreSQL it is a snapshot of the database: what a statement in it sees, no more and no less. A
    transaction that commits late is among the open ones, so nothing passes it by.
    """

    upper: int
    open: frozenset[int] = frozenset()
    incarnation: str = ""
    """The id of the incarnation of the database whose transactions these are."""
    log_end: int = field(default=0, compare=False)
    """All that has been seen is in the log of the database before this position."""

    def includes(self, transaction_id: int) -> bool:
        """Whether what this transaction wrote has been seen."""
        return transaction_id < self.upper and transaction_id not in self.open

    def has_all_below(self, transaction_id: int) -> bool:
        """Whether what all transactions below this one wrote has been seen."""
        return self.upper >= transaction_id and all(number >= transaction_id for number in self.open)

    def is_before(self, other: "FeedPosition") -> bool:
        """Whether `other` can be reached from here: the numbers of one database only go forward."""
        return self.upper <= other.upper and self.log_end <= other.log_end


@dataclass(frozen=True, slots=True)
class Incarnation:
    """What the database is between two starts, recoveries or promotions of what runs it."""

    id: str
    complete_until: int | None
    """Until where in the log everything of the incarnation before is in this one; None where that is not
    known."""
    next_transaction: int | None = None
    """The id of the next transaction when it began; None where that is not known. It is not lower than any
    that has been seen, unless transactions were lost."""


def is_valid(position: FeedPosition, incarnations: Sequence[Incarnation]) -> bool:
    """Whether all that has been seen at the position is there still, in the last of the incarnations."""
    for incarnation in reversed(incarnations):
        if incarnation.id == position.incarnation:
            return True
        if incarnation.complete_until is None or incarnation.complete_until < position.log_end:
            return False
        if incarnation.next_transaction is not None and incarnation.next_transaction < position.upper:
            return False
    return False


@dataclass(frozen=True, slots=True)
class WatchCursor:
    """Where a stream stands: at which position, and behind which page of a snapshot that is not complete."""

    position: FeedPosition
    page: str | None = None

    def __str__(self) -> str:
        at = self.position
        parts = [at.incarnation, at.log_end, at.upper, sorted(at.open), self.page]
        text = json.dumps(parts, separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def parse_watch_cursor(text: str) -> WatchCursor | None:
    """The cursor, or None where it is not one: a stream then begins anew."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
        match json.loads(raw):
            case [str(incarnation), int(log_end), int(upper), [*open_], (str() | None) as page]:
                if all(type(number) is int for number in (log_end, upper, *open_)):
                    return WatchCursor(FeedPosition(upper, frozenset(open_), incarnation, log_end), page)
    except (binascii.Error, ValueError, RecursionError):
        pass
    return None
