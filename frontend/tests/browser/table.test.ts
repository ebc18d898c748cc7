import { text } from "node:stream/consumers";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type Opened, launch, open } from "../support/browser";
import { actionId, runId, setPhases } from "../support/record";
import { TestServer, until } from "../support/server";

const REPORT = "mutation ($reports: [ReportInput!]!) { report(reports: $reports) { failed } }";
const RUN = runId("search");
const TRIALS = 500;
const RUN_URL = "/runs/tests/development/search";

let server: TestServer;
let browser: Browser;
let opened: Opened;

const time = (second: number): string => new Date(Date.UTC(2026, 0, 1) + second * 1_000).toISOString();

/** What an executor reports about a trial: some fail, and the one with the number 321 takes longest. */
function trial(n: number) {
  const isOom = n % 50 === 7;
  const ended = { startTime: time(n), endTime: time(n + (n === 321 ? 900 : 60 + (n % 40))) };
  return {
    id: actionId(RUN, `trial-${n}`),
    details: {
      parentName: "sweep",
      group: "trials",
      createdAt: time(0),
      spec: { optimizer: { lr: (n + 1) / 10_000 }, seed: n, dataset: "v1" },
    },
    ...ended,
    metrics: [{ name: "loss", value: Math.abs(n - 42) / 100 + 0.1, at: time(n + 1) }],
    ...(isOom
      ? { phase: "FAILED", error: { kind: "USER", code: "OOM", message: `needs ${n} MiB` } }
      : {
          phase: "SUCCEEDED",
          outputs: { val_acc: 1 - Math.abs(n - 42) / 1_000, note: n % 2 ? "=1+1" : "b,c" },
        }),
  };
}

beforeAll(async () => {
  [server, browser] = await Promise.all([TestServer.start(), launch()]);
  const root = { id: actionId(RUN, "sweep"), details: { createdAt: time(0) }, phase: "RUNNING" };
  const reports = [root, ...Array.from({ length: TRIALS }, (_, n) => trial(n))];
  await server.execute(REPORT, { reports });
});

afterAll(async () => {
  await browser.close();
  await server.stop();
});

afterEach(async () => {
  expect(opened.problems).toEqual([]);
  await opened.close();
});

const rows = (page: Page) => page.locator("[data-testid=table] [data-action]");
const names = async (page: Page, most: number): Promise<(string | null)[]> => {
  const shown = await rows(page).evaluateAll((elements) =>
    elements
      .map((element) => ({
        name: element.getAttribute("data-action"),
        at: Number(element.getAttribute("aria-rowindex")),
      }))
      .sort((one, other) => one.at - other.at),
  );
  return shown.slice(0, most).map(({ name }) => name);
};
const firstIs = (page: Page, name: string) =>
  until(`${name} to be first`, async () => (await names(page, 1))[0] === name);

test("slowest, best and failed trials are three clicks, and all of it is in the address", async () => {
  opened = await open(browser, `${server.url}${RUN_URL}`);
  const { page } = opened;
  await page.getByText("Table", { exact: true }).click();
  const summary = page.getByRole("group", { name: "Summary of the actions" });
  await summary.getByText("500 of 500").waitFor();
  await summary.getByRole("button", { name: "trial-321" }).waitFor();
  const best = summary.getByRole("button", { name: "Best val_acc" });
  await best.waitFor();
  await until(
    "the best to be known",
    async () => (await summary.textContent())?.includes("trial-42") ?? false,
  );
  await summary.getByRole("button", { name: "Slowest" }).click();
  await firstIs(page, "trial-321");
  await best.click();
  await firstIs(page, "trial-42");
  expect(
    await page.locator("[data-column='outputs:val_acc'][role=columnheader]").getAttribute("aria-sort"),
  ).toBe("descending");
  await summary.getByRole("button", { name: /^OOM/ }).click();
  await page.getByText("10 rows with the error of trial-7").waitFor();
  expect(new URL(page.url()).search).toBe("?view=table&sort=-outputs:val_acc&same=trial-7");
  const address = page.url();
  await page.goBack();
  await page.getByText("500 rows").waitFor();
  await page.goto(address);
  await page.getByText("10 rows with the error of trial-7").waitFor();
});

test("columns are chosen and sorted by keyboard; numbers are sorted as numbers, and none are last", async () => {
  opened = await open(browser, `${server.url}${RUN_URL}?action=trial-3`);
  const { page } = opened;
  await page.getByTestId("tree").waitFor();
  await page.keyboard.press("b");
  const heading = page.locator("[role=columnheader][data-column='outputs:val_acc']");
  await heading.waitFor();
  expect(await page.locator("[role=columnheader][data-column='spec:dataset']").count()).toBe(0);
  await heading.getByRole("button").focus();
  await page.keyboard.press("Enter");
  await firstIs(page, "trial-42");
  await page.keyboard.press("Enter");
  await firstIs(page, "trial-499");
  expect(await heading.getAttribute("aria-sort")).toBe("ascending");
  await page.getByTestId("table").evaluate((element) => element.scrollTo(0, element.scrollHeight));
  await until("failed trials, which have no outputs, to be last", async () =>
    (await names(page, 1_000)).slice(-10).every((name) => Number(name?.slice(6)) % 50 === 7),
  );
  await page.getByRole("button", { name: /^Columns/ }).click();
  await page.getByLabel("Search the columns").fill("dataset");
  await page.getByLabel(/^dataset/).check();
  await page.getByLabel("Another column").fill("spec:optimizer.none");
  await page.getByRole("button", { name: "Add", exact: true }).click();
  await page.keyboard.press("Escape");
  await page.locator("[role=columnheader][data-column='spec:optimizer.none']").waitFor();
  expect(new URL(page.url()).searchParams.getAll("col")).toContain("spec:dataset");
  // The panel of the tree is that of the table, and so is its keyboard.
  await page.getByTestId("action").waitFor();
  await page.getByTestId("table").focus();
  await page.keyboard.press("j");
  await page.keyboard.press("Enter");
  await until("another action", () => Promise.resolve(!page.url().includes("action=trial-3&")));
});

test("a file has every row, and a plot opens actions by pointer and keyboard", async () => {
  opened = await open(
    browser,
    `${server.url}${RUN_URL}?view=table&sort=spec:seed&col=spec:seed&col=outputs:note`,
  );
  const { page } = opened;
  await firstIs(page, "trial-0");
  await until("the values", async () => !(await page.getByText("reading values").count()));
  const [download] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("button", { name: "CSV" }).click(),
  ]);
  const lines = (await text(await download.createReadStream())).replace("\ufeff", "").split("\r\n");
  expect(lines).toHaveLength(TRIALS + 2);
  expect(lines.slice(0, 3)).toEqual([
    "Action,spec:seed,outputs:note",
    'trial-0,0,"b,c"',
    `trial-1,1,"'=1+1"`,
  ]);
  await page.getByRole("button", { name: "Plot" }).click();
  const plot = page.getByTestId("plot");
  await until("the points", async () => (await plot.getAttribute("data-points")) === "500");
  await plot.focus();
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowRight");
  await page.getByText(/^trial-1: optimizer\.lr 0\.0002, loss 0\.51/).waitFor();
  await page.keyboard.press("Enter");
  await until("the action", () => Promise.resolve(page.url().includes("action=trial-1")));
  await page.getByLabel("log").first().check();
  await until("the axis in the address", () => Promise.resolve(/log=xy|log=yx|log=y/.test(page.url())));
});

test("rows update in place and do not move while the pointer is over them", async () => {
  const live = runId("live");
  const ids = ["a", "b", "c"];
  const reports = [
    { id: actionId(live, "sweep"), details: {}, phase: "RUNNING" },
    ...ids.map((name, n) => ({
      id: actionId(live, name),
      details: { parentName: "sweep" },
      phase: "RUNNING",
      metrics: [{ name: "score", value: n, at: time(n) }],
    })),
  ];
  await server.execute(REPORT, { reports });
  opened = await open(
    browser,
    `${server.url}/runs/tests/development/live?view=table&sort=-metrics:score&col=metrics:score`,
  );
  const { page } = opened;
  await firstIs(page, "c");
  await rows(page).first().hover();
  await server.execute(REPORT, {
    reports: [{ id: actionId(live, "a"), metrics: [{ name: "score", value: 99, at: time(100) }] }],
  });
  await rows(page).getByText("99").waitFor();
  await page.getByText("order is kept while the pointer is here").waitFor();
  expect(await names(page, 3)).toEqual(["c", "b", "a"]);
  await page.mouse.move(5, 5);
  await firstIs(page, "a");
  await setPhases(server, live, { b: "SUCCEEDED" });
  await page.getByText("1 of 3").waitFor();
});
