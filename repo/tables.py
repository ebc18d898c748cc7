"""Owns the tables, their keys and their indexes. decisions/ says which query each index serves."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Computed,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    func,
)

from repo.database import Document, EnumNumber, Labels, Name, UtcDateTime, elapsed_ms, this_revision
from repo.phases import AbortState, ActionPhase, ActionType, CacheStatus, RunSource

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
    Column("run_id", LargeBinary(16), nullable=False),
    Column("name", Name, nullable=False),
    Column("project", Name, nullable=False),
    Column("domain", Name, nullable=False),
    Column("run_name", Name, nullable=False),
    Column("parent_name", Name),
    Column("type", EnumNumber(ActionType), nullable=False),
    Column("group", Text),
    Column("phase", EnumNumber(ActionPhase), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("cache_status", EnumNumber(CacheStatus), nullable=False),
    Column("source", EnumNumber(RunSource)),
    Column("labels", Labels, nullable=False),
    Column("task_project", Text),
    Column("task_domain", Text),
    Column("task_name", Text),
    Column("task_version", Text),
    Column("task_type", Text),
    Column("function_name", Text),
    Column("environment_name", Text),
    Column("trigger_task_name", Text),
    Column("trigger_name", Text),
    Column("trigger_revision", BigInteger),
    Column("created_by", Document),
    Column("created_by_subject", Text),
    # What a search looks at, case folded: by its own names, and as a run by the run's names.
    Column("search_text", Text, nullable=False),
    Column("run_search_text", Text),
    Column("spec", Document),
    Column("state", Text),
    Column("abort_state", EnumNumber(AbortState)),
    Column("abort_reason", Text),
    Column("abort_requested_by", Document),
    Column("abort_requested_at", UtcDateTime),
    Column("abort_attempt_count", Integer, nullable=False),
    Column("abort_next_attempt_at", UtcDateTime),
    Column("abort_last_error", Text),
    Column("abort_confirmed_at", UtcDateTime),
    # The error that ended `error_attempt`; events of an attempt may come before its phase update.
    Column("error", Document),
    Column("error_attempt", Integer),
    Column("created_at", UtcDateTime, nullable=False),
    Column("triggered_at", UtcDateTime),
    Column("started_at", UtcDateTime),
    Column("ended_at", UtcDateTime),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("duration_ms", BigInteger, Computed(elapsed_ms("created_at", "ended_at"), persisted=True)),
    Column("revision", BigInteger, nullable=False, default=this_revision(), onupdate=this_revision()),
    # The revision at which `state` was last set or notified: what watch_state_updates looks for.
    Column("state_revision", BigInteger),
    PrimaryKeyConstraint("run_id", "name"),
    CheckConstraint("parent_name <> name", name="parent_is_another"),
)

_is_root = actions.c.parent_name.is_(None)
_roots: dict[str, Any] = {"postgresql_where": _is_root, "sqlite_where": _is_root}
run_time = func.coalesce(actions.c.triggered_at, actions.c.created_at)
"""When a run began for its readers: triggered, or created where it was never triggered."""

Index("uq_actions_root", actions.c.run_id, unique=True, **_roots)
Index("ix_actions_revision", actions.c.revision)
Index("ix_actions_parent", actions.c.run_id, actions.c.parent_name)
Index("ix_actions_created", actions.c.created_at, actions.c.run_id, actions.c.name)
Index("ix_actions_of_run_created", actions.c.run_id, actions.c.created_at, actions.c.name)
Index("ix_runs_created", actions.c.created_at, actions.c.run_id, **_roots)
Index(
    "ix_runs_of_project_created",
    actions.c.project,
    actions.c.domain,
    actions.c.created_at,
    actions.c.run_id,
    **_roots,
)
Index("ix_runs_time", run_time, **_roots)
_unconfirmed = actions.c.abort_state.in_([AbortState.REQUESTED, AbortState.RETRYING, AbortState.FAILED])
Index(
    "ix_actions_unconfirmed_abort",
    actions.c.abort_requested_at,
    actions.c.run_id,
    actions.c.name,
    postgresql_where=_unconfirmed,
    sqlite_where=_unconfirmed,
)
_paused = actions.c.phase == ActionPhase.PAUSED
Index("ix_actions_paused", actions.c.run_id, postgresql_where=_paused, sqlite_where=_paused)

action_events = Table(
    "action_events",
    metadata,
    Column("run_id", LargeBinary(16), nullable=False),
    Column("action_name", Name, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("phase", EnumNumber(ActionPhase), nullable=False),
    Column("version", Integer, nullable=False),
    Column("occurred_at", UtcDateTime, nullable=False),
    Column("reported_at", UtcDateTime),
    Column("error", Document),
    Column("logs", Document),
    Column("outputs", Document),
    Column("cluster", Text),
    Column("cache_status", EnumNumber(CacheStatus)),
    Column("cluster_events", Document),
    Column("info", Document),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("revision", BigInteger, nullable=False, default=this_revision(), onupdate=this_revision()),
    PrimaryKeyConstraint("run_id", "action_name", "attempt", "phase", "version"),
    ForeignKeyConstraint(["run_id", "action_name"], ["actions.run_id", "actions.name"], ondelete="CASCADE"),
)
Index("ix_action_events_revision", action_events.c.revision)

# SQLite only: the number of the newest write transaction. PostgreSQL has transaction ids for this.
revision_counter = Table(
    "revision_counter",
    metadata,
    Column("id", SmallInteger, primary_key=True),
    Column("value", BigInteger, nullable=False),
)
