/** The schema and the statement of the peers that have resolvers: the newest runs with the fields of the list. */

import pg from "pg";

// Times as text: a Date is created and formatted again for nothing.
const TIMESTAMPTZ = 1184;
pg.types.setTypeParser(TIMESTAMPTZ, (text) => `${text.replace(" ", "T")}:00`);
pg.types.setTypeParser(pg.types.builtins.INT8, Number);

const PHASES = {
  10: "QUEUED",
  20: "WAITING_FOR_RESOURCES",
  30: "INITIALIZING",
  40: "RUNNING",
  50: "PAUSED",
  60: "SUCCEEDED",
  70: "FAILED",
  80: "ABORTED",
  90: "TIMED_OUT",
  100: "RECOVERED",
  110: "SKIPPED",
};
const CACHE = ["DISABLED", "MISS", "HIT", "POPULATED", "LOOKUP_FAILURE", "PUT_FAILURE", "SKIPPED", "EVICTED"];
const SOURCES = [null, "WEB", "CLI", "SCHEDULE_TRIGGER", "TRACKED", "ARTIFACT_TRIGGER"];

export const typeDefs = `
  type Task { name: String version: String }
  type Trigger { name: String }
  type Run {
    project: String! domain: String! name: String! phase: String! attempts: Int! cacheStatus: String! source: String
    task: Task taskType: String functionName: String environmentName: String trigger: Trigger revision: Float!
    durationMs: Float createdAt: String! updatedAt: String! startedAt: String endedAt: String triggeredAt: String
  }
  type RunConnection { nodes: [Run!]! }
  type Query { runs(first: Int, after: String): RunConnection! }
`;

const TEXT = `SELECT a.project, a.domain, a.run_name, a.phase, a.attempts, a.cache_status, a.source, a.task_name,
  a.task_version, a.task_type, a.function_name, a.environment_name, a.trigger_name, a.revision, a.duration_ms,
  a.created_at, a.updated_at, a.started_at, a.ended_at, a.triggered_at
FROM (SELECT key FROM runs ORDER BY created_at DESC, key DESC LIMIT $1) AS newest
JOIN actions AS a ON a.key = newest.key ORDER BY a.created_at DESC, a.key DESC`;

const pool = new pg.Pool({ connectionString: process.env.RUNGRAPH_DATABASE_URL, max: 10 });

async function runs(first) {
  const { rows } = await pool.query({ name: "runs", text: TEXT, values: [first] });
  const nodes = rows.map((row) => ({
    project: row.project,
    domain: row.domain,
    name: row.run_name,
    phase: PHASES[row.phase],
    attempts: row.attempts,
    cacheStatus: CACHE[row.cache_status],
    source: SOURCES[row.source ?? 0],
    task: row.task_name === null ? null : { name: row.task_name, version: row.task_version },
    taskType: row.task_type,
    functionName: row.function_name,
    environmentName: row.environment_name,
    trigger: row.trigger_name === null ? null : { name: row.trigger_name },
    revision: row.revision,
    durationMs: row.duration_ms,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    startedAt: row.started_at,
    endedAt: row.ended_at,
    triggeredAt: row.triggered_at,
  }));
  return { nodes };
}

export const resolvers = { Query: { runs: (_, { first }) => runs(first) } };
