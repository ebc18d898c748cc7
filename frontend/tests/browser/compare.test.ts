import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type Opened, launch, open } from "../support/browser";
import { actionId, createActions, insertEvents, type RunId, runId } from "../support/record";
import { TestServer } from "../support/server";

/** Comparing runs and actions. */
let server: TestServer;
let browser: Browser;
let opened: Opened;

const UPDATE = `mutation ($input: [UpdateActionPhaseInput!]!) { updateActionPhases(input: $input) { applied } }`;

/** A run of the nightly task on that day; `load` fails or not, and takes that many seconds. */
async function nightly(day: number, version: string, isFailed: boolean, seconds: number): Promise<RunId> {
  const run = runId(`nightly-${day}`);
  const at = (second: number): string => new Date(Date.UTC(2026, 0, day, 3) + second * 1_000).toISOString();
  const task = { project: "tests", domain: "development", name: "nightly", version };
  await createActions(server, run, [
    { name: "root", createdAt: at(0), task, spec: { table: "orders", limit: day, steps: ["load", "check"] } },
    ...["extract", "load", ...(isFailed ? ["notify"] : ["publish"])].map((name, n) => ({
      ...{ name, parent: "root", createdAt: at(n), spec: { retries: 3, source: `s3://day-${day}` } },
    })),
  ] as Parameters<typeof createActions>[2]);
  const phase = (name: string, phase: string, from: number, to: number) => ({
    ...{ id: actionId(run, name), phase, attempts: 1, startTime: at(from), endTime: at(to) },
  });
  const end = isFailed ? "FAILED" : "SUCCEEDED";
  await insertEvents(server, run, [
    {
      ...{
        action: "load",
        attempt: 1,
        phase: end,
        occurredAt: at(10 + seconds),
        outputs: { rows: isFailed ? 0 : 100 },
      },
      error: isFailed ? { kind: "USER", code: "E_ROW", message: "no such row" } : null,
    },
  ]);
  await server.execute(UPDATE, {
    input: [
      phase("extract", "SUCCEEDED", 1, 5),
      phase("load", end, 10, 10 + seconds),
      ...(isFailed ? [phase("notify", "SUCCEEDED", 90, 95)] : [phase("publish", "SUCCEEDED", 90, 95)]),
      phase("root", end, 0, 100),
    ],
  });
  return run;
}

beforeAll(async () => {
  [server, browser] = await Promise.all([TestServer.start(), launch()]);
  await nightly(1, "v1", false, 10);
  await nightly(2, "v2", true, 40);
  await nightly(3, "v2", true, 42);
});

afterAll(async () => {
  await browser.close();
  await server.stop();
});

afterEach(async () => {
  expect(opened.problems).toEqual([]);
  await opened.close();
});

async function show(path: string): Promise<Page> {
  opened = await open(browser, `${server.url}${path}`);
  return opened.page;
}

const SIDES = "a=tests/development/nightly-1&b=tests/development/nightly-3";
const fact = (page: Page, name: string) => page.locator(`[data-fact="${name}"] td`).allTextContents();

test("one click from a failed run shows what changed since it last worked", async () => {
  const page = await show("/runs/tests/development/nightly-3");
  await page.getByRole("link", { name: "What changed since" }).click();
  await page.locator("[data-pair=load]").waitFor();
  expect(page.url()).toContain(SIDES);
  expect(await fact(page, "Version")).toEqual(["v1", "v2"]);
  await page.getByTestId("divergence").getByText("First difference after").first().waitFor();
  const pairs = await page
    .locator("[data-pair]")
    .evaluateAll((rows) =>
      (rows as HTMLElement[]).map(({ dataset }) => `${dataset.pair ?? ""} ${dataset.kind ?? ""}`),
    );
  expect(pairs).toEqual(["load fails", "root fails", "notify added", "publish removed", "extract same"]);
  // The run itself at first.
  await page.locator("[data-change=changed]").filter({ hasText: "limit: before 1after 3" }).waitFor();
  await page.locator("[data-pair=load]").click();
  const details = page.getByTestId("pair");
  await details.getByRole("heading", { name: "load" }).waitFor();
  await details.locator("[data-change]").filter({ hasText: "rows" }).waitFor();
  expect(await details.locator("[data-change]").allTextContents()).toEqual([
    'source: before "s3://day-1"after "s3://day-3"',
    "rows: before 100after 0",
  ]);
  expect(page.url()).toContain("action=load");
  await page.goBack();
  await details.getByRole("heading", { name: "The run itself (root)" }).waitFor();
});

test("a run is compared with the one before, and kinds and the search are in the address", async () => {
  const page = await show("/runs/tests/development/nightly-3");
  await page.getByRole("button", { name: "Compare…" }).click();
  await page.getByRole("menuitem", { name: "With the previous run" }).click();
  await page.locator("[data-pair=load][data-kind=same]").waitFor();
  expect(page.url()).toContain("a=tests/development/nightly-2");
  await page.goBack();
  await page.getByRole("button", { name: "Compare…" }).click();
  await page.getByRole("menuitem", { name: "With the last success" }).click();
  await page.locator("[data-pair=load][data-kind=fails]").waitFor();
  await page.getByRole("button", { name: /^Only after/ }).click();
  await page.locator("[data-pair=load]").waitFor({ state: "detached" });
  expect(await page.locator("[data-pair]").count()).toBe(1);
  expect(page.url()).toContain("show=added");
});

test("pasted addresses of runs and of actions are compared, and what is wrong is said", async () => {
  const page = await show("/compare");
  const [before, after] = [
    page.getByLabel("Before", { exact: true }),
    page.getByLabel("After", { exact: true }),
  ];
  await before.fill("nonsense");
  await after.fill("tests/development/nightly-2/load");
  await page.getByRole("button", { name: "Compare", exact: true }).click();
  await page.getByText("Paste the address of a run").waitFor();
  await before.fill(`${server.url}/runs/tests/development/nightly-1?view=timeline&action=load`);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "load" }).waitFor();
  expect(await fact(page, "Phase")).toEqual(["Succeeded", "Failed"]);
  expect(await fact(page, "Run time")).toEqual(["10 s", "40 s"]);
  await page.getByRole("button", { name: "Swap before and after" }).click();
  await page.waitForURL(/b=tests\/development\/nightly-1\/load/);
  await page.goto(`${server.url}/compare?a=tests/development/gone&b=tests/development/nightly-1`);
  await page.getByText("There is no run gone").waitFor();
});
