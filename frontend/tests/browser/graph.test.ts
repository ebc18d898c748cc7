import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type Opened, launch, open } from "../support/browser";
import { createActions, runId, setPhases } from "../support/record";
import { TestServer, until } from "../support/server";

/** The graph of a run's actions. */
let server: TestServer;
let browser: Browser;
let opened: Opened;

const RUN = runId("drawn");
const PATH = "/runs/tests/development/drawn?view=graph";

beforeAll(async () => {
  [server, browser] = await Promise.all([TestServer.start(), launch()]);
  const parts = Array.from({ length: 20 }, (_, n) => `part-${n}`);
  await createActions(server, RUN, [
    { name: "root", phase: "RUNNING" },
    { name: "load", parent: "root", phase: "SUCCEEDED" },
    ...parts.map((name) => ({ name, parent: "root", group: "parts", dependencies: ["load"] })),
    { name: "merge", parent: "root", dependencies: parts, phase: "QUEUED" },
    { name: "publish", parent: "root", dependencies: ["merge", "approval"], phase: "QUEUED" },
  ]);
});

afterAll(async () => {
  await browser.close();
  await server.stop();
});

afterEach(async () => {
  expect(opened.problems).toEqual([]);
  await opened.close();
});

async function show(path: string): Promise<Page> {
  opened = await open(browser, `${server.url}${path}`);
  await opened.page.locator("[data-testid=graph][data-synced=true]").waitFor();
  return opened.page;
}

const node = (page: Page, name: string) =>
  page.locator("[data-node]").filter({ has: page.locator(`bdi[title="${name}"]`) });
const main = (page: Page, name: string) => node(page, name).locator("> button").first();
const labelOf = (page: Page, name: string) => main(page, name).getAttribute("aria-label");
const focused = (page: Page): Promise<string> =>
  page.evaluate(() => document.activeElement?.querySelector("bdi")?.title ?? "");

test("a run is drawn from its dependencies, folded, live, and with what is not reported yet", async () => {
  const page = await show(PATH);
  await page.getByText("3 of 24 actions are drawn one by one, the others are folded in 1 node.").waitFor();
  expect(await page.locator("[data-node]").count()).toBe(5);
  expect(await page.locator("[data-edge]").count()).toBe(4);
  expect(await labelOf(page, "publish")).toBe("publish, Queued. Depends on merge, approval.");
  expect(await labelOf(page, "parts")).toContain("20 actions: 20 queued. Depends on load. Needed by merge.");
  expect(await labelOf(page, "approval")).toContain("not reported yet");
  await setPhases(server, RUN, { "part-3": "FAILED", merge: "RUNNING" });
  await until("the phases to arrive", async () => {
    const [parts, merge] = await Promise.all(["parts", "merge"].map((name) => labelOf(page, name)));
    return !!parts?.includes("1 failed, 19 queued") && !!merge?.includes("Running");
  });
  await node(page, "parts").getByRole("button", { name: "Expand parts" }).click();
  await node(page, "part-19").waitFor();
  expect(await page.locator("[data-node]").count()).toBe(25);
  await page.getByRole("button", { name: "Collapse all" }).click();
  await node(page, "part-19").waitFor({ state: "detached" });
});

test("the choice is shared with the panel, the address and the tree; Back goes one step", async () => {
  opened = await open(browser, `${server.url}/runs/tests/development/drawn`);
  const { page } = opened;
  await page.locator("[data-action=merge]").waitFor();
  await page.keyboard.press("e");
  await main(page, "merge").click();
  await page.getByTestId("action").getByRole("heading", { name: "merge" }).waitFor();
  expect(page.url()).toContain("view=graph&action=merge");
  expect(await main(page, "merge").getAttribute("aria-current")).toBe("true");
  await page.keyboard.press("e");
  await page.locator('[data-action="merge"][aria-selected=true]').waitFor();
  await page.goBack();
  await page.goBack();
  await page.getByTestId("action").waitFor({ state: "detached" });
  await node(page, "merge").waitFor();
  // A link opens what the action is folded in.
  await page.goto(`${server.url}${PATH}&action=part-7`);
  await until(
    "it to be chosen",
    async () => (await main(page, "part-7").getAttribute("aria-current")) === "true",
  );
});

test("arrow keys walk along the edges, and Enter opens", async () => {
  const page = await show(`${PATH}&action=load`);
  await page.getByRole("button", { name: "Fit" }).focus();
  await page.keyboard.press("ArrowRight");
  expect(await focused(page)).toBe("load");
  const path: string[] = [];
  for (const key of ["ArrowRight", "ArrowRight", "ArrowRight", "ArrowLeft"]) {
    await page.keyboard.press(key);
    path.push(await focused(page));
  }
  expect(path.slice(0, 3)).toEqual(["parts", "merge", "publish"]);
  expect(["merge", "approval"]).toContain(path[3]);
  while ((await focused(page)) !== "parts") await page.keyboard.press("ArrowLeft");
  await page.keyboard.press("o");
  await node(page, "part-0").waitFor();
  // Keys follow the new layout once it is rendered, which is just after its nodes appear.
  await until("the focus to be inside", async () => {
    await page.keyboard.press("ArrowDown");
    return /^part-/.test(await focused(page));
  });
  const name = await focused(page);
  await page.keyboard.press("Enter");
  await page.getByTestId("action").getByRole("heading", { name }).waitFor();
});

test("search and phases dim what does not match; the critical path is marked", async () => {
  const page = await show(PATH);
  await page.keyboard.press("/");
  await page.keyboard.type("part-1");
  await page.getByText("11 actions match.").waitFor();
  expect(await page.locator("[data-dimmed]").count()).toBe(4);
  expect(await labelOf(page, "parts")).toContain("11 match");
  await page.getByRole("searchbox", { name: "Search the actions" }).fill("");
  await page.locator("[data-dimmed]").first().waitFor({ state: "detached" });
  await page.getByRole("button", { name: "Critical path" }).click();
  await page.locator("[data-critical]").first().waitFor();
  expect(await labelOf(page, "load")).toContain("on the critical path");
});

test("the wheel, dragging and keys move the graph, also on a phone", async () => {
  const page = await show(PATH);
  await page.setViewportSize({ width: 390, height: 844 });
  const content = page.locator("[data-scale]");
  const scale = async (): Promise<number> => Number(await content.getAttribute("data-scale"));
  const where = () => node(page, "load").boundingBox();
  const frame = await page.getByTestId("graph").boundingBox();
  expect(frame?.width).toBe(390);
  const before = await scale();
  await page.mouse.move(200, (frame?.y ?? 0) + 100);
  await page.mouse.wheel(0, -200);
  await until("it to be larger", async () => (await scale()) > before * 1.3);
  const from = await where();
  await page.mouse.down();
  await page.mouse.move(260, (frame?.y ?? 0) + 140, { steps: 4 });
  await page.mouse.up();
  const to = await where();
  expect((to?.x ?? 0) - (from?.x ?? 0)).toBeCloseTo(60, 0);
  expect((to?.y ?? 0) - (from?.y ?? 0)).toBeCloseTo(40, 0);
  await page.keyboard.press("0");
  const all = await where();
  expect(all?.x).toBeGreaterThanOrEqual(0);
  const last = await node(page, "publish").boundingBox();
  expect((last?.x ?? 0) + (last?.width ?? 0)).toBeLessThanOrEqual(390);
});
