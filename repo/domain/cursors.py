"""Feed positions: what a reader of changes has seen, and the cursor to resume from."""

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class FeedPosition:
    """The write transactions seen: all below `upper` except the `open` ones. On PostgreSQL this is a
    database snapshot, exactly what a statement in it sees. A transaction that commits late is among the
    open ones, so it is not missed."""

    upper: int
    open: frozenset[int] = frozenset()
    incarnation: str = ""
    """The incarnation of the database to which the transaction ids belong."""
    log_end: int = field(default=0, compare=False)
    """The WAL position before which everything seen is logged."""

    def includes(self, transaction_id: int) -> bool:
        """Whether this transaction has been seen."""
        return transaction_id < self.upper and transaction_id not in self.open

    def has_all_below(self, transaction_id: int) -> bool:
        """Whether all transactions below this one have been seen."""
        return self.upper >= transaction_id and all(number >= transaction_id for number in self.open)

    def is_before(self, other: "FeedPosition") -> bool:
        """Whether `other` is not before this position."""
        return self.upper <= other.upper and self.log_end <= other.log_end


@dataclass(frozen=True, slots=True)
class Incarnation:
    """An incarnation: the database between two starts, recoveries or promotions of its server."""

    id: str
    complete_until: int | None
    """The WAL position up to which this incarnation contains the previous one; None if unknown."""
    next_transaction: int | None = None
    """The next transaction id at its start; None if unknown. Not lower than any seen id, unless transactions
    were lost."""


def is_valid(position: FeedPosition, incarnations: Sequence[Incarnation]) -> bool:
    """Whether everything seen at the position is still present in the newest incarnation."""
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
    """The cursor of a stream: its position and, within an unfinished snapshot, the page."""

    position: FeedPosition
    page: str | None = None

    def __str__(self) -> str:
        at = self.position
        parts = [at.incarnation, at.log_end, at.upper, sorted(at.open), self.page]
        text = json.dumps(parts, separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def parse_watch_cursor(text: str) -> WatchCursor | None:
    """Parses a cursor; None if it is invalid, which restarts the stream."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
        match json.loads(raw):
            case [str(incarnation), int(log_end), int(upper), [*open_], (str() | None) as page]:
                if all(type(number) is int for number in (log_end, upper, *open_)):
                    return WatchCursor(FeedPosition(upper, frozenset(open_), incarnation, log_end), page)
    except (binascii.Error, ValueError, RecursionError):
        pass
    return None
