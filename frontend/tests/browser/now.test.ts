import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type Opened, isSamePage, launch, mark, open } from "../support/browser";
import { actionId, createRun, runId, setPhases } from "../support/record";
import { TestServer } from "../support/server";

const CLEAR = `mutation ($id: ActionIdentifierInput!) { clearAbortRequest(id: $id) { action { id } } }`;
const PHASES = `mutation ($input: [UpdateActionPhaseInput!]!) { updateActionPhases(input: $input) { applied } }`;
const ADA = { kind: "USER", subject: "u-1", name: "Ada Lovelace" };
const BOB = { kind: "USER", subject: "u-2", name: "Bob" };

let server: TestServer;
let browser: Browser;
let opened: Opened;

const ago = (minutes: number): string => new Date(Date.now() - minutes * 60_000).toISOString();

beforeAll(async () => {
  [server, browser] = await Promise.all([TestServer.start(), launch()]);
  const task = { project: "etl", domain: "development", name: "load", version: "v1" };
  for (let n = 0; n < 5; n += 1) {
    const run = runId(`before-${n}`, "etl");
    await createRun(server, run, { task, createdBy: BOB, createdAt: ago(600), phase: "QUEUED" });
    await server.execute(PHASES, {
      input: [
        {
          id: actionId(run, "root"),
          phase: "SUCCEEDED",
          attempts: 1,
          startTime: ago(600),
          endTime: ago(590),
        },
      ],
    });
  }
  await createRun(server, runId("late", "etl"), { task, createdBy: ADA, createdAt: ago(60) });
  await createRun(server, runId("fresh", "etl"), { task, createdBy: ADA });
  await createRun(server, runId("other", "web"), { createdBy: BOB });
  await createRun(server, runId("stuck", "web"), { createdBy: BOB, createdAt: ago(30), phase: "QUEUED" });
  await createRun(server, runId("asks", "web"), { createdBy: BOB });
  await setPhases(server, runId("asks", "web"), { root: "PAUSED" });
  await createRun(server, runId("broken", "web"), { createdBy: BOB });
  await setPhases(server, runId("broken", "web"), { root: "FAILED" });
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

test("what may be stuck is listed with the reason, live", async () => {
  const page = await show("/now");
  await mark(page);
  const late = page.getByRole("region", { name: "Longer than usual" });
  await late.getByText(/6\.\d × as long/).waitFor();
  expect(await late.locator("[data-run]").count()).toBe(1);
  const queued = page.getByRole("region", { name: "Queued too long" });
  await queued.getByText("queued for 30 m").waitFor();
  await page.getByRole("region", { name: "Waiting for input" }).getByRole("link", { name: "asks" }).waitFor();
  await page.getByText("The executors have confirmed every abort.").waitFor();
  await page.getByText("4 running").first().waitFor();
  await page.getByRole("link", { name: "1 failed in the last 24 hours" }).waitFor();

  await createRun(server, runId("more", "web"), { createdBy: BOB });
  await page.locator('[data-tile="web"]').getByText("3 running").waitFor();
  await setPhases(server, runId("asks", "web"), { root: "RUNNING" });
  await setPhases(server, runId("more", "web"), { root: "SUCCEEDED" });
  await page.getByText("No run waits for input.").waitFor();
  expect(await isSamePage(page)).toBe(true);
});

test("a tile filters the page by project or person, in the address", async () => {
  const page = await show("/now");
  await page.locator('[data-tile="web"] button[aria-pressed]').click();
  await page.waitForURL("**/now?project=web");
  await page.getByText("No run takes longer than usual.").waitFor();
  await page.locator('[data-tile="u-2"] button[aria-pressed]').click();
  await page.waitForURL("**/now?project=web&by=u-2");
  await page.getByRole("button", { name: "by: Bob" }).waitFor();
  await page.goBack();
  await page.waitForURL("**/now?project=web");
  await page.locator('[data-tile="web"] [aria-pressed="true"]').click();
  await page
    .getByRole("region", { name: "Longer than usual" })
    .getByText(/6\.\d × as long/)
    .waitFor();
});

test("three clicks from the first page stop all runs of a person", async () => {
  const page = await show("/");
  await page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: "Now" }).click();
  await page.getByRole("button", { name: "Abort all runs of Ada Lovelace" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByText("by Ada Lovelace").waitFor();
  await dialog.getByRole("button", { name: "Abort 2 runs" }).click();
  await dialog.getByText("0 of 2").waitFor();
  await server.execute(CLEAR, { id: actionId(runId("fresh", "etl"), "root") });
  await dialog.getByText("1 of 2").waitFor();
  await page.getByRole("button", { name: "Close", exact: true }).last().click();
  const aborts = page.getByRole("region", { name: "Aborts unconfirmed" });
  await aborts.getByRole("link", { name: "late" }).waitFor();
  expect(await aborts.locator("[data-run]").count()).toBe(1);
  await page.locator('[data-tile="u-1"]').waitFor({ state: "detached" });
});

test("selected rows are aborted together, and each result is listed", async () => {
  for (const n of [1, 2, 3, 4]) await createRun(server, runId(`bulk-${n}`, "bulk"));
  await setPhases(server, runId("bulk-2", "bulk"), { root: "SUCCEEDED" });
  const page = await show("/runs?project=bulk");
  await page.getByLabel("Select bulk-4").check();
  const bar = page.getByRole("region", { name: "Selected runs" });
  await bar.getByText("1 run selected").waitFor();
  await page.getByLabel("Select bulk-2").click({ modifiers: ["Shift"] });
  await bar.getByText("3 runs selected").waitFor();
  await bar.getByText("1 run ended already").waitFor();
  await page.getByLabel("Select all loaded runs").click();
  await bar.getByText("4 runs selected").waitFor();
  // The keyboard clears the newest.
  await page.keyboard.press("j");
  await page.keyboard.press("x");
  await bar.getByText("3 runs selected").waitFor();
  await bar.getByRole("button", { name: "Abort the other 2 runs…" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByText("2 runs").first().waitFor();
  await dialog.getByRole("button", { name: "Abort 2 runs" }).click();
  const results = dialog.getByRole("list", { name: "Results" });
  await expect.poll(() => results.getByText("abort requested").count()).toBe(2);
  await server.execute(CLEAR, { id: actionId(runId("bulk-1", "bulk"), "root") });
  await results.getByText("stopped").waitFor();
  await page.getByRole("button", { name: "Close", exact: true }).last().click();
  await bar.getByText("3 runs ended already").waitFor();
  await bar.getByRole("button", { name: "Clear" }).click();
  await bar.waitFor({ state: "detached" });
  await page.locator('[data-run="bulk-4"][data-phase=RUNNING]').waitFor();
});

const TIMEOUT = { timeout: 40_000 };

/** The names of the rows from top to bottom. */
const names = (page: Page): Promise<(string | null)[]> =>
  page.locator("[data-run]").evaluateAll((rows) =>
    rows
      .map((row) => ({ name: row.getAttribute("data-run"), top: row.getBoundingClientRect().top }))
      .sort((a, b) => a.top - b.top)
      .map(({ name }) => name),
  );

test("the list is sorted by a column, in the address, and says what changed meanwhile", async () => {
  for (const name of ["m", "a", "z"]) await createRun(server, runId(name, "sorted"));
  const page = await show("/runs?project=sorted");
  await expect.poll(() => names(page), TIMEOUT).toEqual(["z", "a", "m"]);
  const head = page.getByRole("columnheader", { name: "Run", exact: true });
  expect(await head.getAttribute("aria-sort")).toBe("none");
  await head.getByRole("button").focus();
  await page.keyboard.press("Enter");
  await page.waitForURL("**/runs?project=sorted&sort=run");
  await expect.poll(() => names(page), TIMEOUT).toEqual(["a", "m", "z"]);
  expect(await head.getAttribute("aria-sort")).toBe("ascending");
  await createRun(server, runId("b", "sorted"));
  await setPhases(server, runId("m", "sorted"), { root: "SUCCEEDED" });
  await page.locator('[data-run="m"]').getByText("Succeeded").waitFor();
  await page.getByRole("button", { name: "Sort again: 1 changed" }).click();
  await expect.poll(() => names(page), TIMEOUT).toEqual(["a", "b", "m", "z"]);

  await head.getByRole("button").click();
  await expect.poll(() => names(page), TIMEOUT).toEqual(["z", "m", "b", "a"]);
  await page.getByRole("button", { name: "Duration" }).click();
  await page.waitForURL("**/runs?project=sorted&sort=-duration");
  await expect.poll(async () => (await names(page))[0], TIMEOUT).toBe("m");
  await page.goBack();
  await expect.poll(() => names(page), TIMEOUT).toEqual(["z", "m", "b", "a"]);
  await page.goBack();
  await page.goBack();
  await page.waitForURL("**/runs?project=sorted");
  await expect.poll(() => names(page), TIMEOUT).toEqual(["b", "z", "a", "m"]);
});
