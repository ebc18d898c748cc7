import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { faded, findings, findingsInBothSchemes } from "../support/axe";
import { type Opened, launch, open } from "../support/browser";
import { TestServer, until } from "../support/server";

const PREFIX = "/team/rungraph";

let server: TestServer;
let browser: Browser;
let opened: Opened;
let run: { project: string; domain: string; name: string };

/** The page with the demo's runs, below a base path. */
beforeAll(async () => {
  [server, browser] = await Promise.all([TestServer.start({ RUNGRAPH_BASE_PATH: PREFIX }), launch()]);
  server.beginBeside("demo", "--url", server.api, "--seed", "3");
  const find = `{ runs(first: 1, filter: {phases: [FAILED]}) { nodes { project domain name } } }`;
  await until("the demo's history", async () => {
    const { runs } = await server.execute<{ runs: { nodes: (typeof run)[] } }>(find);
    if (runs.nodes[0]) run = runs.nodes[0];
    return !!runs.nodes[0];
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

const show = async (path: string, options = {}): Promise<Page> => {
  opened = await open(browser, `${server.url}${path}`, options);
  return opened.page;
};

const pages = (): [string, string][] => [
  ["/runs", "[data-run]"],
  ["/tasks", "[data-task]"],
  ["/aborts", "h1"],
  [`/runs/${run.project}/${run.domain}/${run.name}`, "[data-action]"],
  [
    `/runs/${run.project}/${run.domain}/${run.name}?view=timeline&action=check-schema`,
    "[data-testid=action] h3",
  ],
];

test("axe finds no serious problem on any page in light and dark colours", async () => {
  for (const [path, there] of pages()) {
    const page = await show(path);
    await page.locator(there).first().waitFor();
    expect(await findingsInBothSchemes(page), path).toEqual([]);
    expect(opened.problems).toEqual([]);
    if (path !== "/aborts") await opened.close();
  }
  await opened.close();
});

test("axe finds no serious problem in the dialogs", async () => {
  const page = await show("/runs");
  await page.locator("[data-run]").first().waitFor();
  for (const name of ["Phase", "Filter", "Columns"]) {
    await page.getByRole("button", { name, exact: true }).first().click();
    await page.getByRole("dialog").getByRole("checkbox").first().waitFor();
    await faded(page);
    expect(await findings(page, "[role=dialog]"), name).toEqual([]);
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").getByRole("checkbox").first().waitFor({ state: "detached" });
  }
});

test("axe finds no serious problem on a live run and its abort in light and dark colours", async () => {
  const find = `{ runs(first: 1, filter: {excludePhases: [SUCCEEDED, FAILED, ABORTED, TIMED_OUT, RECOVERED, SKIPPED]}) {
    nodes { project domain name } } }`;
  let going = run;
  await until("a run that goes on", async () => {
    const { runs } = await server.execute<{ runs: { nodes: (typeof run)[] } }>(find);
    if (runs.nodes[0]) going = runs.nodes[0];
    return !!runs.nodes[0];
  });
  const page = await show(`/runs/${going.project}/${going.domain}/${going.name}?action=root`);
  await page.getByTestId("action").getByRole("button", { name: "Abort" }).waitFor();
  expect(await findingsInBothSchemes(page)).toEqual([]);
  await page
    .getByRole("banner")
    .or(page.locator("main header"))
    .getByRole("button", { name: "Abort" })
    .first()
    .click();
  await page.getByLabel("Reason").fill("because");
  expect(await findingsInBothSchemes(page)).toEqual([]);
});

test("every page and the action panel fit a phone", async () => {
  for (const [path, there] of pages()) {
    const page = await show(path, { viewport: { width: 390, height: 844 } });
    await page.locator(there).first().waitFor();
    const { inner, all } = await page.evaluate(() => ({
      inner: window.innerWidth,
      all: document.documentElement.scrollWidth,
    }));
    expect(all, path).toBeLessThanOrEqual(inner);
    expect(opened.problems).toEqual([]);
    await opened.close();
  }
  await show("/runs");
});

test("the page can be used by keyboard alone", async () => {
  const page = await show("/runs?project=demo&phase=FAILED");
  await page.locator("[data-run]").first().waitFor();
  await page.keyboard.press("j");
  await page.keyboard.press("Enter");
  await page.waitForURL("**/runs/demo/**");
  await page.locator("[data-action]").first().waitFor();
  await page.keyboard.press("j");
  await page.keyboard.press("Enter");
  await page.getByTestId("action").waitFor();
  await page.keyboard.press("Escape");
  await page.getByTestId("action").waitFor({ state: "detached" });
  await page.keyboard.press("t");
  await page.waitForURL((url) => url.searchParams.get("view") === "timeline");
  await page.keyboard.press("/");
  await page.keyboard.type("check");
  await page.waitForURL((url) => url.searchParams.get("q") === "check");
  await page.keyboard.press("Escape");
  await page.keyboard.press("Escape");
  await page.keyboard.press("g");
  await page.keyboard.press("t");
  await page.waitForURL(`**${PREFIX}/tasks`);
  await page.keyboard.press("?");
  await page.getByRole("dialog").getByText("Go to runs").waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  await page.keyboard.press("Control+k");
  await page.keyboard.type(run.name);
  await page.locator("[role=dialog] [data-selected]").getByText(run.name, { exact: true }).waitFor();
  await page.keyboard.press("Enter");
  await page.waitForURL(`**/${run.name}`);
});

test("one setting changes the time format everywhere and is remembered", async () => {
  const page = await show(`/runs/${run.project}/${run.domain}/${run.name}?view=timeline`, {
    timezoneId: "America/St_Johns",
  });
  await page.locator("[data-axis] span").first().waitFor();
  const axis = (): Promise<string> => page.locator("[data-axis]").innerText();
  expect(await axis()).toMatch(/\+\d/);
  await page.getByLabel("How times are shown").selectOption("utc");
  await until("UTC on the timeline", async () => /\d\d:\d\d/.test(await axis()));
  const created = page.locator("dt", { hasText: "Created" }).locator("xpath=following-sibling::dd");
  expect(await created.innerText()).toMatch(/\d\d:\d\d:\d\d UTC$/);
  const utc = await axis();
  await page.keyboard.press("Escape");
  await page.getByLabel("How times are shown").selectOption("local");
  await until("local times on the timeline", async () => (await axis()) !== utc);
  await page.reload();
  await page.locator("[data-axis] span").first().waitFor();
  expect(await page.getByLabel("How times are shown").inputValue()).toBe("local");
  expect(await created.innerText()).not.toContain("UTC");
});

test("the colour scheme is applied before the first paint", async () => {
  const page = await show("/runs");
  await page.getByRole("button", { name: "Dark theme" }).click();
  const scheme = (): Promise<string | null> =>
    page.evaluate(() => document.documentElement.getAttribute("data-mantine-color-scheme"));
  await until("dark", async () => (await scheme()) === "dark");
  await page.goto(`${server.url}/tasks`, { waitUntil: "commit" });
  await page.locator("body").waitFor({ state: "attached" });
  expect(await scheme()).toBe("dark");
});

test("aggregates tasks, sorts by any column, and links to their runs", async () => {
  const page = await show("/tasks");
  const row = page.locator('[data-task="demo.load_orders"]').first();
  await row.getByText("100%").waitFor();
  await page.getByRole("button", { name: "Failed" }).click();
  await page.locator("th[aria-sort=descending]").waitFor();
  expect(await page.locator("tbody tr").first().getAttribute("data-task")).toBe("demo.load_orders");
  await row.getByRole("link", { name: "runs" }).click();
  await page.waitForURL((url) => url.searchParams.get("task") === "demo.load_orders");
  await page.locator('[data-run^="load-orders"]').first().waitFor();
});

test("an unknown page says that it does not exist", async () => {
  const page = await show("/runs/one/two");
  await page.getByText("There is no such page").waitFor();
});
