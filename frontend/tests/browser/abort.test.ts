import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type Opened, isSamePage, launch, mark, open } from "../support/browser";
import { actionId, createActions, createRun, runId, setPhases } from "../support/record";
import { TestServer } from "../support/server";

const MARK = `mutation ($id: ActionIdentifierInput!, $error: String) {
  markAbortAttempt(id: $id, error: $error) { attemptCount } }`;
const CLEAR = `mutation ($id: ActionIdentifierInput!) { clearAbortRequest(id: $id) { action { id } } }`;

let server: TestServer;
let browser: Browser;
let opened: Opened;

beforeAll(async () => {
  [server, browser] = await Promise.all([TestServer.start({ RUNGRAPH_ABORT_ATTEMPTS: "1" }), launch()]);
});

afterAll(async () => {
  await browser.close();
  await server.stop();
});

afterEach(async () => {
  expect(opened.problems).toEqual([]);
  await opened.close();
});

test("aborts a run from its page and shows the progress until confirmed", async () => {
  const run = runId("to-stop");
  await createRun(server, run);
  opened = await open(browser, `${server.url}/runs/tests/development/to-stop`);
  const { page } = opened;
  await mark(page);
  await page.getByRole("button", { name: "Abort", exact: true }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Reason").fill("wrong table");
  await dialog.getByRole("button", { name: "Abort", exact: true }).click();
  await page.getByText("the executor has not been notified yet").waitFor();
  await page.getByText("“wrong table”").waitFor();
  await page.locator("header [data-phase=ABORTED]").first().waitFor();

  await server.execute(MARK, { id: actionId(run, "root"), error: "connection refused" });
  await page.getByText("was notified once and has not confirmed").waitFor();
  await page.getByText("Last error: connection refused").waitFor();
  await server.execute(CLEAR, { id: actionId(run, "root") });
  await page.getByText("the executor confirmed that the work has stopped").waitFor();
  // Without authentication there is no requester.
  expect(await page.getByRole("button", { name: /^Signed in as/ }).count()).toBe(0);
  expect(await page.getByRole("button", { name: "Abort", exact: true }).count()).toBe(0);
  expect(await isSamePage(page)).toBe(true);
});

test("aborts an action from its panel", async () => {
  const run = runId("half");
  await createActions(server, run, [
    { name: "root", phase: "RUNNING" },
    { name: "step", parent: "root", phase: "RUNNING" },
  ]);
  opened = await open(browser, `${server.url}/runs/tests/development/half?action=step`);
  const { page } = opened;
  const panel = page.getByTestId("action");
  await panel.getByRole("button", { name: "Abort" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Abort" }).click();
  await panel.getByText("Abort requested").waitFor();
  await page.locator('[data-action="step"]').getByText("abort unconfirmed").waitFor();
  await page.locator('[data-action="root"] [data-phase=RUNNING]').first().waitFor();
});

test("a cancelled dialog aborts nothing", async () => {
  const run = runId("kept");
  await createRun(server, run);
  opened = await open(browser, `${server.url}/runs/tests/development/kept`);
  const { page } = opened;
  await page.getByRole("button", { name: "Abort", exact: true }).click();
  await page.getByRole("button", { name: "Keep running" }).click();
  await page.getByRole("dialog").waitFor({ state: "detached" });
  const { run: found } = await server.execute<{ run: { abort: unknown } }>(
    "query ($id: RunIdentifierInput!) { run(id: $id) { abort { state } } }",
    { id: run },
  );
  expect(found.abort).toBeNull();
});

test("counts the matching runs, then aborts the unfinished ones", async () => {
  for (const n of [1, 2, 3]) await createRun(server, runId(`batch-${n}`, "many"));
  await setPhases(server, runId("batch-1", "many"), { root: "SUCCEEDED" });
  opened = await open(browser, `${server.url}/runs?project=many`);
  const { page } = opened;
  await page.locator("[data-run]").first().waitFor();
  await page.getByRole("button", { name: "More about these runs" }).click();
  await page.getByRole("menuitem", { name: "Abort all that match…" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByText("2 runs").first().waitFor();
  await dialog.getByLabel("Reason").fill("maintenance");
  await dialog.getByRole("button", { name: "Abort 2 runs" }).click();
  await page.getByText("Abort of 2 runs requested").waitFor();
  const progress = page.getByRole("dialog").getByRole("status");
  await progress.getByText("0 of 2").waitFor();
  await progress.getByText("2 may still be running").waitFor();
  await server.execute(CLEAR, { id: actionId(runId("batch-3", "many"), "root") });
  await progress.getByText("1 of 2").waitFor();
  await page.getByRole("button", { name: "Close", exact: true }).last().click();
  await page.locator('[data-run="batch-2"]').getByText("abort unconfirmed").waitFor();
  await page.locator('[data-run="batch-3"][data-phase=ABORTED]').waitFor();
  await page.locator('[data-run="batch-1"][data-phase=SUCCEEDED]').waitFor();

  await page.getByRole("link", { name: "Aborts" }).click();
  await page.getByRole("link", { name: "batch-2" }).waitFor();
  await page.getByText("maintenance").first().waitFor();
  await server.execute(CLEAR, { id: actionId(runId("batch-2", "many"), "root") });
  await page.getByRole("link", { name: "batch-2" }).waitFor({ state: "detached" });
});

test("without a filter, aborts all runs after an extra confirmation", async () => {
  await createRun(server, runId("any", "whatever"));
  opened = await open(browser, `${server.url}/runs`);
  const { page } = opened;
  await page.locator('[data-run="any"]').waitFor();
  await page.getByRole("button", { name: "More about these runs" }).click();
  await page.getByRole("menuitem", { name: "Abort all that match…" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("button", { name: /^Abort \d+ runs?$/ }).click();
  await page.getByText(/^Abort of \d+ runs? requested$/).waitFor();
  await page.getByRole("button", { name: "Close", exact: true }).last().click();
  await page.locator('[data-run="any"][data-phase=ABORTED]').waitFor();
});

test("a failed abort is shown as failed and can be retried", async () => {
  const run = runId("stubborn", "deaf");
  await createRun(server, run);
  // An executor that is notified and never confirms.
  const leave = await server.watchAborts("deaf");
  opened = await open(browser, `${server.url}/runs/deaf/development/stubborn`);
  const { page } = opened;
  await page.getByRole("button", { name: "Abort", exact: true }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Abort", exact: true }).click();
  await page.getByText("Abort failed after 1 attempt").waitFor();
  await leave();
  await page.getByRole("button", { name: "Try again" }).click();
  await page.getByText("Abort requested again").waitFor();
  await page.getByText("the executor has not been notified yet").waitFor();
});
