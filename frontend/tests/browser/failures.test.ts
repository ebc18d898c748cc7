import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Opened, launch, open } from "../support/browser";
import { actionId, insertEvents, runId, setPhases } from "../support/record";
import { TestServer } from "../support/server";

const CREATE = "mutation ($input: [CreateActionInput!]!) { createActions(input: $input) { created } }";
const HISTORY = [
  ["nightly-1", "v1", "SUCCEEDED"],
  ["nightly-2", "v2", "FAILED"],
  ["nightly-3", "v2", "FAILED"],
] as const;

let server: TestServer;
let browser: Browser;
let opened: Opened;

/** Ends actions of a run with an error. */
async function fail(run: string, errors: Record<string, { code: string; message: string }>): Promise<void> {
  const [id, occurredAt] = [runId(run), "2026-01-09T00:01:00Z"];
  const events = Object.entries(errors).map(([action, error]) => ({
    ...{ action, attempt: 1, phase: "FAILED", occurredAt },
    error: { kind: "USER", ...error },
  }));
  await insertEvents(server, id, events);
  await setPhases(server, id, Object.fromEntries(Object.keys(errors).map((name) => [name, "FAILED"])));
}

beforeAll(async () => {
  [server, browser] = await Promise.all([TestServer.start(), launch()]);
  for (const [at, [name, version, phase]] of HISTORY.entries()) {
    const createdAt = `2026-01-0${at + 1}T00:00:00Z`;
    const task = { project: "tests", domain: "development", name: "nightly", version };
    const id = (action: string) => actionId(runId(name), action);
    await server.execute(CREATE, {
      input: [
        { id: id("root"), task, createdAt, phase: phase === "FAILED" ? "RUNNING" : phase },
        ...[1, 2, 3, 4].map((n) => ({
          ...{ id: id(`trial-${n}`), parentName: "root", createdAt, phase: "RUNNING" },
        })),
      ],
    });
    if (phase !== "FAILED") continue;
    await fail(name, {
      "trial-1": { code: "OOM", message: "needs 17 MiB" },
      "trial-2": { code: "OOM", message: "needs 4096 MiB" },
      "trial-3": { code: "NAN", message: "loss is not a number" },
      root: { code: "TRIALS", message: `3 trials failed` },
    });
  }
});

afterAll(async () => {
  await browser.close();
  await server.stop();
});

test("a failed run says what failed and since when, and one key opens the first failure", async () => {
  opened = await open(browser, `${server.url}/runs/tests/development/nightly-3`);
  const { page } = opened;
  const failures = page.getByRole("region", { name: "Failures" });
  const since = failures.locator("[data-since]");
  await since.getByText("Failing since").waitFor();
  expect(await since.innerText()).toMatch(
    /^Failing since nightly-2, .+: 2 failed runs of nightly in a row · last success: nightly-1, .+ · version changed from v1 to v2 · new error since then$/,
  );
  const groups = failures.getByRole("listitem");
  await groups.nth(1).waitFor();
  expect((await groups.allInnerTexts()).map((text) => text.replace(/\s+/g, " "))).toEqual([
    expect.stringMatching(/^2 actions OOM: needs \d+ MiB first: trial-[12]$/),
    "1 action NAN: loss is not a number trial-3",
  ]);
  await failures.getByRole("button", { name: "trial-3" }).click();
  await page.getByTestId("action").getByText("loss is not a number").first().waitFor();
  await page.keyboard.press("Escape");
  await page.keyboard.press("f");
  await page.getByTestId("action").getByText("OOM").first().waitFor();
  await since.getByRole("link", { name: "nightly-2" }).click();
  await since.getByText("New failure").waitFor();
  expect(opened.problems).toEqual([]);
  await opened.close();
});

test("a run that did not fail has no such part", async () => {
  opened = await open(browser, `${server.url}/runs/tests/development/nightly-1`);
  await opened.page.locator("[data-action=trial-4]").waitFor();
  expect(await opened.page.getByRole("region", { name: "Failures" }).count()).toBe(0);
  await opened.close();
});
