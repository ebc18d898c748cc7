import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type Opened, launch, open } from "../support/browser";
import { createActions, runId } from "../support/record";
import { TestServer } from "../support/server";
import type {} from "../../src/live/earlySocket";

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

/** The names of the loaded scripts and styles, and their size as sent, in kB: of all, and of those for the first rows. */
async function loaded(page: Page): Promise<{ names: string[]; kB: number; first: number }> {
  return page.evaluate(() => {
    const files = (performance.getEntriesByType("resource") as PerformanceResourceTiming[])
      .filter(({ name }) => /\.(js|css)$/.test(name))
      .map(({ name, encodedBodySize }) => ({
        name: name.replace(/^.*\/(.+)-[^.]+\..+$/, "$1"),
        size: encodedBodySize,
      }));
    const sum = (some: typeof files): number => some.reduce((sum, { size }) => sum + size, 0) / 1_000;
    const first = ["base", "ui", "index", "RunsPage", "RunsPage.module"];
    return {
      names: files.map(({ name }) => name),
      kB: sum(files),
      first: sum(files.filter(({ name }) => first.includes(name))),
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
  const { names, kB, first } = await loaded(page);
  // A limit to lower: what is added to the page is loaded when it is opened.
  expect(first).toBeGreaterThan(100);
  expect(first).toBeLessThan(185);
  // With the toolbar, and the page of a run, which is ready for a click.
  expect(kB).toBeLessThan(275);
  expect(names.filter((name) => PARTS.includes(name))).toEqual([]);

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

test("the outline of the page is shown before its code is there, in the colours chosen", async () => {
  opened = await open(browser, `${server.url}/runs`, { colorScheme: "dark" });
  const { page } = opened;
  let release = (): void => undefined;
  const released = new Promise<void>((resolve) => (release = resolve));
  await page.route(/\.(js|css)$/, async (route) => {
    await released;
    await route.continue();
  });
  await page.reload({ waitUntil: "commit" });
  const outline = page.getByRole("status", { name: "Loading" });
  await outline.waitFor();
  await page.waitForFunction(() => performance.getEntriesByType("paint").length > 0);
  const color = await outline.evaluate((element) => getComputedStyle(element).backgroundColor);
  expect(color).toBe("rgb(25, 29, 38)");
  release();
  await page.locator("[data-run]").first().waitFor();
  expect(await outline.count()).toBe(0);
});

test("the websocket that the document opened is the one that is used", async () => {
  opened = await open(browser, `${server.url}/tasks`);
  const { page } = opened;
  const sent: string[] = [];
  let sockets = 0;
  page.on("websocket", (socket) => {
    sockets += 1;
    socket.on("framesent", ({ payload }) => sent.push(String(payload)));
  });
  await page.goto(`${server.url}/runs`);
  await page.locator("[data-run]").first().waitFor();
  expect(sockets).toBe(1);
  expect(sent.filter((message) => message.includes("connection_init"))).toHaveLength(1);
  expect(await page.evaluate(() => window.earlySocket)).toBeUndefined();
});
