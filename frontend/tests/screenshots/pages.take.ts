import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, test } from "vitest";
import { launch, open } from "../support/browser";
import { type RunId, makeRecording } from "../support/record";
import { TestServer, until } from "../support/server";

const DOCS = join(import.meta.dirname, "..", "..", "..", "docs");
const SIZES = { wide: { width: 1440, height: 900 }, phone: { width: 390, height: 844 } };

let server: TestServer;
let browser: Browser;
const found: Record<string, RunId> = {};

/** The demo, far enough that everything is visible. */
beforeAll(async () => {
  [server, browser] = await Promise.all([TestServer.start(), launch()]);
  const file = join(mkdtempSync(join(tmpdir(), "rungraph-recording-")), "mosaic.json");
  writeFileSync(file, JSON.stringify(makeRecording(1_312)));
  await server.run("import", file, "--url", server.api, "--name", "mosaic");
  server.beginBeside("demo", "--url", server.api, "--seed", "11");
  const query = `query ($filter: RunFilter) { runs(first: 1, filter: $filter) { nodes { project domain name } } }`;
  const wanted: Record<string, object> = {
    // Runs of the demo's history are briefly running too.
    running: {
      functionName: "train_model",
      phases: ["RUNNING"],
      startDate: new Date(Date.now() - 300_000).toISOString(),
    },
    failed: { functionName: "load_orders", phases: ["FAILED"] },
    paused: { hasPausedActions: true },
  };
  for (const [name, filter] of Object.entries(wanted)) {
    await until(
      `a run that is ${name}`,
      async () => {
        const { runs } = await server.execute<{ runs: { nodes: RunId[] } }>(query, { filter });
        if (runs.nodes[0]) found[name] = runs.nodes[0];
        return !!runs.nodes[0];
      },
      120_000,
    );
  }
  const progress = `query ($id: RunIdentifierInput!) { run(id: $id) { actions { totalCount } } }`;
  await until(
    "some trials",
    async () => {
      const { run } = await server.execute<{ run: { actions: { totalCount: number } } }>(progress, {
        id: found.running,
      });
      return run.actions.totalCount > 80;
    },
    120_000,
  );
  // Without a player, so that its abort stays unconfirmed.
  const id = { project: "demo", domain: "production", runName: "orphaned-4711", name: "root" };
  await server.execute(
    `mutation ($id: ActionIdentifierInput!) { createAction(input: {id: $id, phase: RUNNING}) { created } }`,
    { id },
  );
  await server.execute(
    `mutation ($id: ActionIdentifierInput!) { abortAction(input: {id: $id, reason: "wrong table"}) { requested } }`,
    { id },
  );
  await server.execute(
    `mutation ($id: ActionIdentifierInput!) { markAbortAttempt(id: $id, error: "connection refused") { attemptCount } }`,
    { id },
  );
});

afterAll(async () => {
  await browser.close();
  await server.stop();
});

const path = (name: string): string => {
  const run = found[name];
  if (!run) throw new Error(`there is no ${name} run`);
  return `/runs/${run.project}/${run.domain}/${run.name}`;
};

interface Shot {
  name: string;
  path: () => string;
  there: string;
  sizes: (keyof typeof SIZES)[];
  then?: (page: Page) => Promise<void>;
}

const SHOTS: Shot[] = [
  { name: "runs", path: () => "/runs", there: "[data-run]", sizes: ["wide", "phone"] },
  { name: "run", path: () => path("running"), there: "[data-action]", sizes: ["wide", "phone"] },
  {
    name: "timeline",
    path: () => `${path("failed")}?view=timeline`,
    there: "[data-bar=earlier]",
    sizes: ["wide", "phone"],
    then: async (page) =>
      page
        .getByRole("button", { name: "Critical path" })
        .click({ timeout: 2_000 })
        .catch(() => undefined),
  },
  {
    name: "action",
    path: () => `${path("failed")}?action=check-schema`,
    there: "[data-testid=action] h3",
    sizes: ["wide", "phone"],
  },
  { name: "tasks", path: () => "/tasks", there: "[data-task]", sizes: ["wide", "phone"] },
  { name: "aborts", path: () => "/aborts", there: "main li", sizes: ["wide"] },
  {
    name: "abort",
    path: () => path("paused"),
    there: "[data-action]",
    sizes: ["wide"],
    then: async (page) => {
      await page.getByRole("button", { name: "Abort", exact: true }).click();
      await page.getByLabel("Reason").fill("The wrong release was chosen");
    },
  },
];

test("every page in light and dark", async () => {
  for (const { name, path, there, sizes, then } of SHOTS) {
    for (const size of sizes) {
      for (const colorScheme of ["light", "dark"] as const) {
        const opened = await open(browser, `${server.url}${path()}`, { viewport: SIZES[size], colorScheme });
        const { page } = opened;
        await page.locator(there).first().waitFor();
        if (then) await then(page);
        // Animations have finished.
        await page.waitForTimeout(1_200);
        const suffix = size === "phone" ? "-phone" : "";
        await page.screenshot({ path: join(DOCS, `${name}${suffix}-${colorScheme}.png`) });
        await opened.close();
      }
    }
  }
});
