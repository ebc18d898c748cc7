import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type Opened, launch, open } from "../support/browser";
import { actionId, runId } from "../support/record";
import { TestServer } from "../support/server";

const RUN = runId("reported");
const PATH = "/runs/tests/development/reported";
const REPORT = `mutation ($reports: [ReportInput!]!) { report(reports: $reports) { failed results { error { message } } } }`;

let server: TestServer;
let browser: Browser;
let opened: Opened;

/** Reports about actions of the run; each must be accepted. */
async function report(...reports: ({ name: string } & Record<string, unknown>)[]): Promise<void> {
  const input = reports.map(({ name, ...rest }) => ({ id: actionId(RUN, name), ...rest }));
  const answer = await server.execute<{ report: { failed: number } }>(REPORT, { reports: input });
  expect(answer.report.failed, JSON.stringify(answer)).toBe(0);
}

const metric = (name: string, value: number, second: number, unit?: string) => ({
  name,
  value,
  unit,
  at: `2026-01-01T00:00:${String(second).padStart(2, "0")}Z`,
});

beforeAll(async () => {
  [server, browser] = await Promise.all([TestServer.start(), launch()]);
  await report(
    { name: "root", details: {}, phase: "RUNNING" },
    { name: "train", details: { parentName: "root" }, phase: "RUNNING" },
    { name: "count", details: { parentName: "root" }, phase: "RUNNING", progress: { done: 1200 } },
    { name: "child", details: { parentName: "not-yet" }, phase: "RUNNING" },
  );
  await report({
    name: "train",
    phase: "RUNNING",
    progress: { done: 3, total: 12, message: "epoch 3" },
    metrics: [
      metric("loss", 2.5, 1),
      metric("loss", 0.75, 2),
      metric("loss", 0.0431234, 3),
      metric("memory", 3 * 2 ** 30, 3, "By"),
    ],
  });
});

afterAll(async () => {
  await browser.close();
  await server.stop();
});

afterEach(async () => {
  expect(opened.problems).toEqual([]);
  await opened.close();
});

async function show(query = ""): Promise<Page> {
  opened = await open(browser, `${server.url}${PATH}${query}`);
  await opened.page.locator("[data-action]").first().waitFor();
  return opened.page;
}

const barOf = (page: Page, name: string) => page.locator(`[data-action="${name}"]`).getByRole("progressbar");

test("progress is shown in the tree and in the panel, live", async () => {
  const page = await show("?action=train");
  const row = page.locator("[data-action=train]");
  await row.getByText("25 %").waitFor();
  await row.getByText("epoch 3").waitFor();
  expect(await barOf(page, "train").getAttribute("aria-valuenow")).toBe("25");
  // Without a total it is not known how much is missing.
  await page.locator("[data-action=count]").getByText("1,200 done").waitFor();
  expect(await barOf(page, "count").getAttribute("aria-valuenow")).toBeNull();
  const panel = page.getByTestId("action");
  await panel.getByText("3 of 12 · 25 %").waitFor();
  await report({ name: "train", progress: { done: 6, total: 12, message: "epoch 6" } });
  await row.getByText("50 %").waitFor();
  await panel.getByText("6 of 12 · 50 %").waitFor();
});

test("the last metric is in the tree, and both in a column of the runs that can be shown", async () => {
  const page = await show();
  const loss = page.locator("[data-action=train] [data-last-metric=loss]");
  await loss.getByText("0.043123").waitFor();
  expect(await loss.getAttribute("title")).toBe("loss: 0.043123\nmemory: 3 GiB");
  await report({ name: "train", metrics: [metric("loss", 0.03, 5)] });
  await loss.getByText("0.03", { exact: true }).waitFor();
  await report({ name: "root", progress: { done: 1, total: 4 }, metrics: [metric("rows", 1200, 1)] });
  await page.goto(`${server.url}/runs`);
  await page.locator("[data-run=reported]").waitFor();
  expect(await page.getByRole("columnheader", { name: "Progress" }).count()).toBe(0);
  await page.getByRole("button", { name: "Columns" }).click();
  await page.getByRole("checkbox", { name: "Progress" }).check();
  const cell = page.locator("[data-run=reported] [data-column=reported]");
  await cell.getByText("25 %").waitFor();
  await cell.getByText("1,200").waitFor();
  await report({ name: "root", progress: { done: 2, total: 4 } });
  await cell.getByText("50 %").waitFor();
});

test("metrics have their last, least and greatest value and their course", async () => {
  const page = await show("?action=train");
  await page.getByRole("tab", { name: "Metrics" }).click();
  const loss = page.locator("[data-metric=loss]");
  await loss.getByRole("img", { name: "loss: 2.5 to 0.03 in 4.0 s" }).waitFor();
  expect(await loss.getByRole("cell").allInnerTexts()).toEqual(
    expect.arrayContaining(["loss", "0.03", "2.5"]),
  );
  await page.locator("[data-metric=memory]").getByText("3 GiB").first().waitFor();
  await report({ name: "train", metrics: [metric("loss", 0.02, 9)] });
  await loss.getByText("0.02", { exact: true }).first().waitFor();
  await page.locator("[data-action=count]").click();
  await page.getByRole("heading", { name: "count" }).waitFor();
  await page.getByRole("tab", { name: "Attempts", selected: true }).waitFor();
  expect(await page.getByRole("tab", { name: "Metrics" }).count()).toBe(0);
});

test("what is known by name only is marked until it is described", async () => {
  const page = await show("?action=not-yet");
  const row = page.locator("[data-action=not-yet]");
  await row.getByText("not described").waitFor();
  await page.getByTestId("action").getByText("Not described yet.").waitFor();
  await report({ name: "not-yet", details: { parentName: "root" }, phase: "RUNNING" });
  await row.getByText("not described").waitFor({ state: "detached" });
  await page.locator("[data-placeholder]").waitFor({ state: "detached" });
});

test("what was skipped never ran, and a bar of an unknown whole goes when its action ends", async () => {
  const page = await show("?action=count");
  const panel = page.getByTestId("action");
  await panel.getByRole("progressbar").waitFor();
  await report(
    { name: "count", phase: "SUCCEEDED" },
    { name: "later", details: { parentName: "root" }, phase: "QUEUED" },
    { name: "later", phase: "SKIPPED", error: { kind: "USER", code: "UPSTREAM", message: "count failed" } },
  );
  await panel.getByRole("progressbar").waitFor({ state: "detached" });
  await panel.getByText("1,200 done").waitFor();
  const later = page.locator("[data-action=later]");
  await later.getByText("never ran").waitFor();
  await later.locator('[data-phase=SKIPPED][title="Skipped: UPSTREAM: count failed"]').first().waitFor();
  await later.click();
  await panel.locator("[data-skipped]").getByText("UPSTREAM: count failed").waitFor();
  // Nothing failed.
  expect(await panel.getByRole("group", { name: "Error", exact: true }).count()).toBe(0);
});

test("the tabs of an action stand in one line on a phone", async () => {
  opened = await open(browser, `${server.url}${PATH}?action=train`, {
    viewport: { width: 390, height: 844 },
  });
  const tabs = opened.page.getByRole("tab");
  await opened.page.getByRole("tab", { name: "Metrics" }).waitFor();
  const boxes = await Promise.all((await tabs.all()).map((tab) => tab.boundingBox()));
  expect(boxes).toHaveLength(8);
  expect(new Set(boxes.map((box) => box?.y)).size).toBe(1);
  expect(Math.max(...boxes.map((box) => (box ? box.x + box.width : Infinity)))).toBeLessThanOrEqual(390);
});
