"""Adds `runs`, a row for each root action with what lists of runs filter, search and order by, and
`run_terms`, an index of the words and of the pairs of characters by which runs are found. Triggers of the
database maintain both, so that servers of the previous version maintain them too.

`prepare` runs first, in transactions of its own: writers wait for none of them for long."""

import re
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision = "0010"

PART = 1000
"""Runs that are copied in a transaction."""

name = sa.String(255).with_variant(sa.String(255, collation="C"), "postgresql")
time = sa.DateTime(timezone=True).with_variant(sa.BigInteger(), "sqlite")
labels = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

FIXED = """run_key key project domain run_name source labels task_name task_version function_name
    trigger_task_name trigger_name created_by_subject created_by_name search_text""".split()
"""Columns that never change."""
CHANGING = "phase error_code abort_state created_at run_time ended_at updated_at duration_ms".split()
"""Columns that follow the action."""
EXPRESSIONS = {
    "created_by_name": "{row}.created_by ->> 'name'",
    "search_text": "coalesce({row}.run_search_text, '')",
    "error_code": "CASE WHEN {row}.phase IN (70, 80, 90) AND {row}.error_attempt = {row}.attempts "
    "THEN {row}.error ->> 'code' END",
    "run_time": "coalesce({row}.triggered_at, {row}.created_at)",
}
INDEXES = {
    "ix_runs_by_created": "created_at, key",
    "ix_runs_by_updated": "updated_at, key",
    "ix_runs_by_ended": "ended_at, key",
    "ix_runs_by_duration": "duration_ms, key",
    "ix_runs_by_phase": "phase, key",
    "ix_runs_by_name": "run_name, key",
    "ix_runs_by_time": "run_time, phase",
    "ix_runs_by_project": "project, domain, created_at, key",
    "ix_runs_by_error": "substr(error_code, 1, 100)) WHERE (error_code IS NOT NULL",
    "ix_runs_by_paused": "paused_actions) WHERE (paused_actions > 0",
    "ix_runs_by_abort": "abort_state) WHERE (abort_state IN (1, 2)",
}
REPLACED = "ix_runs_created ix_runs_of_project_created ix_runs_time ix_actions_paused".split()
"""Indexes of actions that only lists of runs used."""


def upgrade() -> None:
    connection = op.get_bind()
    create(connection)
    if connection.dialect.name != "sqlite":
        # First of all: no writer may wait for rows of this transaction while it waits for the table.
        op.execute("LOCK TABLE actions IN ACCESS EXCLUSIVE MODE")
    fill(connection, "NOT EXISTS (SELECT 1 FROM runs WHERE runs.run_key = a.run_key)")
    count_paused(connection)
    for index in REPLACED:
        op.execute(f"DROP INDEX IF EXISTS {index}")


def prepare(connection: sa.Connection, after: Any) -> Any:
    """The tables if `after` is None, else the runs that were created after that moment and key."""
    if after is None:
        create(connection)
        if connection.dialect.name == "sqlite":
            return 0, b""
        connection.exec_driver_sql("ALTER INDEX ix_run_terms SET (gin_pending_list_limit = 65536)")
        return datetime.min.replace(tzinfo=UTC), b""
    by_creation = " INDEXED BY ix_runs_created" if connection.dialect.name == "sqlite" else ""
    last = connection.execute(
        sa.text(
            f"SELECT a.created_at, a.key FROM actions a{by_creation} WHERE a.parent_key IS NULL "
            f"AND (a.created_at, a.key) > (:at, :key) ORDER BY a.created_at, a.key LIMIT 1 OFFSET {PART - 1}"
        ),
        {"at": after[0], "key": after[1]},
    ).first()
    if last is None:  # `upgrade` copies the rest
        if connection.dialect.name != "sqlite":
            # Many terms were sorted in at once; from now on few are: each read looks at those that wait.
            connection.exec_driver_sql("ALTER INDEX ix_run_terms SET (gin_pending_list_limit = 512)")
            connection.exec_driver_sql("SELECT gin_clean_pending_list('ix_run_terms')")
            # Without statistics, the planner would not use the indexes of the orders.
            connection.exec_driver_sql("ANALYZE runs, run_terms")
        return None
    which = "(a.created_at, a.key) > (:at, :key) AND (a.created_at, a.key) <= (:last_at, :last_key)"
    values = {"at": after[0], "key": after[1], "last_at": last[0], "last_key": last[1]}
    fill(connection, which, by_creation, **values)
    return tuple(last)


def create(connection: sa.Connection) -> None:
    """The tables and triggers, if they do not exist."""
    if sa.inspect(connection).has_table("runs"):
        return
    is_sqlite = connection.dialect.name == "sqlite"
    runs = sa.Table(
        "runs",
        sa.MetaData(),
        sa.Column("number", number, nullable=False, autoincrement=True),
        sa.Column("run_key", sa.LargeBinary(16), nullable=False),
        sa.Column("key", sa.LargeBinary(32), nullable=False),
        sa.Column("project", name, nullable=False),
        sa.Column("domain", name, nullable=False),
        sa.Column("run_name", name, nullable=False),
        sa.Column("source", sa.SmallInteger),
        sa.Column("labels", labels, nullable=False),
        sa.Column("task_name", sa.Text),
        sa.Column("task_version", sa.Text),
        sa.Column("function_name", sa.Text),
        sa.Column("trigger_task_name", sa.Text),
        sa.Column("trigger_name", sa.Text),
        sa.Column("created_by_subject", sa.Text),
        sa.Column("created_by_name", sa.Text),
        sa.Column("search_text", sa.Text, nullable=False),
        sa.Column("phase", sa.SmallInteger, nullable=False),
        sa.Column("error_code", sa.Text),
        sa.Column("abort_state", sa.SmallInteger),
        sa.Column("created_at", time, nullable=False),
        sa.Column("run_time", time, nullable=False),
        sa.Column("ended_at", time),
        sa.Column("updated_at", time, nullable=False),
        sa.Column("duration_ms", sa.BigInteger),
        sa.Column("paused_actions", sa.Integer, nullable=False, server_default="0"),
        sa.PrimaryKeyConstraint("number", name="pk_runs"),
        sa.UniqueConstraint("run_key", name="uq_runs_run_key"),
    )
    runs.create(connection)
    for index, columns in INDEXES.items():
        connection.exec_driver_sql(f"CREATE INDEX {index} ON runs ({columns})")
    for statement in map(for_sqlite, SQLITE) if is_sqlite else POSTGRESQL:
        connection.exec_driver_sql(statement)


def fill(connection: sa.Connection, which: str, by: str = "", **values: Any) -> None:
    """Copies runs that are not in the table yet. Their rows are locked, so that none is removed meanwhile; a
    concurrent change of one is in the table already. In the order in which writers change rows, so that they
    do not deadlock."""
    lock = "" if connection.dialect.name == "sqlite" else " FOR KEY SHARE OF a"
    copied = selected(FIXED + CHANGING, "a")
    statement = (
        f"INSERT INTO runs ({', '.join(FIXED + CHANGING)}) SELECT {copied} FROM actions a{by} "
        f"WHERE a.parent_key IS NULL AND {which} ORDER BY a.key{lock} ON CONFLICT (run_key) DO NOTHING"
    )
    if connection.dialect.name == "sqlite":
        statement = for_sqlite(statement)
    connection.execute(sa.text(statement), values)


def for_sqlite(statement: str) -> str:
    """SQLite has the operator `->>` since version 3.38; the rest needs 3.35."""
    return re.sub(r"(\S+) ->> '(\w+)'", r"json_extract(\1, '$.\2')", statement)


def count_paused(connection: sa.Connection) -> None:
    """Counts the paused actions of each run, while no action is written."""
    connection.exec_driver_sql("UPDATE runs SET paused_actions = 0 WHERE paused_actions <> 0")
    connection.exec_driver_sql(
        "UPDATE runs SET paused_actions = (SELECT count(*) FROM actions a WHERE a.run_key = runs.run_key "
        "AND a.phase = 50) WHERE run_key IN (SELECT run_key FROM actions WHERE phase = 50)"
    )


def selected(columns: list[str], row: str) -> str:
    """The values of these columns in a row of actions."""
    return ", ".join(EXPRESSIONS.get(each, f"{{row}}.{each}").format(row=row) for each in columns)


def differ(row: str, other: str, is_not: str, error: str) -> str:
    """Whether a column that follows the action differs in two rows."""
    columns = "phase error_attempt attempts abort_state created_at triggered_at ended_at updated_at".split()
    return " OR ".join(f"{row}.{each} {is_not} {other}.{each}" for each in [*columns, error])


ASSIGNED = ", ".join(f"{each} = {selected([each], 'NEW')}" for each in CHANGING)
WORDS = ", ".join(
    (
        "'source=' || {row}.source",
        "'task=' || {row}.task_name",
        "CASE WHEN {row}.task_name IS NULL THEN 'task-' END",
        "'version=' || {row}.task_version",
        "'function=' || {row}.function_name",
        "CASE WHEN {row}.function_name IS NULL THEN 'function-' END",
        "'trigger task=' || {row}.trigger_task_name",
        "'trigger=' || {row}.trigger_name",
        "'subject=' || {row}.created_by_subject",
        "'creator=' || {row}.created_by_subject",
        "'creator=' || {row}.created_by_name",
        "CASE WHEN length({row}.search_text) > 1000 THEN 'long' END",
    )
)
"""The words of a run; null where it has none. An index only narrows a search: conditions are checked too."""

POSTGRESQL = [
    """CREATE TABLE run_terms (
      number bigint CONSTRAINT pk_run_terms PRIMARY KEY
        CONSTRAINT fk_run_terms_runs REFERENCES runs (number) ON DELETE CASCADE,
      terms integer[] NOT NULL)""",
    "CREATE INDEX ix_run_terms ON run_terms USING gin (terms) WITH (gin_pending_list_limit = 512)",
    f"""CREATE FUNCTION rungraph_add_terms() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        INSERT INTO run_terms SELECT NEW.number, array_agg(DISTINCT hashtext(term)) FROM (
          SELECT unnest(ARRAY[{WORDS.format(row="NEW")}]) AS term
          UNION ALL SELECT unnest(ARRAY['label=' || key, 'value=' || key || '=' || value])
            FROM jsonb_each_text(NEW.labels)
          UNION ALL SELECT 'n' || substr(NEW.search_text, start, length)
            FROM generate_series(1, least(length(NEW.search_text), 1000)) start, generate_series(1, 2) length
          UNION ALL SELECT 'p' || substr(NEW.project || '/' || NEW.domain || '/' || NEW.run_name, start, 2)
            FROM generate_series(1, length(NEW.project || NEW.domain || NEW.run_name) + 1) start
        ) found WHERE term IS NOT NULL;
        RETURN NULL;
      END $$""",
    f"""CREATE FUNCTION rungraph_keep_run() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        IF TG_OP = 'DELETE' THEN
          DELETE FROM runs WHERE run_key = OLD.run_key;
          RETURN NULL;
        END IF;
        IF TG_OP = 'UPDATE' THEN
          UPDATE runs SET {ASSIGNED} WHERE run_key = NEW.run_key;
          IF FOUND THEN RETURN NULL; END IF;
        END IF;
        INSERT INTO runs ({", ".join(FIXED + CHANGING)}) VALUES ({selected(FIXED + CHANGING, "NEW")})
          ON CONFLICT (run_key) DO UPDATE SET {ASSIGNED};
        RETURN NULL;
      END $$""",
    """CREATE FUNCTION rungraph_count_paused() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        IF TG_OP <> 'INSERT' AND OLD.phase = 50 THEN
          UPDATE runs SET paused_actions = paused_actions - 1 WHERE run_key = OLD.run_key;
        ELSE
          UPDATE runs SET paused_actions = paused_actions + 1 WHERE run_key = NEW.run_key;
        END IF;
        RETURN NULL;
      END $$""",
    """CREATE TRIGGER rungraph_add_terms AFTER INSERT ON runs
      FOR EACH ROW EXECUTE FUNCTION rungraph_add_terms()""",
    """CREATE TRIGGER rungraph_add_run AFTER INSERT ON actions
      FOR EACH ROW WHEN (NEW.parent_key IS NULL) EXECUTE FUNCTION rungraph_keep_run()""",
    f"""CREATE TRIGGER rungraph_change_run AFTER UPDATE ON actions
      FOR EACH ROW WHEN (NEW.parent_key IS NULL
        AND ({differ("NEW", "OLD", "IS DISTINCT FROM", "error::text")}))
      EXECUTE FUNCTION rungraph_keep_run()""",
    """CREATE TRIGGER rungraph_remove_run AFTER DELETE ON actions
      FOR EACH ROW WHEN (OLD.parent_key IS NULL) EXECUTE FUNCTION rungraph_keep_run()""",
    # Deferred: an action may be inserted before the root of its run by the same statement.
    """CREATE CONSTRAINT TRIGGER rungraph_add_paused AFTER INSERT ON actions DEFERRABLE INITIALLY DEFERRED
      FOR EACH ROW WHEN (NEW.phase = 50) EXECUTE FUNCTION rungraph_count_paused()""",
    """CREATE CONSTRAINT TRIGGER rungraph_change_paused AFTER UPDATE ON actions DEFERRABLE INITIALLY DEFERRED
      FOR EACH ROW WHEN ((NEW.phase = 50) <> (OLD.phase = 50)) EXECUTE FUNCTION rungraph_count_paused()""",
    """CREATE CONSTRAINT TRIGGER rungraph_remove_paused AFTER DELETE ON actions DEFERRABLE INITIALLY DEFERRED
      FOR EACH ROW WHEN (OLD.phase = 50) EXECUTE FUNCTION rungraph_count_paused()""",
]


def sqlite_terms(row: str) -> str:
    """The terms of a row of runs as text, in hexadecimal digits."""
    words = " UNION ALL SELECT ".join(WORDS.format(row=row).split(", "))
    path = f"{row}.project || '/' || {row}.domain || '/' || {row}.run_name"
    return f"""(SELECT group_concat(hex(substr(term, 1, 100)), ' ') FROM (
        SELECT NULL AS term UNION ALL SELECT {words}
        UNION ALL SELECT 'label=' || key FROM json_each({row}.labels)
        UNION ALL SELECT 'value=' || key || '=' || value FROM json_each({row}.labels)
        UNION ALL SELECT 'n' || substr({row}.search_text, i.value, 1) FROM run_positions AS i
          WHERE i.value <= min(length({row}.search_text), 1000)
        UNION ALL SELECT 'n' || substr({row}.search_text, i.value, 2) FROM run_positions AS i
          WHERE i.value < min(length({row}.search_text), 1000)
        UNION ALL SELECT 'p' || substr({path}, i.value, 2) FROM run_positions AS i
          WHERE i.value < length({path})))"""


SQLITE = [
    # Numbers to take texts apart with: a trigger has no recursive queries.
    "CREATE TABLE run_positions (value INTEGER PRIMARY KEY)",
    """INSERT INTO run_positions WITH RECURSIVE numbers (value) AS (SELECT 1 UNION ALL SELECT value + 1
      FROM numbers WHERE value < 1000) SELECT value FROM numbers""",
    """CREATE VIRTUAL TABLE run_terms USING fts5 (terms, content = '', detail = none, columnsize = 0,
      tokenize = 'ascii')""",
    f"""CREATE TRIGGER rungraph_add_terms AFTER INSERT ON runs BEGIN
      INSERT INTO run_terms (rowid, terms) VALUES (NEW.number, {sqlite_terms("NEW")}); END""",
    f"""CREATE TRIGGER rungraph_remove_terms AFTER DELETE ON runs BEGIN
      INSERT INTO run_terms (run_terms, rowid, terms)
        VALUES ('delete', OLD.number, {sqlite_terms("OLD")}); END""",
    f"""CREATE TRIGGER rungraph_add_run AFTER INSERT ON actions WHEN NEW.parent_key IS NULL BEGIN
      INSERT INTO runs ({", ".join(FIXED + CHANGING)}, paused_actions)
        VALUES ({selected(FIXED + CHANGING, "NEW")},
        (SELECT count(*) FROM actions WHERE run_key = NEW.run_key AND phase = 50)); END""",
    f"""CREATE TRIGGER rungraph_change_run AFTER UPDATE ON actions
      WHEN NEW.parent_key IS NULL AND ({differ("NEW", "OLD", "IS NOT", "error")}) BEGIN
      UPDATE runs SET {ASSIGNED} WHERE run_key = NEW.run_key; END""",
    """CREATE TRIGGER rungraph_remove_run AFTER DELETE ON actions WHEN OLD.parent_key IS NULL BEGIN
      DELETE FROM runs WHERE run_key = OLD.run_key; END""",
    """CREATE TRIGGER rungraph_add_paused AFTER INSERT ON actions
      WHEN NEW.phase = 50 AND NEW.parent_key IS NOT NULL BEGIN
      UPDATE runs SET paused_actions = paused_actions + 1 WHERE run_key = NEW.run_key; END""",
    """CREATE TRIGGER rungraph_change_paused AFTER UPDATE OF phase ON actions
      WHEN (NEW.phase = 50) <> (OLD.phase = 50) BEGIN
      UPDATE runs SET paused_actions = paused_actions + (NEW.phase = 50) - (OLD.phase = 50)
      WHERE run_key = NEW.run_key; END""",
    """CREATE TRIGGER rungraph_remove_paused AFTER DELETE ON actions WHEN OLD.phase = 50 BEGIN
      UPDATE runs SET paused_actions = paused_actions - 1 WHERE run_key = OLD.run_key; END""",
]
