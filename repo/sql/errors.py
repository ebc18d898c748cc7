"""What the errors of both databases' drivers mean: which are not the statement's fault, and may pass."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Any

import asyncpg
from sqlalchemy import ExceptionContext
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from repo.domain.errors import DatabaseReadOnly, DatabaseUnavailable, TookTooLong
from repo.sql.drivers import StatementStopped
from repo.sql.postgres import CONNECTION_LOST

_UNAVAILABLE = "the database is not available at the moment; the call may be repeated"
_READ_ONLY = "the database accepts no writes at the moment; the call may be repeated"
_TOO_LONG = "a statement took too long and was broken off; the call may be repeated"

_UNAVAILABLE_STATES = (
    "08",  # the connection failed
    "25P03",  # the transaction was idle for too long
    "40",  # the transaction was rolled back: a deadlock, or a conflict with recovery
    "53",  # something ran out: disk, memory, connections
    "55000",  # not in this state of the server, such as in recovery
    "55006",  # an object is in use
    "55P03",  # a lock was not available within lock_timeout
    "57000",  # an operator intervened
    "57P",  # the server shuts down or starts, or ended the session
    "58",  # the server's system failed, such as its disk
)
_TIMEOUT_STATES = ("57014", "25P04")
"""`statement_timeout`, or a cancel request; `transaction_timeout`."""
_READ_ONLY_STATE = "25006"
_REPEATABLE_STATES = ("40001", "40P01")
"""A transaction that conflicted with others, and would pass if it were repeated."""

# SQLite's extended codes have one of these in their lowest byte.
_UNAVAILABLE_CODES = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_PROTOCOL,
}


class Meaning(Enum):
    """What an error says about the database."""

    UNAVAILABLE = "the database is away, or lacks something; the statement may be right the next time"
    READ_ONLY = "the server accepts no writes, or the file cannot be written"
    TOO_LONG = "the statement was stopped at its time limit"


def meaning_of(error: BaseException) -> Meaning | None:
    """What an error of a driver or of SQLAlchemy says about the database; None if the statement is wrong."""
    is_lost = False
    if isinstance(error, DBAPIError):
        is_lost, error = error.connection_invalidated, error.orig or error
    if isinstance(error, StatementStopped):
        return Meaning.TOO_LONG
    found = _of_state(getattr(error, "sqlstate", None)) or _of_code(getattr(error, "sqlite_errorcode", None))
    if found is not None:
        return found
    is_away = is_lost or isinstance(error, (OSError, PoolTimeout, *CONNECTION_LOST))
    return Meaning.UNAVAILABLE if is_away else None


def _of_state(state: str | None) -> Meaning | None:
    if state is None:
        return None
    if state == _READ_ONLY_STATE:
        return Meaning.READ_ONLY
    if state in _TIMEOUT_STATES:
        return Meaning.TOO_LONG
    return Meaning.UNAVAILABLE if state.startswith(_UNAVAILABLE_STATES) else None


def _of_code(code: int | None) -> Meaning | None:
    match None if code is None else code & 0xFF:
        case sqlite3.SQLITE_READONLY:
            return Meaning.READ_ONLY
        case sqlite3.SQLITE_INTERRUPT:
            return Meaning.TOO_LONG
        case primary:
            return Meaning.UNAVAILABLE if primary in _UNAVAILABLE_CODES else None


def is_repeatable(error: BaseException) -> bool:
    """Whether PostgreSQL rolled the transaction back for a conflict with others: it may be repeated."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return getattr(cause, "sqlstate", None) in _REPEATABLE_STATES


@contextmanager
def translated() -> Iterator[None]:
    """Raise DatabaseUnavailable, DatabaseReadOnly or TookTooLong for what is not the statement's fault."""
    try:
        yield
    except (OSError, sqlite3.Error, PoolTimeout, DBAPIError, StatementStopped) as error:
        _raise(error)
        raise
    except (asyncpg.PostgresError, *CONNECTION_LOST) as error:
        _raise(error)
        raise


def _raise(error: Exception) -> None:
    match meaning_of(error):
        case Meaning.UNAVAILABLE:
            raise DatabaseUnavailable(_UNAVAILABLE) from error
        case Meaning.READ_ONLY:
            raise DatabaseReadOnly(_READ_ONLY) from error
        case Meaning.TOO_LONG:
            raise TookTooLong(_TOO_LONG) from error


def invalidate_spoilt(context: ExceptionContext) -> None:
    """Have the pool replace a connection that must not be used again, and all that are older."""
    if not _spoils_connection(context.original_exception):
        return
    context.is_disconnect = True
    if isinstance(context.original_exception, TimeoutError) and context.connection is not None:
        # The pool would say goodbye on it, and wait for an answer.
        driver: Any = context.connection.connection.driver_connection
        driver.terminate()


def _spoils_connection(error: BaseException) -> bool:
    """Whether the connection must not be used again: its server is silent, or accepts no writes."""
    return isinstance(error, TimeoutError) or getattr(error, "sqlstate", None) == _READ_ONLY_STATE
