import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type Opened, isSamePage, launch, mark, open } from "../support/browser";
import { createActions, createRun, runId, setPhases } from "../support/record";
import { TestServer } from "../support/server";

let server: TestServer;
let browser: Browser;
let opened: Opened;

beforeAll(async () => {
  [server, browser] = await Promise.all([TestServer.start(), launch()]);
});

afterAll(async () => {
  await browser.close();
  await server.stop();
});

afterEach(() => opened.close());

test("shows a lost connection and recovers after the server restarts", async () => {
  const run = runId("survivor");
  await createActions(server, run, [
    { name: "root", phase: "RUNNING" },
    { name: "step", parent: "root", phase: "RUNNING" },
  ]);
  opened = await open(browser, `${server.url}/runs/tests/development/survivor?action=step`);
  const { page } = opened;
  await page.getByTestId("action").getByRole("tab", { name: "Attempts" }).waitFor();
  const connection = page.getByTestId("connection");
  await connection.and(page.locator("[data-state=live]")).waitFor();
  await page.locator('[data-action="step"]').waitFor();
  await mark(page);

  await server.kill();
  await connection.and(page.locator("[data-state=lost]")).waitFor();
  // The previous content is still readable.
  expect(await page.locator('[data-action="step"]').isVisible()).toBe(true);

  await server.begin();
  await setPhases(server, run, { step: "FAILED" });
  await createActions(server, run, [{ name: "late", parent: "root", phase: "RUNNING" }]);
  await connection.and(page.locator("[data-state=live]")).waitFor();
  await page.locator('[data-action="late"]').waitFor();
  await page.locator('[data-action="step"] [data-phase=FAILED]').first().waitFor();
  await page.locator("[data-testid=action] [data-phase=FAILED]").first().waitFor();
  await page.getByText("2 running, 1 failed").or(page.getByText("1 failed, 2 running")).waitFor();
  expect(await isSamePage(page)).toBe(true);
});

test("a reconnected list has everything that changed meanwhile", async () => {
  await createRun(server, runId("before", "cut"));
  opened = await open(browser, `${server.url}/runs?project=cut`);
  const { page } = opened;
  await page.locator('[data-run="before"]').waitFor();
  await mark(page);
  await opened.page.context().setOffline(true);
  await page.locator("[data-testid=connection][data-state=lost]").waitFor();
  await createRun(server, runId("meanwhile", "cut"));
  await setPhases(server, runId("before", "cut"), { root: "SUCCEEDED" });
  await opened.page.context().setOffline(false);
  await page.locator("[data-testid=connection][data-state=live]").waitFor();
  await page.locator('[data-run="meanwhile"]').waitFor();
  await page.locator('[data-run="before"][data-phase=SUCCEEDED]').waitFor();
  expect(await isSamePage(page)).toBe(true);
});

test("a page opened without a server starts working with it", async () => {
  await createRun(server, runId("patient", "cut"));
  opened = await open(browser, `${server.url}/runs?project=cut`);
  const { page } = opened;
  await page.locator('[data-run="patient"]').waitFor();
  // The code of a run's page follows the first rows.
  await page.waitForLoadState("networkidle");
  await server.kill();
  await page.locator("[data-testid=connection][data-state=lost]").waitFor();
  await page.getByRole("link", { name: "patient" }).click();
  await page.getByText("The run could not be read").waitFor();
  await page.getByText("The server cannot be reached.").waitFor();
  await server.begin();
  await page.locator("[data-testid=connection][data-state=live]").waitFor();
  await page.locator('[data-action="root"]').waitFor();
});
