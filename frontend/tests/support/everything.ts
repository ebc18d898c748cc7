import { actionId, createActions, createRun, insertEvents, runId, setPhases } from "./record";
import type { TestServer } from "./server";

const PHASES = [
  "QUEUED",
  "WAITING_FOR_RESOURCES",
  "INITIALIZING",
  "RUNNING",
  "PAUSED",
  "SUCCEEDED",
  "RECOVERED",
  "SKIPPED",
  "FAILED",
  "TIMED_OUT",
  "ABORTED",
];
const ABORT = `mutation ($id: RunIdentifierInput!) { abortRun(input: {id: $id, reason: "Wrong table"}) { requested } }`;
const MARK = `mutation ($id: ActionIdentifierInput!) { markAbortAttempt(id: $id, error: "refused") { attemptCount } }`;
const CLEAR = `mutation ($id: ActionIdentifierInput!) { clearAbortRequest(id: $id) { action { id } } }`;
const EVERYTHING = runId("everything");

/** Creates runs with everything that the page can show, on a server where an abort fails after 3 attempts. */
export async function recordEverything(server: TestServer): Promise<void> {
  for (const phase of PHASES) {
    await createActions(server, runId(`is-${phase.toLowerCase()}`), [
      { name: "root", phase, labels: [{ key: "team", value: "data" }] },
    ]);
  }
  const ago = (seconds: number): string => new Date(Date.now() - seconds * 1_000).toISOString();
  await createActions(server, EVERYTHING, [
    { name: "root", phase: "RUNNING", createdAt: ago(90), labels: [{ key: "team", value: "data" }] },
    {
      name: "step",
      parent: "root",
      phase: "RUNNING",
      createdAt: ago(80),
      spec: { table: "orders", of: [1, true, null] },
    },
    { name: "after", parent: "root", phase: "QUEUED", dependencies: ["step"], createdAt: ago(80) },
    ...PHASES.map((phase) => ({
      name: `of-${phase.toLowerCase()}`,
      parent: "step",
      phase,
      group: "all",
      createdAt: ago(70),
    })),
  ]);
  const message = `Traceback (most recent call last):\n${'  File "x.py", line 1\n'.repeat(9)}ValueError: no such row`;
  const error = { kind: "USER", code: "E_ROW", message };
  await insertEvents(server, EVERYTHING, [
    {
      action: "step",
      attempt: 1,
      phase: "RUNNING",
      occurredAt: ago(60),
      logs: [{ name: "stdout", uri: "https://logs.example.com/1" }],
    },
    {
      action: "step",
      attempt: 1,
      phase: "FAILED",
      occurredAt: ago(50),
      error,
      clusterEvents: [{ occurredAt: ago(50), reason: "OOMKilled", message: "Killed", warning: true }],
    },
    {
      action: "step",
      attempt: 2,
      phase: "RUNNING",
      occurredAt: ago(40),
      outputs: { rows: 9, ok: true, none: null },
      info: { host: "node-7" },
    },
    { action: "step", attempt: 2, phase: "FAILED", occurredAt: ago(30), error },
    { action: "root", attempt: 1, phase: "RUNNING", occurredAt: ago(80), error },
  ]);
  await setPhases(server, EVERYTHING, { step: "FAILED" }, 2);
  for (const [name, tries] of [
    ["abort-requested", 0],
    ["abort-retrying", 1],
    ["abort-failed", 3],
    ["abort-confirmed", 0],
  ] as const) {
    const run = runId(name);
    await createRun(server, run);
    await server.execute(ABORT, { id: run });
    for (let n = 0; n < tries; n += 1) await server.execute(MARK, { id: actionId(run, "root") });
  }
  await server.execute(CLEAR, { id: actionId(runId("abort-confirmed"), "root") });
}
