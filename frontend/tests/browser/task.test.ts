import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { findings } from "../support/axe";
import { type Opened, launch, open } from "../support/browser";
import { actionId, insertEvents, runId, setPhases } from "../support/record";
import { TestServer } from "../support/server";

const CREATE = "mutation ($input: [CreateActionInput!]!) { createActions(input: $input) { created } }";
const END = "mutation ($input: [UpdateActionPhaseInput!]!) { updateActionPhases(input: $input) { applied } }";
const PATH = "/tasks/tests/development/nightly";

let server: TestServer;
let browser: Browser;

/** When a run of a day was created. */
const day = (n: number, minutes = 0): string => new Date(Date.UTC(2026, 0, n, 3, minutes)).toISOString();

/** A nightly run: it loads, checks and reports; the parts that it loads have generated names. */
async function nightly(n: number, version: string, checked: string | null, minutes = 10): Promise<void> {
  const run = runId(`nightly-${n}`);
  const task = { project: "tests", domain: "development", name: "nightly", version };
  const at = (name: string, parentName: string | null, rest = {}) => ({
    ...{ id: actionId(run, name), parentName, createdAt: day(n), ...rest },
  });
  const parts = [1, 2, 3].map((part) => `part-${n}${part}e9f`);
  await server.execute(CREATE, {
    input: [
      at("root", null, { task }),
      at("load", "root"),
      ...parts.map((name) => at(name, "load")),
      at("check", "root"),
      at("report", "root"),
    ],
  });
  const ended = ["load", ...parts].map((name) => [name, "SUCCEEDED"]);
  if (checked) ended.push(["check", checked], ["root", checked]);
  await server.execute(END, {
    input: ended.map(([name, phase]) => ({
      ...{
        id: actionId(run, name ?? ""),
        phase,
        attempts: 1,
        startTime: day(n, 1),
        endTime: day(n, minutes),
      },
    })),
  });
  if (checked !== "FAILED") return;
  const error = { kind: "USER", code: "EMPTY", message: `table ${n} has no rows` };
  await insertEvents(
    server,
    run,
    ["check", "root"].map((action) => ({
      ...{ action, attempt: 1, phase: "FAILED", occurredAt: day(n, minutes), error },
    })),
  );
}

beforeAll(async () => {
  [server, browser] = await Promise.all([TestServer.start(), launch()]);
  for (let n = 1; n <= 6; n += 1) {
    await nightly(n, n < 5 ? "v1" : "v2", n < 5 ? "SUCCEEDED" : "FAILED", n === 6 ? 40 : 10);
  }
});

afterAll(async () => {
  await browser.close();
  await server.stop();
});

const phasesOf = (page: Page, step: string): Promise<(string | null)[]> =>
  page
    .locator(`[data-step="${step}"] [data-column]`)
    .evaluateAll((cells) => cells.map((cell) => cell.getAttribute("data-phase")));

test("from a failed run: since when, is it new, how long, and all runs side by side", async () => {
  const opened: Opened = await open(browser, `${server.url}/runs/tests/development/nightly-6`);
  const { page } = opened;
  const others = page.getByRole("navigation", { name: "Other runs of this task" });
  await others.getByText("1 d 00 h before: failed after 10 m 00 s").waitFor();
  expect(await others.innerText()).toMatch(
    /Newest run\s+took 4\.0 × the usual 10 m 00 s, longer than 95 % of runs/,
  );
  const since = page.locator("[data-since]");
  expect(await since.innerText()).toMatch(
    /^Failing since nightly-5, .+: 2 failed runs of nightly in a row, after 4 successes · last success: nightly-4, .+ · version changed from v1 to v2 · new error since then$/,
  );
  await page.keyboard.press("[");
  await page.getByRole("heading", { name: "nightly-5" }).waitFor();
  await since.getByText("New failure, the first after 4 successes").waitFor();
  await page.keyboard.press("[");
  await page.getByRole("heading", { name: "nightly-4" }).waitFor();
  await others.getByText("1 d 00 h after: failed after 10 m 00 s").waitFor();
  await others.getByText("as long as usual (10 m 00 s)").waitFor();
  await page.keyboard.press("]");
  await page.getByRole("heading", { name: "nightly-5" }).waitFor();
  await others.getByRole("link", { name: "All runs side by side" }).click();
  await page.waitForURL(`**${PATH}`);
  await page.locator('[data-step="check"]').waitFor();
  expect(opened.problems).toEqual([]);
  await opened.close();
});

test("a task's page says what fails since when, and has each step of its last runs", async () => {
  const opened = await open(browser, `${server.url}${PATH}`);
  const { page } = opened;
  await page.locator('[data-step="check"]').waitFor();
  const [good, bad] = ["SUCCEEDED", "FAILED"];
  expect(await phasesOf(page, "root")).toEqual([good, good, good, good, bad, bad]);
  expect(await phasesOf(page, "part-*")).toEqual([good, good, good, good, good, good]);
  const steps = page.locator("[data-step]");
  expect(await steps.evaluateAll((rows) => rows.map((row) => row.getAttribute("data-step")))).toEqual([
    ...["root", "check", "load", "part-*", "report"],
  ]);
  expect(await page.locator("[data-since]").innerText()).toContain("Failing since nightly-5");
  const failing = page.locator('[data-failing="check"]');
  expect(await failing.innerText()).toBe(
    "check EMPTY: table 6 has no rows 2 times in a row, since nightly-5, version v1 → v2, new error",
  );
  await page.getByText("67 % (4 of 6)").waitFor();
  await page.getByText("p50 10 m 00 s, p95 10 m 00 s").waitFor();
  expect(await page.locator("[data-labels=Version]").innerText()).toMatch(/v1\s+v2/);
  expect(await findings(page)).toEqual([]);

  const details = page.locator("[data-details]");
  await page.locator('[data-step="part-*"] [data-column="2"] a').hover();
  await details.getByText("3 actions").waitFor();
  await page.locator('[data-run="nightly-6"] a').hover();
  await details.getByText("version v2").waitFor();
  expect(await details.innerText()).toContain("duration 40 m 00 s");

  // By keyboard: the newest run of the first row, a row down, a run back.
  await page.mouse.move(5, 5);
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowDown");
  await details.getByText("check in nightly-6").waitFor();
  await page.keyboard.press("ArrowLeft");
  await details.getByText("check in nightly-5").waitFor();
  const active = await page.getByRole("grid").getAttribute("aria-activedescendant");
  const cell = page.locator(`[id="${active}"] a`);
  expect(await cell.getAttribute("aria-label")).toBe("check in nightly-5: Failed");
  await page.keyboard.press("Enter");
  await page.waitForURL("**/runs/tests/development/nightly-5?action=check");
  await page.goBack();
  await page.getByLabel("Only actions that failed").check();
  await page.waitForURL((url) => url.searchParams.get("failed") === "true");
  await page.locator('[data-step="load"]').waitFor({ state: "detached" });
  expect(await steps.count()).toBe(2);
  await failing.getByRole("link", { name: "check" }).click();
  await page.waitForURL("**/runs/tests/development/nightly-6?action=check");
  expect(opened.problems).toEqual([]);
  await opened.close();
});

test("new runs and phases appear by themselves", async () => {
  const opened = await open(browser, `${server.url}${PATH}`);
  const { page } = opened;
  await page.locator('[data-run="nightly-6"]').waitFor();
  await nightly(7, "v2", null);
  await page.locator('[data-run="nightly-7"]').waitFor();
  const cell = page.locator('[data-step="report"] [data-column="6"]');
  for (const phase of ["RUNNING", "SUCCEEDED"]) {
    await setPhases(server, runId("nightly-7"), { report: phase });
    await page.locator(`[data-step="report"] [data-column="6"][data-phase=${phase}]`).waitFor();
  }
  expect(await cell.count()).toBe(1);
  expect(opened.problems).toEqual([]);
  await opened.close();
});

test("the table of tasks and the palette lead to it, also for runs without a task", async () => {
  await server.execute(CREATE, {
    input: [{ id: actionId(runId("scratch"), "root"), createdAt: day(1), functionName: "a/b" }],
  });
  const opened = await open(browser, `${server.url}/tasks?since=all`);
  const { page } = opened;
  await page.locator('[data-task="a/b"]').getByRole("link", { name: "a/b" }).click();
  await page.waitForURL("**/tasks/tests/development/a~1b?function=true");
  await page.locator('[data-run="scratch"]').waitFor();
  await page.keyboard.press("Control+k");
  await page.keyboard.type("nightly");
  await page.getByRole("dialog").getByText("nightly", { exact: true }).click();
  await page.locator('[data-step="check"]').waitFor();
  await page.goto(`${server.url}/tasks/tests/development/never`);
  await page.getByText("There are no runs of never").waitFor();
  expect(opened.problems).toEqual([]);
  await opened.close();
});
