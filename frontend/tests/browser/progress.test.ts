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

test("metrics have their last, least and greatest value and their course", async () => {
  const page = await show("?action=train");
  await page.getByRole("tab", { name: "Metrics" }).click();
  const loss = page.locator("[data-metric=loss]");
  await loss.getByRole("img", { name: "loss: 2.5 to 0.043123 in 2.0 s" }).waitFor();
  expect(await loss.getByRole("cell").allInnerTexts()).toEqual(
    expect.arrayContaining(["loss", "0.043123", "2.5"]),
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
    { name: "later", phase: "SKIPPED" },
  );
  await panel.getByRole("progressbar").waitFor({ state: "detached" });
  await panel.getByText("1,200 done").waitFor();
  await page.locator("[data-action=later]").getByText("never ran").waitFor();
});
