import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type Opened, launch, open } from "../support/browser";
import { createActions, runId } from "../support/record";
import { TestServer } from "../support/server";

const folder = mkdtempSync(join(tmpdir(), "rungraph-trusted-"));
const store = { RUNGRAPH_DATABASE_URL: `sqlite:///${join(folder, "runs.db")}` };

let server: TestServer;
let executors: TestServer;
let browser: Browser;
let opened: Opened;

/** A server that executes only the page's documents, and one for executors on the same database. */
beforeAll(async () => {
  executors = await TestServer.start(store);
  [server, browser] = await Promise.all([
    TestServer.start({ ...store, RUNGRAPH_TRUSTED_DOCUMENTS: "page" }),
    launch(),
  ]);
  await createActions(executors, runId("nightly"), [
    { name: "root", phase: "RUNNING", labels: [{ key: "team", value: "data" }] },
    { name: "step", parent: "root", phase: "RUNNING" },
  ]);
});

afterAll(async () => {
  await browser.close();
  await server.stop();
  await executors.stop();
  rmSync(folder, { recursive: true, force: true });
});

afterEach(async () => {
  expect(opened.problems).toEqual([]);
  await opened.close();
});

test("the page works on a server that executes trusted documents only", async () => {
  opened = await open(browser, `${server.url}/runs`);
  const { page } = opened;
  await page.locator("[data-run]").first().waitFor();
  await page.getByText("nightly").first().click();
  await page.locator('[data-action="step"]').first().waitFor();

  await page.goto(`${server.url}/runs/tests/development/nightly?action=step`);
  await page.getByTestId("action").getByText("step").first().waitFor();
  await page.goto(`${server.url}/runs/tests/development/nightly?view=timeline`);
  await page.getByText("step").first().waitFor();
  await page.goto(`${server.url}/tasks`);
  await page.locator("[data-task]").first().waitFor();

  await page.goto(`${server.url}/runs/tests/development/nightly`);
  await page.getByRole("button", { name: "Abort", exact: true }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Abort", exact: true }).click();
  await page.locator("header [data-phase=ABORTED]").first().waitFor();
  await page.goto(`${server.url}/aborts`);
  await page.getByText("nightly").first().waitFor();
});

test("such a server executes no other document", async () => {
  opened = await open(browser, `${server.url}/runs`);
  await opened.page.locator("[data-run]").first().waitFor();
  await expect(server.execute("{ runs { totalCount } }")).rejects.toThrow("QUERY_NOT_IN_SAFELIST");
  await expect(executors.execute("{ runs { totalCount } }")).resolves.toEqual({ runs: { totalCount: 1 } });
});
