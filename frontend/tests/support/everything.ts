import {
  actionId,
  appendLog,
  createActions,
  createRun,
  insertEvents,
  runId,
  setPhases,
  storeArtifact,
} from "./record";
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
const NOTE = `mutation ($input: AddNoteInput!) { addNote(input: $input) { id } }`;
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
  for (const text of ["I’m on it: https://example.com/7", "The table is locked"]) {
    await server.execute(NOTE, { input: { run: EVERYTHING, text } });
  }
  await recordMore(server);
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

const REPORT = `mutation ($reports: [ReportInput!]!) { report(reports: $reports) { failed } }`;
const ESC = "\x1b";

/** A log in all colours, a file of each kind, progress, metrics, and an action that nobody has described. */
async function recordMore(server: TestServer): Promise<void> {
  const colors = [...Array(8).keys()].flatMap((n) => [30 + n, 90 + n, 40 + n, 100 + n]);
  await appendLog(server, EVERYTHING, "step", [
    { text: colors.map((code) => `${ESC}[${code}mcolour ${code}${ESC}[0m`).join(" ") },
    {
      text: `${ESC}[38;5;226mof 256${ESC}[0m ${ESC}[38;2;250;250;200mtrue${ESC}[0m ${ESC}[7minverse${ESC}[0m`,
    },
    { text: `${ESC}[1mbold${ESC}[0m ${ESC}[2mdim${ESC}[0m ${ESC}[4munderlined${ESC}[0m needle` },
    ...["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"].map((level) => ({ text: `needle ${level}`, level })),
  ]);
  await appendLog(server, EVERYTHING, "step", [{ text: "second" }], { attempt: 2, stream: "stderr" });
  const text =
    "# Report\n\n[link](https://example.com) `code`\n\n> quoted\n\n|a|b|\n|-|-|\n|1|2|\n\n    block\n";
  await storeArtifact(server, EVERYTHING, "step", "REPORT", "report.md", { text }, 2);
  await storeArtifact(server, EVERYTHING, "step", "OUTPUTS", "outputs.json", { json: { ok: true } }, 2);
  await storeArtifact(server, EVERYTHING, "step", "INPUTS", "rows.csv", { text: "id,name\n1,one\n" }, 2);
  await storeArtifact(server, EVERYTHING, "step", "FILE", "weights.bin", { base64: "AAEC" }, 2);
  const of = (name: string, rest: object) => ({ id: actionId(EVERYTHING, name), ...rest });
  const loss = (value: number, minute: number) => ({
    name: "loss",
    value,
    at: `2026-01-01T00:0${minute}:00Z`,
  });
  await server.execute(REPORT, {
    reports: [
      of("of-running", {
        progress: { done: 3, total: 12, message: "epoch 3" },
        metrics: [loss(2.5, 1), loss(0.5, 2), { name: "memory", value: 2 ** 30, unit: "By" }],
      }),
      of("of-initializing", { progress: { done: 3 } }),
      of("of-skipped", {
        phase: "SKIPPED",
        error: { kind: "USER", code: "E_NONE", message: "nothing to do" },
      }),
      of("root", { progress: { done: 1, total: 3 }, metrics: [{ name: "rows", value: 17 }] }),
      of("not-described", {}),
    ],
  });
}
