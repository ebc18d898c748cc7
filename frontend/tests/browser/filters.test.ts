import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type Opened, launch, open } from "../support/browser";
import { createRun, insertEvents, runId, setPhases } from "../support/record";
import { TestServer, until } from "../support/server";

/** Search and filters of runs, and going back in the history. */
let server: TestServer;
let browser: Browser;
let opened: Opened;

const AT = "2026-01-31T23:30:00Z";
const CREATE = "mutation ($input: [CreateActionInput!]!) { createActions(input: $input) { created } }";

beforeAll(async () => {
  [server, browser] = await Promise.all([TestServer.start(), launch()]);
  const root = (project: string, runName: string, rest = {}) => ({
    id: { project, domain: "d", runName, name: "root" },
    ...rest,
  });
  const who = { kind: "USER", subject: "u-17", name: "Ada Lovelace" };
  const task = { project: "sums", domain: "d", name: "load", version: "1" };
  await server.execute(CREATE, {
    input: [
      root("sums", "with-task", { task }),
      root("sums", "with-function", { functionName: "main" }),
      root("sums", "with-nothing"),
      root("who", "by-ada", { createdBy: who }),
      root("who", "by-nobody"),
      root("old", "long", { createdAt: AT, phase: "RUNNING" }),
      root("old", "late", { createdAt: "2026-02-01T00:30:00Z", phase: "RUNNING" }),
      root("old", "fresh", { phase: "RUNNING" }),
      ...Array.from({ length: 450 }, (_, n) => root("many", `run-${String(n).padStart(3, "0")}`)),
    ],
  });
  const broken = runId("broken", "who", "d");
  await createRun(server, broken);
  await insertEvents(server, broken, [
    {
      ...{ action: "root", attempt: 1, phase: "FAILED", occurredAt: "2026-01-01T12:00:00Z" },
      error: { kind: "USER", code: "CUDA_OOM", message: "out of memory" },
    },
  ]);
  await setPhases(server, broken, { root: "FAILED" });
});

afterAll(async () => {
  await browser.close();
  await server.stop();
});

afterEach(async () => {
  expect(opened.problems.filter((problem) => !problem.includes("404"))).toEqual([]);
  await opened.close();
});

const show = async (path: string, options: BrowserContextOptions = {}): Promise<Page> => {
  opened = await open(browser, `${server.url}${path}`, options);
  return opened.page;
};

const names = async (page: Page) =>
  (
    await page
      .locator("[data-run]")
      .evaluateAll((rows) => rows.map((row) => row.getAttribute("data-run") ?? ""))
  ).sort();

const shows = (page: Page, ...expected: string[]) =>
  expect.poll(() => names(page), { timeout: 20_000 }).toEqual(expected.sort());

test("search finds error codes, run paths and URLs; the creator's name is a filter", async () => {
  const page = await show("/runs?project=who");
  await shows(page, "by-ada", "by-nobody", "broken");
  const search = page.getByRole("searchbox", { name: "Search the runs" });
  for (const [typed, found] of [
    ["cuda_oom", "broken"],
    ["who/d/by-nobody", "by-nobody"],
    [`${server.url}/runs/who/d/by-ada?view=timeline`, "by-ada"],
  ] as const) {
    await search.fill(typed);
    await shows(page, found);
  }
  await page.locator('[data-run="by-ada"] a').first().click();
  await page.getByRole("link", { name: "Ada Lovelace" }).click();
  await page.waitForURL((url) => url.searchParams.get("by") === "Ada Lovelace");
  await shows(page, "by-ada");
});

test('"longer than" includes runs in progress', async () => {
  const page = await show("/runs?project=old&longer=2d");
  await shows(page, "late", "long");
});

test("a task's link shows the runs that its row counts", async () => {
  const page = await show("/tasks?project=sums");
  for (const [task, run] of [
    ["(no task)", "with-nothing"],
    ["main", "with-function"],
    ["load", "with-task"],
  ] as const) {
    const row = page.locator(`[data-task="${task}"]`);
    expect(await row.locator('[data-column="runs"]').innerText()).toBe("1");
    await row.getByRole("link", { name: task }).click();
    await shows(page, run);
    await page.goBack();
  }
});

test("filter dates use the page's time zone, and the histogram uses the filter's range", async () => {
  const page = await show("/runs?project=old", { timezoneId: "Asia/Tokyo" });
  await page.getByLabel("How times are shown").selectOption("local");
  await page.getByRole("button", { name: "Filter", exact: true }).click();
  await page.getByLabel("Since (local time)").fill("2026-02-01 09:00");
  await page.getByLabel("Until (local time)").fill("2026-02-02");
  await page.getByRole("button", { name: "Apply" }).click();
  await page.waitForURL((url) => url.searchParams.get("from") === "2026-02-01T00:00:00.000Z");
  await shows(page, "late");
  await page.getByTestId("density-total").getByText("1 run", { exact: true }).waitFor();
  await page.getByRole("group", { name: "Runs in the time range of the filter" }).waitFor();
  await page.getByLabel("How times are shown").selectOption("utc");
  await page.getByRole("button", { name: /^Filter/ }).click();
  expect(await page.getByLabel("Since (UTC)").inputValue()).toBe("2026-02-01 00:00");
});

test("going back undoes one step at a time, with typed text as one step", async () => {
  const page = await show("/runs?project=who");
  await shows(page, "by-ada", "by-nobody", "broken");
  await page.getByRole("searchbox", { name: "Search the runs" }).pressSequentially("by", { delay: 400 });
  await shows(page, "by-ada", "by-nobody");
  await page.getByRole("button", { name: "Views" }).click();
  await page.getByRole("menuitem", { name: "In progress" }).click();
  await page.waitForURL((url) => url.searchParams.has("not"));
  await page.goBack();
  await page.waitForURL((url) => url.search === "?project=who&q=by");
  await page.goBack();
  await page.waitForURL((url) => url.search === "?project=who");
  await shows(page, "by-ada", "by-nobody", "broken");
  await page.locator('[data-run="by-ada"] a').first().click();
  await page.locator('[data-action="root"]').click();
  await page.waitForURL((url) => url.searchParams.has("action"));
  await page.goBack();
  await page.getByTestId("action").waitFor({ state: "hidden" });
  await page.goBack();
  await shows(page, "by-ada", "by-nobody", "broken");
});

test("going back from a run restores the list, its scroll position and older runs", async () => {
  const page = await show("/runs?project=many");
  const table = page.getByTestId("runs");
  const sees = (name: string) => page.locator(`[data-run="${name}"]`);
  await until("the oldest runs", async () => {
    await table.evaluate((element) => element.scrollBy(0, 700));
    return (await sees("run-040").count()) > 0;
  });
  await sees("run-040").scrollIntoViewIfNeeded();
  const top = await table.evaluate((element) => element.scrollTop);
  await sees("run-040").locator("a").first().click();
  await page.getByRole("heading", { name: "run-040" }).waitFor();
  await page.goBack();
  await sees("run-040").waitFor();
  expect(Math.abs((await table.evaluate((element) => element.scrollTop)) - top)).toBeLessThan(60);
  // Going forward to a list starts at its top.
  await page.getByRole("link", { name: "Runs", exact: true }).click();
  await until("the newest", async () => (await table.evaluate((element) => element.scrollTop)) === 0);
});

test("an unknown URL shows an error with a link to the runs", async () => {
  const page = await show("/settings");
  await page.getByText("There is no such page").waitFor();
  await page.getByRole("link", { name: "All runs", exact: true }).click();
  await page.locator("[data-run]").first().waitFor();
});
