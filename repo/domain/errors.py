"""The errors of the repository, each with the code that an API client sees.

RepoError                 INTERNAL_SERVER_ERROR
├ NotFound                NOT_FOUND
│ ├ RunNotFound
│ ├ ActionNotFound
│ └ EventNotFound
├ Conflict                CONFLICT
├ Forbidden               FORBIDDEN
├ DigestMismatch          DIGEST_MISMATCH
├ QuotaExceeded           QUOTA_EXCEEDED
├ DeadlineExceeded        TIMEOUT
├ StoreUnavailable        SERVICE_UNAVAILABLE
├ DatabaseUnavailable     SERVICE_UNAVAILABLE
│ └ DatabaseReadOnly
└ InvalidArgument         BAD_USER_INPUT
  └ InvalidCursor
"""

from typing import Self


class RepoError(Exception):
    """The base class; messages are written for users of the API."""

    code = "INTERNAL_SERVER_ERROR"
    about: object = None
    """The item of a batch that caused the error, or the identifier of its action; None without one."""
    place: tuple[str | int, ...] = ()
    """The index of that item in the input."""

    def of(self, item: object) -> Self:
        """Returns the error with this item."""
        self.about = item
        return self


class NotFound(RepoError):
    """The named object does not exist."""

    code = "NOT_FOUND"


class RunNotFound(NotFound):
    """No run has this identifier."""


class ActionNotFound(NotFound):
    """No action has this identifier."""


class EventNotFound(NotFound):
    """The action has no such event."""


class Conflict(RepoError):
    """The request contradicts what is stored, such as a second root action for a run."""

    code = "CONFLICT"


class Forbidden(RepoError):
    """The caller may read the object but not do this."""

    code = "FORBIDDEN"


class DigestMismatch(RepoError):
    """What was sent is not what was announced; nothing was stored."""

    code = "DIGEST_MISMATCH"


class QuotaExceeded(RepoError):
    """More would be stored than a limit of the server allows."""

    code = "QUOTA_EXCEEDED"


class DeadlineExceeded(RepoError):
    """The request exceeded its time limit and was cancelled. A write may have been committed; every write
    can be repeated."""

    code = "TIMEOUT"


class StoreUnavailable(RepoError):
    """The store of large artifacts is unreachable, or refuses."""

    code = "SERVICE_UNAVAILABLE"


class DatabaseUnavailable(RepoError):
    """The database is unreachable or has no free connection. A write may have been committed; every write
    can be repeated."""

    code = "SERVICE_UNAVAILABLE"


class DatabaseReadOnly(DatabaseUnavailable):
    """The database accepts no writes, and nothing was stored: the server is a standby or read-only, or the
    SQLite file cannot be written."""


class InvalidArgument(RepoError):
    """An invalid argument."""

    code = "BAD_USER_INPUT"


class InvalidCursor(InvalidArgument):
    """A cursor that is malformed or belongs to another order."""
