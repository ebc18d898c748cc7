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
