import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type Opened, launch, open } from "../support/browser";
import { createActions, createRun, insertEvents, runId } from "../support/record";
import { TestServer, until } from "../support/server";

/** Finished runs, links, and state that is kept on navigation. */
let server: TestServer;
let browser: Browser;
let opened: Opened;

const AT = "2026-01-01T12:00:00Z";

beforeAll(async () => {
  [server, browser] = await Promise.all([TestServer.start(), launch()]);
  const many = Array.from({ length: 70 }, (_, n) => ({
    name: `trial-${n}`,
    parent: "root",
    group: "trials",
  }));
  await createActions(server, runId("folded"), [
    { name: "root", phase: "RUNNING" },
    ...many,
    { name: "deep", parent: "trial-69", group: "inner" },
    { name: "report", parent: "root", dependencies: ["deep"], phase: "RUNNING" },
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

const show = async (path: string): Promise<Page> => {
  opened = await open(browser, `${server.url}${path}`);
  return opened.page;
};

const line = (page: Page, name: string) => page.locator(`[data-action="${name}"]`);

test("nothing counts up after the end of a run: actions that did not start say so, others end with the run", async () => {
  const run = runId("over");
  const names = ["waits", "goes-on"];
  await createActions(server, run, [
    { name: "root", createdAt: AT },
    ...names.map((name) => ({ name, parent: "root", createdAt: AT })),
  ]);
  const event = (action: string, phase: string, at: string) => ({
    action,
    attempt: 1,
    phase,
    occurredAt: at,
  });
  const update = `mutation ($input: [UpdateActionPhaseInput!]!) { updateActionPhases(input: $input) { applied } }`;
  const id = (name: string) => ({ ...{ project: run.project, domain: run.domain }, runName: run.name, name });
  await server.execute(update, {
    input: [
      { id: id("goes-on"), phase: "RUNNING", attempts: 1, startTime: "2026-01-01T12:00:10Z" },
      { id: id("root"), phase: "FAILED", attempts: 1, startTime: AT, endTime: "2026-01-01T12:01:00Z" },
    ],
  });
  await insertEvents(server, run, [event("goes-on", "RUNNING", "2026-01-01T12:00:10Z")]);
  const page = await show("/runs/tests/development/over?action=goes-on");
  await line(page, "waits").getByText("never ran").waitFor();
  await line(page, "goes-on").getByText("50 s").waitFor();
  // On one line at any width that shows it beside the panel.
  for (const width of [1440, 1180, 1100, 1024]) {
    await page.setViewportSize({ width, height: 768 });
    const cell = line(page, "waits").getByRole("gridcell").filter({ hasText: "never ran" });
    const lines = await cell.evaluate(({ offsetHeight, scrollWidth, clientWidth }: HTMLElement) => [
      offsetHeight,
      scrollWidth - clientWidth,
    ]);
    expect(lines[0], `${width} pixels`).toBeLessThan(25);
    expect(lines[1], `${width} pixels`).toBe(0);
  }
  const panel = page.getByTestId("action");
  await panel.getByRole("heading", { name: "Attempt 1" }).waitFor();
  expect(await panel.innerText()).not.toMatch(/\d (d|h) /);
  await page.getByText("Timeline", { exact: true }).click();
  await page.locator('[data-action="waits"] [title*="never ran 1 m 00 s"]').waitFor();
  await page.locator('[data-action="goes-on"] [title*="no end reported 50 s"]').waitFor();
  const [root, axis] = await Promise.all([
    page.locator('[data-action="root"] [data-bar="running"]').boundingBox(),
    page.locator("[data-axis]").boundingBox(),
  ]);
  // The run fills the timeline except for padding at its end.
  expect((root?.width ?? 0) / (axis?.width ?? 1)).toBeGreaterThan(0.9);
  expect(await page.locator("[data-axis]").getByText("now").count()).toBe(0);
});

test("a link to an action or a dependency expands the tree down to it", async () => {
  const page = await show("/runs/tests/development/folded?action=deep");
  await line(page, "deep").waitFor();
  expect(await line(page, "deep").getAttribute("aria-selected")).toBe("true");
  await until("the line to be in sight", async () => {
    const [row, tree] = await Promise.all(
      [line(page, "deep"), page.getByTestId("tree")].map((e) => e.boundingBox()),
    );
    return !!row && !!tree && row.y > tree.y && row.y + row.height <= tree.y + tree.height + 1;
  });
  await page.goto(`${server.url}/runs/tests/development/folded?action=report`);
  await line(page, "report").waitFor();
  expect(await line(page, "deep").count()).toBe(0);
  await page.getByRole("tab", { name: "Details" }).click();
  await page.getByTestId("action").getByRole("button", { name: "deep" }).click();
  await line(page, "deep").waitFor();
  // The selected tab is kept.
  expect(await page.getByRole("tab", { name: "Details" }).getAttribute("aria-selected")).toBe("true");
  await page.getByTestId("action").getByRole("heading", { name: "deep" }).waitFor();
  // A collapsed line stays collapsed.
  await page.getByRole("button", { name: "Collapse inner" }).click();
  await until("the line to go", async () => (await line(page, "deep").count()) === 0);
});

test("letters typed right after Ctrl K go into the palette", async () => {
  await createRun(server, runId("found-by-name"));
  const page = await show("/runs");
  await page.locator("[data-run]").first().waitFor();
  await page.evaluate(() => {
    const press = (key: string, ctrlKey = false): boolean =>
      document.body.dispatchEvent(
        new KeyboardEvent("keydown", { key, ctrlKey, bubbles: true, cancelable: true }),
      );
    press("k", true);
    for (const key of "gtx") press(key);
    press("Backspace");
  });
  const field = page.getByRole("textbox", { name: "Find runs and commands" });
  await field.waitFor();
  await expect.poll(() => field.inputValue()).toBe("gt");
  expect(new URL(page.url()).pathname).toBe("/runs");
});

test("runs found before the palette is drawn are selected in it", async () => {
  await createRun(server, runId("found-early"));
  const page = await show("/runs");
  await page.locator("[data-run]").first().waitFor();
  await page.evaluate(() => {
    const held: FrameRequestCallback[] = [];
    const draw = window.requestAnimationFrame.bind(window);
    window.requestAnimationFrame = (callback) => held.push(callback);
    window.addEventListener("frames", () => {
      window.requestAnimationFrame = draw;
      for (const callback of held) draw(callback);
    });
  });
  const found = page.waitForResponse((sent) => !!sent.request().postData()?.includes("found-early"));
  await page.keyboard.press("Control+k");
  await page.keyboard.type("found-early");
  await (await found).finished();
  await page.evaluate(() => window.dispatchEvent(new Event("frames")));
  await page.locator("[role=dialog] [data-selected]").getByText("found-early", { exact: true }).waitFor();
  await page.keyboard.press("Enter");
  await page.waitForURL("**/runs/tests/development/found-early");
});

test("shortcuts use the key names of the system", async () => {
  const page = await show("/runs");
  await page.getByRole("button", { name: "Find… Ctrl K" }).waitFor();
  await page.keyboard.press("?");
  await page.getByRole("dialog").getByText("Ctrl K", { exact: true }).waitFor();
  expect(await page.getByText("⌘").count()).toBe(0);
});

test("Ctrl or middle click opens a row in a new tab and leaves the page unchanged", async () => {
  const page = await show("/runs?q=folded");
  const cell = page.locator('[data-run="folded"] [data-column="project"]');
  await cell.waitFor();
  for (const how of [{ modifiers: ["Control" as const] }, { button: "middle" as const }]) {
    const [tab] = await Promise.all([page.context().waitForEvent("page"), cell.click(how)]);
    await tab.waitForURL(`${server.url}/runs/tests/development/folded`);
    await tab.close();
  }
  expect(page.url()).toBe(`${server.url}/runs?q=folded`);
  await cell.click();
  const row = line(page, "report");
  const [tab] = await Promise.all([
    page.context().waitForEvent("page"),
    row.click({ modifiers: ["Control"] }),
  ]);
  await tab.waitForURL(`${server.url}/runs/tests/development/folded?action=report`);
  expect(page.url()).toBe(`${server.url}/runs/tests/development/folded`);
});

test("a click outside the filter menu keeps the draft and opens nothing", async () => {
  const page = await show("/runs?q=folded");
  await page.locator("[data-run]").first().waitFor();
  await page.getByRole("button", { name: "Filter", exact: true }).click();
  await page.getByLabel("Task", { exact: true }).fill("nightly");
  const row = await page.locator("[data-run]").first().boundingBox();
  await page.mouse.click((row?.x ?? 0) + (row?.width ?? 0) - 60, (row?.y ?? 0) + 10);
  await page.getByLabel("Task", { exact: true }).waitFor({ state: "hidden" });
  expect(page.url()).toBe(`${server.url}/runs?q=folded`);
  await page.getByRole("button", { name: "Filter", exact: true }).click();
  expect(await page.getByLabel("Task", { exact: true }).inputValue()).toBe("nightly");
  await page.getByRole("button", { name: "Apply" }).click();
  await page.waitForURL((url) => url.searchParams.get("task") === "nightly");
});

test("a new project can be selected without a reload", async () => {
  const page = await show("/runs");
  const select = page.getByLabel("Project");
  await page.locator("[data-run]").first().waitFor();
  await createRun(server, runId("first", "brand-new"));
  await select.hover();
  await until("the new project", async () => (await select.innerText()).includes("brand-new"));
  await select.selectOption("brand-new");
  await page.locator('[data-run="first"]').waitFor();
});

test("zooming by key or button keeps bars in view", async () => {
  const run = runId("early-bars");
  const names = Array.from({ length: 5 }, (_, n) => `quick-${n}`);
  await createActions(server, run, [
    { name: "root", createdAt: AT },
    ...names.map((name) => ({ name, parent: "root", createdAt: AT })),
  ]);
  const id = (name: string) => ({ ...{ project: run.project, domain: run.domain }, runName: run.name, name });
  await server.execute(
    `mutation ($input: [UpdateActionPhaseInput!]!) { updateActionPhases(input: $input) { applied } }`,
    {
      input: [
        ...names.map((name) => ({
          id: id(name),
          phase: "SUCCEEDED",
          attempts: 1,
          startTime: AT,
          endTime: "2026-01-01T12:00:01Z",
        })),
        { id: id("root"), phase: "SUCCEEDED", attempts: 1, startTime: AT, endTime: "2026-01-01T13:00:00Z" },
      ],
    },
  );
  const page = await show("/runs/tests/development/early-bars?view=timeline");
  const bar = line(page, "quick-3").locator('[data-bar="running"]');
  await bar.waitFor();
  const width = async (): Promise<number> => (await bar.boundingBox())?.width ?? 0;
  for (let n = 0; n < 4; n += 1) {
    await page.keyboard.press("+");
    await page.getByRole("button", { name: "Zoom in" }).click();
  }
  await until("a closer view of the bars", async () => (await width()) > 40);
});
