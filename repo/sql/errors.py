"""Translates errors of both drivers: which of them are temporary, and not the statement's fault."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Any

import asyncpg
from sqlalchemy import ExceptionContext
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from repo.domain.errors import DatabaseReadOnly, DatabaseUnavailable, DeadlineExceeded
from repo.sql.pools import StatementStopped
from repo.sql.postgres import CONNECTION_LOST

_UNAVAILABLE = "the database is not available at the moment; retry the call"
_READ_ONLY = "the database accepts no writes at the moment; retry the call"
_TOO_LONG = "a statement exceeded its time limit and was cancelled; retry the call"

_UNAVAILABLE_STATES = (
    "08",  # the connection failed
    "25P03",  # idle_in_transaction_session_timeout
    "40",  # the transaction was rolled back: a deadlock, or a conflict with recovery
    "53",  # something ran out: disk, memory, connections
    "55000",  # not in this state of the server, such as during recovery
    "55006",  # an object is in use
    "55P03",  # lock_timeout
    "57000",  # an operator intervened
    "57P",  # the server shuts down, starts, or ended the session
    "58",  # a system error of the server, such as its disk
)
_TIMEOUT_STATES = ("57014", "25P04")
"""`statement_timeout` or a cancel request; `transaction_timeout`."""
_READ_ONLY_STATE = "25006"
_RETRYABLE_STATES = ("40001", "40P01")
"""Serialization failure and deadlock: the transaction may succeed when it is retried."""

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

CONSTRAINT_VIOLATED = (sqlite3.IntegrityError, asyncpg.IntegrityConstraintViolationError)
"""What the drivers raise for a row that violates a constraint."""

_TRANSLATED = (
    *(OSError, sqlite3.Error, PoolTimeout, DBAPIError, StatementStopped, asyncpg.PostgresError),
    *CONNECTION_LOST,
)


class OutdatedRead(DatabaseUnavailable):
    """Another transaction changed what this one had read, before it wrote: it is repeated."""


class ErrorClass(Enum):
    """The temporary conditions that an error may report."""

    UNAVAILABLE = "the database is unreachable or lacks a resource; a retry may succeed"
    READ_ONLY = "the server or the file accepts no writes"
    TIMEOUT = "the statement was cancelled at its time limit"


def classify(error: BaseException) -> ErrorClass | None:
    """The class of an error of a driver or of SQLAlchemy; None if the statement itself is wrong."""
    is_lost = False
    if isinstance(error, DBAPIError):
        is_lost, error = error.connection_invalidated, error.orig or error
    if isinstance(error, StatementStopped):
        return ErrorClass.TIMEOUT
    found = _of_state(getattr(error, "sqlstate", None)) or _of_code(getattr(error, "sqlite_errorcode", None))
    if found is not None:
        return found
    is_unavailable = is_lost or isinstance(error, (OSError, PoolTimeout, *CONNECTION_LOST))
    return ErrorClass.UNAVAILABLE if is_unavailable else None


def _of_state(state: str | None) -> ErrorClass | None:
    if state is None:
        return None
    if state == _READ_ONLY_STATE:
        return ErrorClass.READ_ONLY
    if state in _TIMEOUT_STATES:
        return ErrorClass.TIMEOUT
    return ErrorClass.UNAVAILABLE if state.startswith(_UNAVAILABLE_STATES) else None


def _of_code(code: int | None) -> ErrorClass | None:
    match None if code is None else code & 0xFF:
        case sqlite3.SQLITE_READONLY:
            return ErrorClass.READ_ONLY
        case sqlite3.SQLITE_INTERRUPT:
            return ErrorClass.TIMEOUT
        case primary:
            return ErrorClass.UNAVAILABLE if primary in _UNAVAILABLE_CODES else None


def is_retryable(error: BaseException) -> bool:
    """Whether the transaction was rolled back for a conflict with others."""
    if isinstance(error, OutdatedRead):
        return True
    cause = error.orig if isinstance(error, DBAPIError) else error
    return getattr(cause, "sqlstate", None) in _RETRYABLE_STATES


@contextmanager
def translated() -> Iterator[None]:
    """Raise DatabaseUnavailable, DatabaseReadOnly or DeadlineExceeded for temporary errors."""
    try:
        yield
    except _TRANSLATED as error:
        _raise(error)
        raise


def _raise(error: Exception) -> None:
    match classify(error):
        case ErrorClass.UNAVAILABLE:
            raise DatabaseUnavailable(_UNAVAILABLE) from error
        case ErrorClass.READ_ONLY:
            raise DatabaseReadOnly(_READ_ONLY) from error
        case ErrorClass.TIMEOUT:
            raise DeadlineExceeded(_TOO_LONG) from error


def invalidate_unusable(context: ExceptionContext) -> None:
    """Have the pool replace a connection whose server does not answer or accepts no writes, and all older
    ones."""
    error = context.original_exception
    has_no_answer = isinstance(error, TimeoutError)
    if not has_no_answer and getattr(error, "sqlstate", None) != _READ_ONLY_STATE:
        return
    context.is_disconnect = True
    if has_no_answer and context.connection is not None:
        # The pool would close it in order, and wait for an answer.
        driver: Any = context.connection.connection.driver_connection
        driver.terminate()
