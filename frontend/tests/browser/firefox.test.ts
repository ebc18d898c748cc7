import { afterAll, beforeAll, expect, test } from "vitest";
import { Firefox } from "../support/firefox";
import { createActions, runId, setPhases } from "../support/record";
import { TestServer } from "../support/server";

let server: TestServer;
let firefox: Firefox;

beforeAll(async () => {
  [server, firefox] = await Promise.all([TestServer.start(), Firefox.launch()]);
  await createActions(server, runId("nightly"), [
    { name: "root", phase: "RUNNING" },
    { name: "step", parent: "root", phase: "RUNNING" },
  ]);
});

afterAll(async () => {
  await firefox.close();
  await server.stop();
});

test("the page works in Firefox: list, run, panel, timeline, live updates and the dialog of an abort", async () => {
  await firefox.goto(`${server.url}/runs`);
  await firefox.see('[data-run="nightly"][data-phase=RUNNING]');
  await firefox.click("[data-run] a", "nightly");
  await firefox.click('[data-action="step"]');
  await firefox.see("[data-testid=action] h2", "step");
  await firefox.click("[role=tab]", "Details");
  await firefox.see("[role=tabpanel]", "Type");

  await firefox.click("[data-testid=tree] [role=columnheader]", "Phase");
  await firefox.press("t");
  await firefox.see("[data-axis]");
  expect(await firefox.evaluate("location.search")).toContain("view=timeline");
  await setPhases(server, runId("nightly"), { step: "SUCCEEDED" });
  await firefox.see("[data-testid=action] [data-phase=SUCCEEDED]");

  await firefox.click("header button", "Abort");
  await firefox.see("[role=dialog]", "Abort");
  await firefox.click(
    "[role=dialog] button[type=submit], [role=dialog] button[data-variant=filled]",
    "Abort",
  );
  await firefox.see("header [data-phase=ABORTED]");
  expect(firefox.problems).toEqual([]);
});
