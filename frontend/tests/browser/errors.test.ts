import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type Opened, launch, open } from "../support/browser";
import { actionId, createActions, insertEvents, runId, setPhases } from "../support/record";
import { TestServer, until } from "../support/server";

const ERROR_LINE = "pyarrow.lib.ArrowInvalid: Casting from timestamp[ns] to timestamp[us] would lose data";
const FRAME = `  File "/opt/venv/lib/python3.11/site-packages/pyarrow/parquet/core.py", line 1, in read
    return self._dataset.to_table(columns=columns, filter=self._filter_expression, use_threads=use_threads)
`;
const TRACEBACK = `Traceback (most recent call last):\n${FRAME.repeat(60)}${ERROR_LINE}`;

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

const show = async (path: string): Promise<Page> => {
  opened = await open(browser, `${server.url}${path}`, {
    permissions: ["clipboard-read", "clipboard-write"],
  });
  return opened.page;
};

/** Counts the bytes that the page receives from now on. */
function received(page: Page): () => Promise<number> {
  let bytes = 0;
  page.on("websocket", (socket) => {
    socket.on("framereceived", ({ payload }) => {
      bytes += payload.length;
    });
  });
  const bodies: Promise<void>[] = [];
  page.on("response", (response) => {
    if (!response.url().endsWith("/graphql")) return;
    const body = response.body().then(
      ({ length }) => {
        bytes += length;
      },
      () => undefined,
    );
    bodies.push(body);
  });
  return async () => {
    await Promise.all(bodies);
    return bytes;
  };
}

test("shows the most informative line of a traceback everywhere, and the whole on demand", async () => {
  const run = runId("failing");
  await createActions(server, run, [
    { name: "root", phase: "RUNNING" },
    { name: "load", parent: "root", phase: "RUNNING" },
  ]);
  const error = { kind: "USER", code: "ArrowInvalid", message: TRACEBACK };
  const at = (second: number): string => `2026-01-01T12:00:${String(second).padStart(2, "0")}Z`;
  await insertEvents(server, run, [
    { action: "load", attempt: 1, phase: "FAILED", occurredAt: at(5), error },
    { action: "load", attempt: 2, phase: "RUNNING", occurredAt: at(8) },
    {
      action: "load",
      attempt: 2,
      phase: "FAILED",
      occurredAt: at(9),
      error,
      clusterEvents: [{ occurredAt: at(9), message: "first line\nsecond line", reason: "OOMKilled" }],
    },
    { action: "root", attempt: 1, phase: "FAILED", occurredAt: at(9), error },
  ]);
  await setPhases(server, run, { load: "FAILED" }, 2);
  await setPhases(server, run, { root: "FAILED" });

  const page = await show("/runs?project=tests");
  await page.locator('[data-run="failing"]').getByText(`ArrowInvalid: ${ERROR_LINE}`).waitFor();
  await page.goto(`${server.url}/runs/tests/development/failing?action=load`);
  await page.locator('[data-action="load"]').getByText(`ArrowInvalid: ${ERROR_LINE}`).waitFor();
  const header = page.getByRole("group", { name: "What went wrong" });
  const panel = page.getByTestId("action");
  for (const box of [header, panel.getByRole("group", { name: "Error", exact: true })]) {
    await box.getByText("ArrowInvalid (user error)").waitFor();
    const line = box.locator("p", { hasText: ERROR_LINE });
    expect(Number.parseFloat(await line.evaluate((e) => getComputedStyle(e).fontSize))).toBeGreaterThan(14);
    await box.getByRole("button", { name: "Copy error message" }).click();
    await page.getByText("Copied the error message").waitFor();
    await until("the whole message to be copied", async () =>
      page.evaluate(async (text) => (await navigator.clipboard.readText()) === text, TRACEBACK),
    );
    await box.getByText("Whole message (122 lines)").click();
    const shown = await box.locator("pre").boundingBox();
    expect(shown?.height).toBeGreaterThan(400);
    await box.getByText("Whole message (122 lines)").click();
  }
  const lines = (text: string) =>
    panel.getByText(text).evaluate((element) => {
      const range = document.createRange();
      range.selectNodeContents(element);
      return new Set([...range.getClientRects()].map(({ top }) => Math.round(top))).size;
    });
  expect(await lines("second line")).toBeGreaterThan(1);
  await panel.getByRole("tab", { name: "Events" }).click();
  await panel.getByText(`ArrowInvalid: ${ERROR_LINE}`).first().waitFor();
  expect(await lines("second line")).toBeGreaterThan(1);
});

test("a list of failed runs does not load their tracebacks", async () => {
  const message = `Traceback (most recent call last):\n${FRAME.repeat(1_000)}ValueError: enough`;
  for (let n = 0; n < 5; n += 1) {
    const run = runId(`large-${n}`, "large");
    await createActions(server, run, [{ name: "root", phase: "RUNNING" }]);
    await insertEvents(server, run, [
      {
        action: "root",
        attempt: 1,
        phase: "FAILED",
        occurredAt: "2026-01-01T12:00:00Z",
        error: { kind: "USER", message },
      },
    ]);
    await setPhases(server, run, { root: "FAILED" });
  }
  const page = await show("/tasks");
  const bytes = received(page);
  await page.goto(`${server.url}/runs?project=large`);
  await page.locator('[data-run="large-0"]').getByText("ValueError: enough").waitFor();
  expect(await bytes()).toBeLessThan(message.length / 4);
});

test("a new event does not reload the spec, attempts and events of its action", async () => {
  const run = runId("wide");
  const spec = { values: Array.from({ length: 20_000 }, (_, n) => `value-${n}`) };
  const size = JSON.stringify(spec).length;
  await createActions(server, run, [
    { name: "root", phase: "RUNNING" },
    { name: "step", parent: "root", phase: "RUNNING", spec },
  ]);
  const page = await show("/tasks");
  const bytes = received(page);
  await page.goto(`${server.url}/runs/tests/development/wide?action=step`);
  const panel = page.getByTestId("action");
  await panel.getByRole("tab", { name: "Spec" }).click();
  await panel.getByText("value-7", { exact: true }).waitFor();
  for (let n = 0; n < 20; n += 1) {
    await insertEvents(server, run, [
      {
        action: "step",
        attempt: 1,
        phase: "RUNNING",
        version: n,
        occurredAt: `2026-01-01T12:00:${String(n).padStart(2, "0")}Z`,
        info: { text: "x".repeat(1_000) },
      },
    ]);
  }
  await setPhases(server, run, { step: "SUCCEEDED" });
  await panel.locator('[data-phase="SUCCEEDED"]').first().waitFor();
  expect(await bytes()).toBeLessThan(size * 1.5);
  // Changes received meanwhile are shown at once, and later ones too.
  await panel.getByRole("tab", { name: "Events" }).click();
  await panel.getByText("version 19").waitFor();
  await insertEvents(server, run, [
    { action: "step", attempt: 1, phase: "RUNNING", version: 20, occurredAt: "2026-01-01T12:01:00Z" },
  ]);
  await panel.getByText("version 20").waitFor();
  await server.execute(
    `mutation ($id: ActionIdentifierInput!) { updateActionState(id: $id, state: "at 17") { action { id } } }`,
    { id: actionId(run, "step") },
  );
  await panel.getByRole("tab", { name: "State" }).click();
  await panel.getByText("at 17").waitFor();
});
