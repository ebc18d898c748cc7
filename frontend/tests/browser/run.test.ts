import { writeFileSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type Opened, isSamePage, launch, mark, open } from "../support/browser";
import { createActions, insertEvents, makeRecording, runId, setPhases } from "../support/record";
import { TestServer, until } from "../support/server";

const TASKS = 1_312;
const RECORDED = "/runs/recordings/production/mosaic";

let server: TestServer;
let browser: Browser;
let opened: Opened;

beforeAll(async () => {
  [server, browser] = await Promise.all([TestServer.start(), launch()]);
  const file = join(mkdtempSync(join(tmpdir(), "rungraph-recording-")), "mosaic.json");
  writeFileSync(file, JSON.stringify(makeRecording(TASKS)));
  await server.run("import", file, "--url", server.api, "--name", "mosaic");
});

afterAll(async () => {
  await browser.close();
  await server.stop();
});

afterEach(async () => {
  expect(opened.problems).toEqual([]);
  await opened.close();
});

const show = async (path: string): Promise<Page> => {
  opened = await open(browser, `${server.url}${path}`);
  await opened.page.locator("[data-action]").first().waitFor();
  return opened.page;
};

const actions = (page: Page) =>
  page.locator("[data-action]").evaluateAll((rows) => rows.map((row) => row.getAttribute("data-action")));

test("a run of 1,312 tasks is a tree with collapsed groups and counts on every parent", async () => {
  const page = await show(RECORDED);
  await page.getByRole("heading", { name: "mosaic" }).waitFor();
  const root = page.locator('[data-action="root"]');
  await root.getByText("1,312").waitFor();
  await page.locator('[data-group="mDiffFit"]').getByText("436").first().waitFor();
  expect(await actions(page)).toEqual(["root"]);
  await page.getByRole("button", { name: "Expand mDiffFit" }).click();
  await page.locator('[data-action="mDiffFit_ID0000000"]').waitFor();
  // Only visible rows are rendered.
  expect(await page.getByRole("row").count()).toBeLessThan(80);
});

test("a search keeps ancestors, and search and phases are in the URL", async () => {
  const page = await show(RECORDED);
  await page.getByRole("searchbox", { name: "Search the actions" }).fill("mbackground_id0000042");
  await until("the one that matches", async () => (await actions(page)).length === 2);
  expect(await actions(page)).toEqual(["root", "mBackground_ID0000042"]);
  expect(await page.locator("[data-group]").count()).toBe(1);
  await page.waitForURL((url) => url.searchParams.get("q") === "mbackground_id0000042");
  await page.goto(`${server.url}${RECORDED}?phase=SUCCEEDED&q=mConcat`);
  await until("the shared link", async () => (await actions(page)).includes("mConcatFit_ID0000000"));
  await page.getByRole("searchbox", { name: "Search the actions" }).fill("nothing like it");
  await page.getByText("No action matches").waitFor();
});

test("the timeline shows the same lines, zooms, and shows the critical path", async () => {
  const page = await show(`${RECORDED}?view=timeline&q=ID000001`);
  await page.locator('[data-bar="running"]').nth(5).waitFor();
  const width = (): Promise<number> =>
    page
      .locator('[data-action="root"] [data-bar="running"]')
      .evaluate((bar) => bar.getBoundingClientRect().width);
  const first = page.locator('[data-action="mProject_ID0000010"]');
  const before = await first
    .locator('[data-bar="running"]')
    .evaluate((bar) => bar.getBoundingClientRect().width);
  await page.keyboard.press("Escape");
  await page.getByTestId("tree").focus();
  // From the start, at the first tasks.
  const axis = page.locator("[data-axis]");
  const box = await axis.boundingBox();
  if (!box) throw new Error("there is no axis");
  await page.mouse.move(box.x + 4, box.y + 60);
  await page.keyboard.down("Control");
  await page.mouse.wheel(0, -300);
  await page.keyboard.up("Control");
  await until("a closer look", async () => {
    const now = await first
      .locator('[data-bar="running"]')
      .evaluate((bar) => bar.getBoundingClientRect().width);
    return now > before * 1.5;
  });
  await page.keyboard.press("0");
  await until("the whole again", async () => (await width()) > box.width * 0.9);
  await page.getByRole("button", { name: "Critical path" }).click();
  await page.getByRole("button", { name: /Critical path \(\d+\)/ }).waitFor();
  await page.getByRole("searchbox", { name: "Search the actions" }).fill("mBgModel");
  await page.locator('[data-action="mBgModel_ID0000000"] [title*="critical path"]').waitFor();
});

test("the action panel shows attempts, error, logs, outputs, events and spec", async () => {
  const run = runId("detailed");
  await createActions(server, run, [
    { name: "root", phase: "RUNNING" },
    { name: "step", parent: "root", phase: "RUNNING", spec: { table: "orders", limits: { rows: 118 } } },
  ]);
  const event = (attempt: number, phase: string, second: number, rest = {}) => ({
    action: "step",
    attempt,
    phase,
    occurredAt: `2026-01-01T12:00:${String(second).padStart(2, "0")}Z`,
    ...rest,
  });
  await insertEvents(server, run, [
    event(1, "RUNNING", 1, {
      logs: [
        { name: "stdout", uri: "https://logs.example.com/1" },
        { name: "odd", uri: "javascript:alert(1)" },
      ],
    }),
    event(1, "FAILED", 5, { error: { kind: "USER", code: "E_ROW", message: "row 17 exists" } }),
    event(2, "RUNNING", 9, {
      outputs: { rows: 9 },
      info: { host: "node-7" },
      clusterEvents: [{ occurredAt: "2026-01-01T12:00:09Z", message: "Image pulled", reason: "Pulled" }],
    }),
  ]);
  await setPhases(server, run, { step: "RUNNING" }, 2);
  const page = await show("/runs/tests/development/detailed");
  await mark(page);
  await page.locator('[data-action="step"]').click();
  await page.waitForURL((url) => url.searchParams.get("action") === "step");
  const panel = page.getByTestId("action");
  await panel.getByText("row 17 exists").waitFor();
  await panel.getByRole("heading", { name: "Attempt 2" }).waitFor();
  expect(await panel.getByRole("link", { name: "stdout" }).getAttribute("href")).toBe(
    "https://logs.example.com/1",
  );
  expect(await panel.getByRole("link", { name: "odd" }).count()).toBe(0);
  await panel.getByText("Image pulled").waitFor();
  await panel.getByRole("region", { name: "outputs of step, attempt 2" }).getByText("rows").waitFor();

  await panel.getByRole("tab", { name: "Events" }).click();
  expect(await panel.locator("ol > li [data-phase]").first().getAttribute("data-phase")).toBe("RUNNING");
  await insertEvents(server, run, [event(2, "SUCCEEDED", 20)]);
  await panel.locator('ol > li [data-phase="SUCCEEDED"]').waitFor();
  await panel.getByText("Info").click();
  await panel.getByText("node-7").waitFor();

  await panel.getByRole("tab", { name: "Spec" }).click();
  await panel.getByRole("searchbox", { name: "Search in spec of step" }).fill("118");
  await panel.getByText("1 found").waitFor();
  await panel.getByRole("button", { name: "Raw" }).click();
  await panel.getByText('"table": "orders"').waitFor();
  const download = page.waitForEvent("download");
  await panel.getByRole("button", { name: "Download" }).click();
  expect((await download).suggestedFilename()).toBe("spec-of-step.json");

  await server.execute(
    `mutation ($id: ActionIdentifierInput!) { updateActionState(id: $id, state: "checkpoint 17") { action { id } } }`,
    { id: { project: "tests", domain: "development", runName: "detailed", name: "step" } },
  );
  await panel.getByRole("tab", { name: "State" }).click();
  await panel.getByText("checkpoint 17").waitFor();
  expect(await isSamePage(page)).toBe(true);
});

test("a live tree shows new actions and phases", async () => {
  const run = runId("going-on");
  await createActions(server, run, [{ name: "root", phase: "RUNNING" }]);
  const page = await show("/runs/tests/development/going-on");
  await mark(page);
  await createActions(server, run, [
    { name: "child", parent: "root", phase: "RUNNING" },
    { name: "grandchild", parent: "child", phase: "QUEUED" },
  ]);
  const child = page.locator('[data-action="child"]');
  await child.getByText("Running").first().waitFor();
  await page.locator('[data-action="grandchild"]').waitFor();
  await child.getByRole("img", { name: "Children of child: 1 queued" }).waitFor();
  await setPhases(server, run, { grandchild: "FAILED" });
  await child.getByRole("img", { name: "Children of child: 1 failed" }).waitFor();
  await page.getByText("2 running").waitFor();
  expect(await isSamePage(page)).toBe(true);
});

test("the timeline shows earlier attempts", async () => {
  const run = runId("retried");
  const now = Date.now();
  const ago = (seconds: number): string => new Date(now - seconds * 1_000).toISOString();
  await createActions(server, run, [
    { name: "root", phase: "RUNNING", createdAt: ago(60) },
    { name: "flaky", parent: "root", phase: "RUNNING", createdAt: ago(55) },
  ]);
  await insertEvents(server, run, [
    { action: "flaky", attempt: 1, phase: "RUNNING", occurredAt: ago(50) },
    { action: "flaky", attempt: 1, phase: "FAILED", occurredAt: ago(30) },
    { action: "flaky", attempt: 2, phase: "RUNNING", occurredAt: ago(20) },
  ]);
  await setPhases(server, run, { flaky: "FAILED" });
  await setPhases(server, run, { flaky: "RUNNING" }, 2);
  const page = await show("/runs/tests/development/retried?view=timeline");
  await page.locator('[data-action="flaky"] [data-bar="earlier"][title*="attempt 1 20 s"]').waitFor();
});

test("a missing run is reported", async () => {
  opened = await open(browser, `${server.url}/runs/tests/development/never`);
  await opened.page.getByText("There is no run never").waitFor();
});
