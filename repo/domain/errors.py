"""Owns what can go wrong in the repository, each with the code that an API client sees.

RepoError                 INTERNAL_SERVER_ERROR
├ NotFound                NOT_FOUND
│ ├ RunNotFound
│ ├ ActionNotFound
│ └ EventNotFound
├ Conflict                CONFLICT
├ Forbidden               FORBIDDEN
├ DeadlineExceeded        TIMEOUT
├ DatabaseUnavailable     SERVICE_UNAVAILABLE
│ └ DatabaseReadOnly
└ InvalidArgument         BAD_USER_INPUT
  └ InvalidCursor
"""

from typing import Self


class RepoError(Exception):
    """The base of all errors below; its message is written for the person who called the API."""

    code = "INTERNAL_SERVER_ERROR"
    about: object = None
    """The item of a batch that is at fault, or the identifier of its action; None where no one is."""
    place: tuple[str | int, ...] = ()
    """Where that item stands in what the caller gave."""

    def of(self, item: object) -> Self:
        """The error, which is about this item."""
        self.about = item
        return self


class NotFound(RepoError):
    """The thing that the caller named is not stored."""

    code = "NOT_FOUND"


class RunNotFound(NotFound):
    """No run has this identifier."""


class ActionNotFound(NotFound):
    """No action has this identifier."""


class EventNotFound(NotFound):
    """The action has no such event."""


class Conflict(RepoError):
    """The call contradicts what is stored, such as a second root action for a run."""

    code = "CONFLICT"


class Forbidden(RepoError):
    """The caller may see what is there, but not do this to it."""

    code = "FORBIDDEN"


class DeadlineExceeded(RepoError):
    """The call took longer than a call may, and was broken off. Whether a write was kept may be unknown; all
    of them may be repeated."""

    code = "TIMEOUT"


class DatabaseUnavailable(RepoError):
    """The database cannot be reached at the moment, or has no connection left. Whether a write was kept
    may be unknown; all of them may be repeated."""

    code = "SERVICE_UNAVAILABLE"


class DatabaseReadOnly(DatabaseUnavailable):
    """The database accepts no writes at the moment, and nothing of this one was kept: the server is a standby
    or read-only, or the file of SQLite cannot be written."""


class InvalidArgument(RepoError):
    """A value that can never be right, whatever is stored."""

    code = "BAD_USER_INPUT"


class InvalidCursor(InvalidArgument):
    """A cursor that this list did not give out, or that belongs to another order."""
