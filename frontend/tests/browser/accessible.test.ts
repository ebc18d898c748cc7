import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type Opened, launch, open } from "../support/browser";
import { recordEverything } from "../support/everything";
import { TestServer } from "../support/server";

const TREE = "/runs/tests/development/everything";

let server: TestServer;
let browser: Browser;
let opened: Opened;

beforeAll(async () => {
  [server, browser] = await Promise.all([TestServer.start({ RUNGRAPH_ABORT_ATTEMPTS: "3" }), launch()]);
  await recordEverything(server);
});

afterAll(async () => {
  await browser.close();
  await server.stop();
});

afterEach(async () => {
  expect(opened.problems).toEqual([]);
  await opened.close();
});

const show = async (path: string, options = {}): Promise<Page> => {
  opened = await open(browser, `${server.url}${path}`, options);
  await opened.page.locator("[data-run], [data-action]").first().waitFor();
  return opened.page;
};

/** The row announced by a screen reader: the active descendant of the focused table or tree. */
const announced = (page: Page) =>
  page.evaluate(() => {
    const focused = document.activeElement;
    const row = document.getElementById(focused?.getAttribute("aria-activedescendant") ?? "");
    return focused?.contains(row)
      ? [focused.getAttribute("role"), row?.dataset.run ?? row?.dataset.action ?? row?.dataset.group]
      : null;
  });

test("a screen reader follows the keyboard cursor", async () => {
  const page = await show("/runs?project=tests");
  await page.keyboard.press("j");
  const first = await page.locator("[data-run][aria-selected=true]").getAttribute("data-run");
  await expect.poll(() => announced(page)).toEqual(["grid", first]);
  await page.keyboard.press("j");
  const second = await page.locator("[data-run][aria-selected=true]").getAttribute("data-run");
  expect(second).not.toBe(first);
  await expect.poll(() => announced(page)).toEqual(["grid", second]);

  await page.goto(`${server.url}${TREE}`);
  await page.locator("[data-action=step]").waitFor();
  for (const [key, name] of [
    ["j", "root"],
    ["ArrowDown", "after"],
    ["j", "step"],
    ["k", "after"],
    ["ArrowUp", "root"],
  ] as const) {
    await page.keyboard.press(key);
    await expect.poll(() => announced(page), { message: key }).toEqual(["treegrid", name]);
  }
});

test.each([
  ["beside an action at 1024 pixels", { width: 1024, height: 768 }, "?action=step"],
  ["enlarged to 200 %", { width: 720, height: 450 }, ""],
  ["enlarged to 200 % on a small window", { width: 512, height: 384 }, ""],
])("the tree with errors is usable %s", async (_, viewport, query) => {
  const page = await show(`${TREE}${query}`, { viewport });
  const message = page.locator("[data-action=step]").getByText("E_ROW: ValueError");
  await message.scrollIntoViewIfNeeded();
  const tree = await page.getByTestId("tree").boundingBox();
  const shown = await message.boundingBox();
  if (!tree || !shown) throw new Error("neither is drawn");
  expect(tree.height).toBeGreaterThan(240);
  expect(shown.x).toBeGreaterThan(tree.x);
  expect(shown.x + 80).toBeLessThan(tree.x + tree.width);
  const name = await page.locator("[data-action=step] bdi").boundingBox();
  expect(name?.width).toBeGreaterThan(20);
  expect(await page.getByTestId("tree").evaluate((e) => e.scrollWidth - e.clientWidth)).toBe(0);
});

test("bars, dots and the selection are visible in forced colours", async () => {
  const options = { forcedColors: "active" as const };
  const seen = (page: Page, selector: string): Promise<string> =>
    page
      .locator(selector)
      .first()
      .evaluate((element) => getComputedStyle(element).backgroundColor);
  /** A colour different from the background. */
  const isDrawn = async (page: Page, selector: string): Promise<void> => {
    const canvas = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    expect(await seen(page, selector), selector).not.toBe(canvas);
    expect(await seen(page, selector), selector).not.toBe("rgba(0, 0, 0, 0)");
  };
  /** The system's background of selections. */
  const isHighlighted = async (page: Page, chosen: string): Promise<void> => {
    const highlight = await page.evaluate(() => {
      const probe = document.body.appendChild(document.createElement("i"));
      probe.style.cssText = "forced-color-adjust: none; background: Highlight";
      const { backgroundColor } = getComputedStyle(probe);
      probe.remove();
      return backgroundColor;
    });
    expect(await seen(page, chosen), chosen).toBe(highlight);
  };
  const page = await show("/runs", options);
  await isHighlighted(page, "nav a[aria-current=page]");
  await page.keyboard.press("h");
  await isHighlighted(page, "button[aria-pressed=true]");
  await page.keyboard.press("j");
  for (const selector of [
    "[data-column=progress] [role=img] > span",
    "[aria-label='Runs over time'] button:not(:disabled) > span > span",
    "[data-testid=connection] [aria-hidden]",
  ]) {
    await isDrawn(page, selector);
  }
  const outline = await page
    .locator("[data-run][aria-selected=true]")
    .evaluate((row) => getComputedStyle(row).outlineStyle);
  expect(outline).toBe("solid");
  await page.goto(`${server.url}${TREE}?view=timeline&action=step`);
  await page.locator("[data-bar=running]").first().waitFor();
  await page.getByRole("tab").first().waitFor();
  await isHighlighted(page, "[role=tab][aria-selected=true]");
  await isHighlighted(page, "[role=radiogroup] input:checked + label");
  await isDrawn(page, "[data-bar=running]");
  await isDrawn(page, "[aria-label='Only these phases'] button > [aria-hidden]");
  await page.goto(`${server.url}/tasks`);
  await page.locator("td[data-column=recent] a > span").first().waitFor();
  await isDrawn(page, "td[data-column=recent] a > span");
  await isDrawn(page, "td[data-column=now] [role=img] > span");
});
