import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type Opened, isSamePage, launch, mark, open } from "../support/browser";
import { createRun, runId, setPhases } from "../support/record";
import { TestServer, until } from "../support/server";

let server: TestServer;
let browser: Browser;
let opened: Opened;

beforeAll(async () => {
  [server, browser] = await Promise.all([TestServer.start(), launch()]);
  for (let n = 0; n < 5; n += 1) {
    await createRun(server, runId(`early-${n}`), {
      labels: [{ key: "team", value: n % 2 ? "data" : "web" }],
    });
  }
  await setPhases(server, runId("early-1"), { root: "FAILED" });
  await createRun(server, runId("elsewhere", "other", "production"));
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
  await opened.page.locator("[data-run]").first().waitFor();
  return opened.page;
};

/** Rows may arrive one by one. */
const TIMEOUT = { timeout: 40_000 };

const names = (page: Page): Promise<(string | null)[]> =>
  page.locator("[data-run]").evaluateAll((rows) =>
    rows
      .map((row) => ({ name: row.getAttribute("data-run"), top: row.getBoundingClientRect().top }))
      .sort((a, b) => a.top - b.top)
      .map(({ name }) => name),
  );

test("the start page is the list of all runs, newest first", async () => {
  const page = await show("/");
  await page.waitForURL("**/runs");
  await expect
    .poll(() => names(page), TIMEOUT)
    .toEqual(["elsewhere", "early-4", "early-3", "early-2", "early-1", "early-0"]);
  expect(await page.title()).toBe("Runs · Rungraph");
});

test("a run appears, changes and ends without a reload", async () => {
  const page = await show("/runs?project=tests");
  await mark(page);
  await createRun(server, runId("live-1"));
  const row = page.locator('[data-run="live-1"]');
  await row.getByText("Running").waitFor();
  await row.getByText("0 of 1 ended").waitFor();
  await setPhases(server, runId("live-1"), { root: "SUCCEEDED" });
  await row.getByText("Succeeded").waitFor();
  await row.getByText("1 of 1 ended").waitFor();
  expect(await isSamePage(page)).toBe(true);
});

test("the filter is in the URL: project, included and excluded phases, labels, search", async () => {
  const cases: [string, string[]][] = [
    ["project=other", ["elsewhere"]],
    ["phase=FAILED", ["early-1"]],
    ["project=tests&q=EARLY&not=FAILED", ["early-4", "early-3", "early-2", "early-0"]],
    ["label=team=data", ["early-3", "early-1"]],
    ["q=early-4", ["early-4"]],
  ];
  for (const [query, expected] of cases) {
    const page = await show(`/runs?${query}`);
    await expect.poll(() => names(page), { ...TIMEOUT, message: query }).toEqual(expected);
    expect(opened.problems).toEqual([]);
    await opened.close();
  }
  const page = await show("/runs?phase=FAILED&label=team=data");
  await page.getByRole("group", { name: "Filter" }).getByText("phase: failed").waitFor();
  await page.getByRole("button", { name: "Remove phase: failed" }).click();
  await page.waitForURL((url) => url.search === "?label=team=data");
  await until("both runs", async () => (await names(page)).length === 2);
});

test("selections on the page appear in the URL", async () => {
  const page = await show("/runs");
  await page.getByRole("searchbox", { name: "Search the runs" }).fill("early");
  await page.waitForURL("**/runs?q=early");
  await page.getByLabel("Project").selectOption("tests");
  await page.waitForURL((url) => url.searchParams.get("project") === "tests");
  await page.getByRole("button", { name: "Phase", exact: true }).first().click();
  await page.getByRole("checkbox", { name: "Exclude Failed" }).check();
  await page.waitForURL((url) => url.searchParams.get("not") === "FAILED");
  await until("the failed run to go", async () => !(await names(page)).includes("early-1"));
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: /^Filter/ }).click();
  await page.getByLabel(/^Since/).fill("not a time");
  expect(await page.getByRole("button", { name: "Apply" }).isDisabled()).toBe(true);
  await page.getByLabel(/^Since/).fill("2h");
  await page.getByRole("button", { name: "Apply" }).click();
  await page.waitForURL((url) => url.searchParams.get("from") === "2h");
});

test("a view can be saved in the browser and opened again", async () => {
  const page = await show("/runs?q=early-2");
  await page.getByRole("button", { name: "Views" }).click();
  await page.getByRole("menuitem", { name: "Save this view…" }).click();
  await page.getByLabel("Name").fill("mine");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByRole("button", { name: "Views" }).click();
  await page.getByRole("menuitem", { name: "All runs" }).click();
  await page.waitForURL((url) => url.search === "");
  await page.reload();
  await page.getByRole("button", { name: "Views" }).click();
  await page.getByRole("menuitem", { name: "mine" }).click();
  await page.waitForURL("**/runs?q=early-2");
});

test("no row moves under the pointer: new runs wait and are counted", async () => {
  const page = await show("/runs?project=tests");
  const before = await names(page);
  await page.locator("[data-run]").nth(1).hover();
  await createRun(server, runId("pushed-1"));
  await createRun(server, runId("pushed-2"));
  const waiting = page.getByTestId("waiting");
  await waiting.getByText("Show 2 new").waitFor();
  expect(await names(page)).toEqual(before);
  // Visible rows still change.
  await setPhases(server, runId("early-4"), { root: "PAUSED" });
  await page.locator('[data-run="early-4"]').getByText("Paused").waitFor();
  await waiting.click();
  await until("the new runs", async () => (await names(page))[0] === "pushed-2");
  expect(await waiting.count()).toBe(0);
});

test("a held list marks runs that no longer match, and continues when released", async () => {
  const page = await show("/runs?project=tests&phase=RUNNING");
  await page.getByRole("button", { name: "Pause updates" }).click();
  await createRun(server, runId("held-1"));
  await page.getByText("Show 1 new").waitFor();
  await setPhases(server, runId("early-3"), { root: "SUCCEEDED" });
  await page.locator('[data-run="early-3"][title*="no longer matches"]').waitFor();
  await page.getByRole("button", { name: "Updates paused" }).click();
  await until("the list to go on", async () => {
    const shown = await names(page);
    return shown[0] === "held-1" && !shown.includes("early-3");
  });
});

test("scrolling loads all older runs", async () => {
  const input = Array.from({ length: 450 }, (_, n) => ({
    id: { project: "many", domain: "d", runName: `run-${String(n).padStart(3, "0")}`, name: "root" },
  }));
  const create = "mutation ($input: [CreateActionInput!]!) { createActions(input: $input) { created } }";
  await server.execute(create, { input });
  const page = await show("/runs?project=many");
  const seen = new Set<string>();
  await until(
    "every run to be seen",
    async () => {
      for (const name of await names(page)) if (name) seen.add(name);
      // No further than the last rendered row, so that none is skipped while frames are slow.
      await page.locator("[data-run]").evaluateAll((rows) => {
        const top = (row: Element): number => row.getBoundingClientRect().top;
        rows.sort((a, b) => top(b) - top(a))[0]?.scrollIntoView({ block: "start" });
      });
      return seen.size === 450;
    },
    60_000,
  );
  // Far fewer rows are rendered than exist.
  expect(await page.locator("[data-run]").count()).toBeLessThan(60);
});

test("the histogram shows the last day and filters by time range", async () => {
  const page = await show("/runs?project=other");
  await page.getByTestId("density-total").getByText("1 run").waitFor();
  await page
    .getByRole("group", { name: "Runs of the last 24h" })
    .getByRole("button", { name: "1 running" })
    .click();
  await page.waitForURL((url) => url.searchParams.has("from") && url.searchParams.has("to"));
  await expect.poll(() => names(page), TIMEOUT).toEqual(["elsewhere"]);
});

test("the histogram is refreshed during continuous changes", async () => {
  await createRun(server, runId("first", "busy"));
  const page = await show("/runs?project=busy");
  const total = page.getByTestId("density-total");
  await total.getByText("1 run", { exact: true }).waitFor();
  const leaving = new AbortController();
  const writing = (async () => {
    for (let n = 0; !leaving.signal.aborted && n < 200; n += 1) {
      await createRun(server, runId(`more-${n}`, "busy"));
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  })();
  try {
    await until("the strip to count more", async () => (await total.innerText()) !== "1 run", 12_000);
  } finally {
    leaving.abort();
    await writing;
  }
});

test("an unknown phase is shown by its name", async () => {
  opened = await open(browser, `${server.url}/tasks`);
  const { page } = opened;
  await page.routeWebSocket(/graphql/, (socket) => {
    const real = socket.connectToServer();
    real.onMessage((message) => socket.send(String(message).replaceAll('"RUNNING"', '"TELE_PORTING"')));
  });
  await page.goto(`${server.url}/runs?project=other`);
  await page.locator('[data-run="elsewhere"]').getByText("Tele porting").waitFor();
});

test("a link works for a run with slashes, dots and percent signs in its name", async () => {
  const odd = runId("a/b ~1 50%/..", "p/q", "..");
  await createRun(server, odd);
  const page = await show("/runs?q=50%25");
  await page.getByRole("link", { name: odd.name }).click();
  await page.getByRole("heading", { name: odd.name }).waitFor();
  await page.reload();
  await page.getByRole("heading", { name: odd.name }).waitFor();
});
