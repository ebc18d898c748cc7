import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type Opened, launch, open } from "../support/browser";
import { createActions, runId } from "../support/record";
import { TestServer } from "../support/server";

let server: TestServer;
let browser: Browser;
let opened: Opened;

beforeAll(async () => {
  [server, browser] = await Promise.all([TestServer.start(), launch()]);
  await createActions(server, runId("nightly"), [
    { name: "root", phase: "RUNNING" },
    { name: "step", parent: "root", phase: "RUNNING" },
  ]);
});

afterAll(async () => {
  await browser.close();
  await server.stop();
});

afterEach(async () => {
  expect(opened.problems).toEqual([]);
  await opened.close();
});

/** The loaded scripts and styles as sent, in kB. */
async function loaded(page: Page): Promise<{ names: string[]; kB: number }> {
  return page.evaluate(() => {
    const files = (performance.getEntriesByType("resource") as PerformanceResourceTiming[]).filter(
      ({ name }) => /\.(js|css)$/.test(name),
    );
    return {
      names: files.map(({ name }) => name.replace(/^.*\/(.+)-[^-]+$/, "$1")),
      kB: files.reduce((sum, { encodedBodySize }) => sum + encodedBodySize, 0) / 1_000,
    };
  });
}

const PARTS = ["Palette", "AbortDialog", "Help", "ActionPanel", "ActionLogs", "ActionArtifacts", "TasksPage"];

test("the list of runs loads little, and other parts of the page when they are opened", async () => {
  opened = await open(browser, `${server.url}/runs`);
  const { page } = opened;
  await page.locator("[data-run]").first().waitFor();
  await page.getByRole("button", { name: "Columns" }).waitFor();
  await page.waitForLoadState("networkidle");
  const { names, kB } = await loaded(page);
  // A limit to lower: what is added to the page is loaded when it is opened.
  expect(kB).toBeLessThan(260);
  expect(names.filter((name) => [...PARTS, "RunPage"].includes(name))).toEqual([]);

  await page.getByRole("link", { name: "Tasks" }).hover();
  await expect.poll(async () => (await loaded(page)).names).toContain("TasksPage");
  await page.keyboard.press("?");
  await page.getByRole("dialog").getByText("All keys").waitFor();
  await page.keyboard.press("Escape");
  await page.keyboard.press("Control+k");
  await page.getByRole("textbox", { name: "Find runs and commands" }).waitFor();
});

test("the page of a run loads little", async () => {
  opened = await open(browser, `${server.url}/runs/tests/development/nightly`);
  const { page } = opened;
  await page.locator('[data-action="step"]').waitFor();
  await page.waitForLoadState("networkidle");
  const { names, kB } = await loaded(page);
  expect(kB).toBeLessThan(270);
  expect(names.filter((name) => [...PARTS, "RunsPage"].includes(name))).toEqual([]);
});
