"""The tables with their keys and indexes; decisions/0005 lists the query that each index serves."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ColumnElement,
    Computed,
    Float,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    UniqueConstraint,
    and_,
    func,
    text,
)

from repo.domain.artifacts import ArtifactKind
from repo.domain.phases import (
    AbortState,
    ActionPhase,
    ActionType,
    CacheStatus,
    CredentialKind,
    LeaseState,
    RunSource,
)
from repo.sql.functions import constant, elapsed_ms, next_revision, this_transaction
from repo.sql.types import Document, EnumNumber, FreeText, Labels, Name, UtcDateTime

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

actions = Table(
    "actions",
    metadata,
    # The digest of the names; see repo.domain.identifiers.
    Column("key", LargeBinary(32), nullable=False),
    Column("run_key", LargeBinary(16), nullable=False),
    Column("parent_key", LargeBinary(32)),
    # The number of ancestors; ordering by it puts parents before their children.
    Column("depth", Integer, nullable=False),
    Column("name", Name, nullable=False),
    Column("project", Name, nullable=False),
    Column("domain", Name, nullable=False),
    Column("run_name", Name, nullable=False),
    Column("parent_name", Name),
    Column("type", EnumNumber(ActionType), nullable=False),
    Column("group", FreeText),
    Column("phase", EnumNumber(ActionPhase), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("cache_status", EnumNumber(CacheStatus), nullable=False),
    Column("source", EnumNumber(RunSource)),
    Column("labels", Labels, nullable=False),
    Column("task_project", FreeText),
    Column("task_domain", FreeText),
    Column("task_name", FreeText),
    Column("task_version", FreeText),
    Column("task_type", FreeText),
    Column("function_name", FreeText),
    Column("environment_name", FreeText),
    Column("trigger_task_name", FreeText),
    Column("trigger_name", FreeText),
    Column("trigger_revision", BigInteger),
    Column("created_by", Document),
    Column("created_by_subject", FreeText),
    # Normalised text for searches: of the action's names, and of the run's names.
    Column("search_text", FreeText, nullable=False),
    Column("run_search_text", FreeText),
    Column("spec", Document),
    Column("dependencies", Document),
    Column("state", FreeText),
    Column("abort_state", EnumNumber(AbortState)),
    Column("abort_reason", FreeText),
    Column("abort_requested_by", Document),
    Column("abort_requested_at", UtcDateTime),
    Column("abort_attempt_count", Integer, nullable=False),
    Column("abort_next_attempt_at", UtcDateTime),
    Column("abort_last_error", FreeText),
    Column("abort_confirmed_at", UtcDateTime),
    # The lease: the name of the claiming replica, and its expiry.
    Column("abort_lease", FreeText),
    Column("abort_leased_until", UtcDateTime),
    # The batch of a bulk abort.
    Column("abort_batch", FreeText),
    # The error that ended `error_attempt`; events may arrive before the phase update.
    Column("error", Document),
    Column("error_attempt", Integer),
    # The phase in which its executor was lost; it is FAILED until that reports again.
    Column("lost_phase", EnumNumber(ActionPhase)),
    # Of roots: what renewed the run's lease last.
    Column("executor", FreeText),
    Column("created_at", UtcDateTime, nullable=False),
    Column("triggered_at", UtcDateTime),
    Column("started_at", UtcDateTime),
    Column("ended_at", UtcDateTime),
    # Reported times, if any: the start of the latest attempt, and when the phase began.
    Column("start_time", UtcDateTime),
    Column("phase_time", UtcDateTime),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("duration_ms", BigInteger, Computed(elapsed_ms("created_at", "ended_at"), persisted=True)),
    Column("revision", BigInteger, nullable=False, default=this_transaction(), onupdate=next_revision()),
    # The transactions that last wrote the row, and that last set or notified its state; compared with feed
    # positions.
    Column(
        "transaction_id", BigInteger, nullable=False, default=this_transaction(), onupdate=this_transaction()
    ),
    Column("state_transaction_id", BigInteger),
    # When others named the action first; null once it is described.
    Column("placeholder_since", UtcDateTime),
    # The latest reported progress; see repo.domain.reports.
    Column("progress", Document),
    # The number of its notes and the last one, which rows show; null without notes.
    Column("notes", Document),
    PrimaryKeyConstraint("key"),
    CheckConstraint("parent_key <> key", name="parent_is_another"),
)

# A partial index is used only if the query has the same condition with the same constants.
is_root = actions.c.parent_key.is_(None)
"""The action is the root of its run."""
is_unconfirmed = constant(actions.c.abort_state, AbortState.REQUESTED, AbortState.RETRYING, AbortState.FAILED)
"""The abort is unconfirmed: it waits for the executor or has failed."""
is_abort_pending = constant(actions.c.abort_state, AbortState.REQUESTED, AbortState.RETRYING)
"""The abort waits for the executor."""


def _index(name: str, *columns: Any, where: ColumnElement[bool] | None = None, unique: bool = False) -> None:
    Index(name, *columns, unique=unique, postgresql_where=where, sqlite_where=where)


_index("uq_actions_root", actions.c.run_key, where=is_root, unique=True)
_index("ix_actions_parent", actions.c.parent_key)
_index("ix_actions_created", actions.c.created_at, actions.c.key)
_index("ix_actions_tree", actions.c.run_key, actions.c.depth, actions.c.created_at, actions.c.name)
_index("ix_actions_unconfirmed_abort", actions.c.abort_requested_at, actions.c.key, where=is_unconfirmed)
_index("ix_runs_abort_batch", actions.c.abort_batch, where=actions.c.abort_batch.is_not(None))

MAX_CODE_PREFIX = 100
MAX_INDEXED_NAME = 150
"""Tasks, functions and creators with longer names are not suggested, and have no typical durations."""

# A row for each root, with what lists of runs filter, search and order by. Triggers maintain it.
runs = Table(
    "runs",
    metadata,
    Column("number", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True),
    Column("run_key", LargeBinary(16), nullable=False),
    Column("key", LargeBinary(32), nullable=False),
    Column("project", Name, nullable=False),
    Column("domain", Name, nullable=False),
    Column("run_name", Name, nullable=False),
    Column("source", EnumNumber(RunSource)),
    Column("labels", Labels, nullable=False),
    Column("task_name", FreeText),
    Column("task_version", FreeText),
    Column("function_name", FreeText),
    Column("trigger_task_name", FreeText),
    Column("trigger_name", FreeText),
    Column("created_by_subject", FreeText),
    Column("created_by_name", FreeText),
    Column("search_text", FreeText, nullable=False),
    Column("phase", EnumNumber(ActionPhase), nullable=False),
    # Null unless the run ended with an error.
    Column("error_code", FreeText),
    Column("abort_state", EnumNumber(AbortState)),
    Column("created_at", UtcDateTime, nullable=False),
    # When it was triggered, or created if it was never triggered.
    Column("run_time", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("duration_ms", BigInteger),
    Column("paused_actions", Integer, nullable=False, server_default=text("0")),
    Column("executor", FreeText),
    # When anything of the run was last reported, to about 10 s; see repo.actions.activity.
    Column("last_reported_at", UtcDateTime),
    UniqueConstraint("run_key"),
)
is_run_abort_pending = constant(runs.c.abort_state, AbortState.REQUESTED, AbortState.RETRYING)
"""The abort of the run waits for the executor."""
_index("ix_runs_by_created", runs.c.created_at, runs.c.key)
_index("ix_runs_by_updated", runs.c.updated_at, runs.c.key)
_index("ix_runs_by_ended", runs.c.ended_at, runs.c.key)
_index("ix_runs_by_duration", runs.c.duration_ms, runs.c.key)
_index("ix_runs_by_phase", runs.c.phase, runs.c.key)
_index("ix_runs_by_name", runs.c.run_name, runs.c.key)
_index("ix_runs_by_time", runs.c.run_time, runs.c.phase)
_index("ix_runs_by_project", runs.c.project, runs.c.domain, runs.c.created_at, runs.c.key)
error_code_prefix = func.substr(runs.c.error_code, text("1"), text(str(MAX_CODE_PREFIX)))
"""The beginning of the code of a run's error: an index entry is limited."""
_index("ix_runs_by_error", error_code_prefix, where=runs.c.error_code.is_not(None))
_index("ix_runs_by_paused", runs.c.paused_actions, where=runs.c.paused_actions > text("0"))
_index("ix_runs_by_abort", runs.c.abort_state, where=is_run_abort_pending)
_index("ix_runs_by_executor", runs.c.executor, runs.c.key, where=runs.c.executor.is_not(None))
_index("ix_runs_by_reported", runs.c.last_reported_at, runs.c.key, where=runs.c.ended_at.is_(None))


def _fits_index(name: Column[Any]) -> ColumnElement[bool]:
    """Whether there is a name, short enough for an entry of an index that begins with project and domain:
    PostgreSQL limits entries to 2,704 bytes."""
    return func.length(name) <= text(str(MAX_INDEXED_NAME))


has_creator = _fits_index(runs.c.created_by_subject)
_index("ix_runs_by_creator", runs.c.created_by_subject, runs.c.project, runs.c.domain, where=has_creator)
has_task = _fits_index(runs.c.task_name)
_index(
    "ix_runs_by_task",
    runs.c.project,
    runs.c.domain,
    runs.c.task_name,
    runs.c.created_at,
    where=has_task,
)
has_only_function = and_(runs.c.task_name.is_(None), _fits_index(runs.c.function_name))
_index(
    "ix_runs_by_function",
    runs.c.project,
    runs.c.domain,
    runs.c.function_name,
    runs.c.created_at,
    where=has_only_function,
)

# A row for each run whose executor renews a lease, or did until it was lost.
run_leases = Table(
    "run_leases",
    metadata,
    Column("run_key", LargeBinary(16), nullable=False),
    Column("executor", FreeText, nullable=False),
    Column("ttl_seconds", Integer, nullable=False),
    # By the clock of the database.
    Column("expires_at", UtcDateTime, nullable=False),
    Column("state", EnumNumber(LeaseState), nullable=False),
    PrimaryKeyConstraint("run_key"),
    ForeignKeyConstraint(["run_key"], ["runs.run_key"], ondelete="CASCADE"),
)
is_lease_open = run_leases.c.state < text(str(int(LeaseState.EXPIRED)))
"""The lease may still end actions of its run."""
_index("ix_run_leases_expires_at", run_leases.c.expires_at, where=is_lease_open)

action_events = Table(
    "action_events",
    metadata,
    Column("action_key", LargeBinary(32), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("phase", EnumNumber(ActionPhase), nullable=False),
    Column("version", Integer, nullable=False),
    Column("occurred_at", UtcDateTime, nullable=False),
    Column("reported_at", UtcDateTime),
    Column("error", Document),
    Column("logs", Document),
    Column("outputs", Document),
    Column("cluster", FreeText),
    Column("cache_status", EnumNumber(CacheStatus)),
    Column("cluster_events", Document),
    Column("info", Document),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("transaction_id", BigInteger, nullable=False, default=this_transaction()),
    PrimaryKeyConstraint("action_key", "attempt", "phase", "version"),
    ForeignKeyConstraint(["action_key"], ["actions.key"], ondelete="CASCADE"),
)
Index("ix_action_events_transaction", action_events.c.transaction_id)

# The log of an attempt, with chunks of its lines.
log_heads = Table(
    "log_heads",
    metadata,
    Column("action_key", LargeBinary(32), nullable=False),
    Column("attempt", Integer, nullable=False),
    # The number of the last line.
    Column("line_count", BigInteger, nullable=False),
    # Of all lines that were received, and of those that are stored.
    Column("byte_count", BigInteger, nullable=False),
    Column("stored_bytes", BigInteger, nullable=False),
    Column("first_error", BigInteger),
    # The lines that were removed from the middle, if any.
    Column("omitted_first", BigInteger),
    Column("omitted_last", BigInteger),
    # The next offset of each stream.
    Column("streams", Document, nullable=False),
    # The first number, the bytes and the last number of the newest chunks, which may be merged.
    Column("tail", Document, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    PrimaryKeyConstraint("action_key", "attempt"),
    ForeignKeyConstraint(["action_key"], ["actions.key"], ondelete="CASCADE"),
)
log_chunks = Table(
    "log_chunks",
    metadata,
    Column("action_key", LargeBinary(32), nullable=False),
    Column("attempt", Integer, nullable=False),
    # The numbers that it covers.
    Column("first", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    # Bytes of the lines before compression.
    Column("size", Integer, nullable=False),
    # The levels that occur, as bits.
    Column("levels", SmallInteger, nullable=False),
    Column("data", LargeBinary, nullable=False),
    PrimaryKeyConstraint("action_key", "attempt", "first"),
    ForeignKeyConstraint(
        ["action_key", "attempt"],
        ["log_heads.action_key", "log_heads.attempt"],
        name="fk_log_chunks_log_heads",
        ondelete="CASCADE",
    ),
)

# The reported numbers of each action, by name; see repo.domain.reports.
action_metrics = Table(
    "action_metrics",
    metadata,
    Column("action_key", LargeBinary(32), nullable=False),
    Column("name", Name, nullable=False),
    Column("unit", FreeText),
    Column("last", Float(53), nullable=False),
    Column("last_at", UtcDateTime, nullable=False),
    Column("minimum", Float(53), nullable=False),
    Column("maximum", Float(53), nullable=False),
    # A level, and a sample of the values: pairs of microseconds since 1970 and a value.
    Column("series", Document, nullable=False),
    PrimaryKeyConstraint("action_key", "name"),
    ForeignKeyConstraint(["action_key"], ["actions.key"], ondelete="CASCADE"),
)

# What people wrote about actions; those of a run are those of its root.
notes = Table(
    "notes",
    metadata,
    # A digest of the action, the author and what identifies it among those of the author.
    Column("id", LargeBinary(16), nullable=False),
    Column("action_key", LargeBinary(32), nullable=False),
    Column("text", FreeText, nullable=False),
    Column("author", Document),
    Column("created_at", UtcDateTime, nullable=False),
    Column("edited_at", UtcDateTime),
    PrimaryKeyConstraint("id"),
    ForeignKeyConstraint(["action_key"], ["actions.key"], ondelete="CASCADE"),
)
Index("ix_notes_action", notes.c.action_key, notes.c.created_at, notes.c.id)

# Which actions each transaction wrote, for the change feed. Triggers insert the rows, which are kept as long
# as tombstones.
action_changes = Table(
    "action_changes",
    metadata,
    Column("transaction_id", BigInteger, nullable=False, autoincrement=False),
    Column("key", LargeBinary(32), nullable=False),
    Column("written_at", UtcDateTime, nullable=False),
    PrimaryKeyConstraint("transaction_id", "key"),
    sqlite_with_rowid=False,
)

# Tombstones of removed runs for subscribers, kept for days; then the horizon is moved past them.
removed_runs = Table(
    "removed_runs",
    metadata,
    Column("transaction_id", BigInteger, nullable=False, default=this_transaction()),
    # The key of the root, which begins with the key of the run.
    Column("key", LargeBinary(32), nullable=False),
    Column("project", Name, nullable=False),
    Column("domain", Name, nullable=False),
    Column("name", Name, nullable=False),
    # Above the root's revision.
    Column("revision", BigInteger, nullable=False),
    # Whether a subscriber may still consider one of its aborts pending.
    Column("aborts_changed", Boolean, nullable=False),
    Column("removed_at", UtcDateTime, nullable=False),
    PrimaryKeyConstraint("transaction_id", "key"),
)
Index("ix_removed_runs_removed_at", removed_runs.c.removed_at)

# Logged changes and tombstones of transactions below this one may be gone.
removal_horizon = Table(
    "removal_horizon",
    metadata,
    Column("id", SmallInteger, primary_key=True),
    Column("transaction_id", BigInteger, nullable=False),
)

# What attempts of actions take in and leave behind. Of small ones the bytes are in `artifact_bytes`.
artifacts = Table(
    "artifacts",
    metadata,
    Column("id", LargeBinary(16), nullable=False),
    Column("action_key", LargeBinary(32), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("kind", EnumNumber(ArtifactKind), nullable=False),
    Column("name", Name, nullable=False),
    Column("media_type", Name, nullable=False),
    Column("sha256", LargeBinary(32), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("in_store", Boolean, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    PrimaryKeyConstraint("id"),
    UniqueConstraint("action_key", "attempt", "kind", "name"),
    ForeignKeyConstraint(["action_key"], ["actions.key"], ondelete="CASCADE"),
)

artifact_bytes = Table(
    "artifact_bytes",
    metadata,
    Column("artifact_id", LargeBinary(16), nullable=False),
    Column("bytes", LargeBinary, nullable=False),
    PrimaryKeyConstraint("artifact_id"),
    ForeignKeyConstraint(["artifact_id"], ["artifacts.id"], ondelete="CASCADE"),
)

# A row for each object in the store, inserted before the object is written. `delete_after` is null for those
# of artifacts, in the future for uploads, and in the past for those to delete: a trigger sets it when an
# artifact is deleted.
artifact_objects = Table(
    "artifact_objects",
    metadata,
    Column("id", LargeBinary(16), nullable=False),
    Column("delete_after", UtcDateTime),
    PrimaryKeyConstraint("id"),
)
_index(
    "ix_artifact_objects_unused",
    artifact_objects.c.delete_after,
    where=artifact_objects.c.delete_after.is_not(None),
)

# How many bytes the artifacts of each run have.
artifact_usage = Table(
    "artifact_usage",
    metadata,
    Column("run_key", LargeBinary(16), nullable=False),
    Column("bytes", BigInteger, nullable=False),
    PrimaryKeyConstraint("run_key"),
    ForeignKeyConstraint(["run_key"], ["runs.run_key"], ondelete="CASCADE"),
)

# Keys that all servers sign with; migrations insert them.
signing_keys = Table(
    "signing_keys",
    metadata,
    Column("name", Name, nullable=False),
    Column("secret", LargeBinary(32), nullable=False),
    PrimaryKeyConstraint("name"),
)

credentials = Table(
    "credentials",
    metadata,
    Column("id", Name, nullable=False),
    Column("kind", EnumNumber(CredentialKind), nullable=False),
    Column("secret_hash", LargeBinary(32), nullable=False),
    Column("name", Name, nullable=False),
    Column("identity", Document, nullable=False),
    Column("access", Document, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),
    Column("revoked_at", UtcDateTime),
    PrimaryKeyConstraint("id"),
    UniqueConstraint("secret_hash"),
)

# Detects failovers and restores (repo.sql.incarnations): one row for each start, recovery or promotion of the
# database's server.
incarnations = Table(
    "incarnations",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    # Random; named in cursors.
    Column("id", FreeText, nullable=False),
    # Identifies the database, its server and the server's start.
    Column("place", FreeText, nullable=False),
    Column("run", FreeText, nullable=False),
    # The WAL position up to which this incarnation contains the previous one.
    Column("complete_until", BigInteger),
    # The next transaction id at its start; null on SQLite.
    Column("next_transaction", BigInteger),
)

# SQLite only: the counter of write transactions. The epoch is for servers of older versions without
# incarnations.
transaction_counter = Table(
    "transaction_counter",
    metadata,
    Column("id", SmallInteger, primary_key=True),
    Column("epoch", FreeText, nullable=False),
    Column("value", BigInteger, nullable=False),
)
