import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type Opened, launch, open } from "../support/browser";
import { createActions, runId, setPhases } from "../support/record";
import { TestServer, until } from "../support/server";

let server: TestServer;
let browser: Browser;
let opened: Opened;

beforeAll(async () => {
  [server, browser] = await Promise.all([TestServer.start(), launch()]);
  await createActions(server, runId("nightly"), [
    { name: "root", phase: "RUNNING" },
    { name: "load", parent: "root", phase: "RUNNING" },
    { name: "train", parent: "root", phase: "RUNNING", dependencies: ["load"] },
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

async function show(query = "", options = {}): Promise<Page> {
  opened = await open(browser, `${server.url}/runs/tests/development/nightly${query}`, options);
  await opened.page.locator('[data-action="load"]').waitFor();
  return opened.page;
}

const queryOf = (page: Page): string => new URL(page.url()).search;

test("tab, critical path and zoom are in the address, and Back undoes one at a time", async () => {
  const page = await show();
  await page.locator('[data-action="load"]').click();
  await page.getByRole("tab", { name: "Details" }).click();
  await page.getByRole("tab", { name: "Spec" }).click();
  expect(queryOf(page)).toBe("?action=load&tab=spec");
  await page.getByText("Timeline", { exact: true }).click();
  await page.getByRole("button", { name: "Critical path" }).click();
  await until("the critical path", () => queryOf(page).includes("critical=true"));
  for (let step = 0; step < 3; step++) await page.getByRole("button", { name: "Zoom in" }).click();
  await until("the zoom", () => /zoom=\d+-\d+/.test(queryOf(page)));
  const shared = queryOf(page);
  const ticks = await page.locator("[data-axis]").innerText();

  await page.goBack();
  await until("the whole timeline", () => !queryOf(page).includes("zoom"));
  expect(await page.getByRole("button", { name: "Fit" }).isDisabled()).toBe(true);
  await page.goBack();
  await until("no critical path", () => !queryOf(page).includes("critical"));
  await page.goBack();
  await until("the tree", () => queryOf(page) === "?action=load&tab=spec");
  await page.goBack();
  await page.getByRole("tab", { name: "Details", selected: true }).waitFor();
  await page.goBack();
  await page.goBack();
  await page.getByTestId("action").waitFor({ state: "hidden" });

  await opened.close();
  const other = await show(shared);
  await other.getByRole("tab", { name: "Spec", selected: true }).waitFor();
  await other.getByRole("button", { name: /Critical path \(\d\)/, pressed: true }).waitFor();
  expect(await other.getByRole("button", { name: "Fit" }).isDisabled()).toBe(false);
  expect(queryOf(other)).toBe(shared);
  expect(await other.locator("[data-axis]").innerText()).toBe(ticks);
});

test("the panel is resized by pointer and keyboard, and keeps its width", async () => {
  const page = await show("?action=load");
  const separator = page.getByRole("separator", { name: "Width of the panel" });
  const width = (): Promise<number> =>
    separator.evaluate((element) => element.parentElement?.clientWidth ?? 0);
  const usual = await width();
  const box = await separator.boundingBox();
  if (!box) throw new Error("the separator is not shown");
  await page.mouse.move(box.x + 4, 600);
  await page.mouse.down();
  await page.mouse.move(box.x - 96, 600, { steps: 3 });
  await page.mouse.up();
  await until("a wider panel", async () => Math.abs((await width()) - usual - 100) < 8);
  const wide = await width();
  await separator.press("ArrowRight");
  await until("a narrower panel", async () => Math.abs((await width()) - wide + 24) < 3);
  await separator.press("Home");
  await until("the narrowest panel", async () => (await width()) < 330);
  expect(await separator.getAttribute("aria-valuenow")).toBe("320");
  await page.reload();
  await until("the same panel", async () => (await width()) < 330);
  await separator.press("End");
  await until("the widest panel", async () => (await width()) > 1_100);
  // The actions keep their room in a smaller window, and on a phone the panel covers them.
  await page.setViewportSize({ width: 1024, height: 700 });
  await until("room for the actions", async () => (await width()) <= 724);
  await page.setViewportSize({ width: 390, height: 844 });
  await separator.waitFor({ state: "hidden" });
  expect(await page.getByTestId("action").evaluate((element) => element.clientWidth)).toBe(390);
  await page.setViewportSize({ width: 1440, height: 900 });
  await separator.dblclick();
  await until("the usual panel", async () => (await width()) === usual);
});

test("the tab shows the phase of the run, and a notification its end", async () => {
  const page = await show("", { permissions: ["notifications"] });
  const icon = (): Promise<string> =>
    page.locator("link[rel=icon]").evaluate((link) => (link as HTMLLinkElement).href);
  await until("the title", async () => (await page.title()) === "● nightly · Running · Rungraph");
  expect(decodeURIComponent(await icon())).toContain("●");
  await page.evaluate(() => {
    const shown: string[] = [];
    class Recorded {
      static requestPermission = (): Promise<string> => Promise.resolve("granted");
      close = (): void => undefined;
      constructor(title: string) {
        shown.push(title);
      }
    }
    Object.assign(window, { Notification: Recorded, shown });
  });
  await page.getByRole("button", { name: "Notify at the end" }).click();
  await page.getByRole("button", { name: "Notifying at the end", pressed: true }).waitFor();
  await setPhases(server, runId("nightly"), { root: "FAILED" });
  await until("the end", async () => (await page.title()) === "✕ nightly · Failed · Rungraph");
  expect(decodeURIComponent(await icon())).toContain("✕");
  await expect
    .poll(() => page.evaluate(() => (window as unknown as { shown: string[] }).shown))
    .toEqual(["nightly: failed"]);
  expect(await page.getByRole("button", { name: /Notify/ }).count()).toBe(0);
  await page.getByRole("link", { name: "Runs", exact: true }).click();
  await until("the usual icon", async () => (await icon()).endsWith("favicon.svg"));
});
