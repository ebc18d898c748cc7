import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type Opened, launch, open } from "../support/browser";
import { createActions, runId, setPhases } from "../support/record";
import { TestServer } from "../support/server";

const RENEW = `mutation ($runs: [RunIdentifierInput!]!, $ttl: Int!) {
  renewLease(runs: $runs, executor: "worker-7", ttlSeconds: $ttl) { results { error { message } } }
}`;

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

afterEach(async () => {
  expect(opened.problems).toEqual([]);
  await opened.close();
});

/** A run with a lease of that many seconds, and its page. */
async function leased(name: string, ttl: number): Promise<Page> {
  const run = runId(name);
  await createActions(server, run, [
    { name: "root", phase: "RUNNING" },
    { name: "step", parent: "root", phase: "RUNNING" },
  ]);
  await server.execute(RENEW, { runs: [run], ttl });
  opened = await open(browser, `${server.url}/runs/tests/development/${name}?action=step`);
  return opened.page;
}

test("the header says who executes a run and when its lease ends", async () => {
  const page = await leased("held", 600);
  const lease = page.locator("main > header [data-lease=held]");
  await lease.getByText(/lease ends in \d+ m \d\d s/).waitFor();
  await page.locator("main > header").getByText("worker-7").waitFor();
  await setPhases(server, runId("held"), { step: "SUCCEEDED", root: "SUCCEEDED" });
  await lease.waitFor({ state: "detached" });
});

test("views show the runs of lost executors, and filters those of an executor or without reports", async () => {
  const page = await leased("gone", 1);
  const names = () =>
    page.locator("[data-run]").evaluateAll((rows) => rows.map((row) => row.getAttribute("data-run")));
  await page.locator("main > header [data-lost]").waitFor();
  await createActions(server, runId("broken"), [{ name: "root", phase: "FAILED" }]);
  await page.goto(`${server.url}/runs?executor=worker-7`);
  await expect.poll(names).toContain("gone");
  expect(await names()).not.toContain("broken");
  const chips = page.getByRole("group", { name: "Filter" });
  await chips.getByText("executor: worker-7").waitFor();
  await page.getByRole("button", { name: "Views" }).click();
  await page.getByRole("menuitem", { name: "Executor lost" }).click();
  await page.waitForURL((url) => url.searchParams.get("q") === "EXECUTOR_LOST");
  await expect.poll(async () => [...new Set(await names())].sort()).toEqual(["gone"]);
  await page.getByRole("button", { name: "Views" }).click();
  await page.getByRole("menuitem", { name: "No report for 1 h" }).click();
  await page.waitForURL((url) => url.search === "?silent=1h");
  await chips.getByText("no report for: 1h").waitFor();
  await page.getByText("No run matches").waitFor();
});

test("a lost executor is explained until it reports again", async () => {
  const page = await leased("lost", 1);
  const header = page.locator("main > header");
  await header.locator("[data-lost]").getByText("Executor lost.").waitFor();
  await header.getByText("EXECUTOR_LOST").first().waitFor();
  await page.getByTestId("action").locator("[data-lost]").waitFor();
  await server.execute(RENEW, { runs: [runId("lost")], ttl: 600 });
  await page.locator("[data-lost]").first().waitFor({ state: "detached" });
  await header.locator("[data-phase=RUNNING]").first().waitFor();
});

const ABORT = `mutation ($id: RunIdentifierInput!) { abortRun(input: {id: $id, reason: "too slow"}) { requested } }`;

test("an abort that the server confirmed for a lost executor says so, until the executor is back", async () => {
  const page = await leased("aborted", 2);
  await server.execute(ABORT, { id: runId("aborted") });
  const notice = page.locator("main > header [data-state=LOST]");
  await notice.getByText("Executor lost.").waitFor();
  await notice.getByText("too slow").waitFor();
  // There is nothing left to be aborted or tried again.
  expect(await page.getByRole("button", { name: /^(Abort|Try again)$/ }).count()).toBe(0);
  await server.execute(RENEW, { runs: [runId("aborted")], ttl: 600 });
  await page.locator("main > header [data-state=REQUESTED]").waitFor();
});
