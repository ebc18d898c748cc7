import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { INSECURE_HOST, type Opened, launch, open } from "../support/browser";
import { createActions, createRun, runId } from "../support/record";
import { TestServer, until } from "../support/server";

const LONG = `customer-lifetime-value-${"europe-west-".repeat(12)}2026-03-15`;
const NAMES = {
  long: LONG,
  emoji: `训练-${"模型-".repeat(40)}👩‍👩‍👧‍👦🇩🇪🔥🔥🔥🔥🔥🔥🔥🔥`,
  arabic: `تدريب-${"النموذج-".repeat(24)}اليومي`,
  spaced: `a  b ${"c ".repeat(80)}  d`,
  quoted: "x'; touch pwned; echo '",
};

let server: TestServer;
let browser: Browser;
let opened: Opened;

beforeAll(async () => {
  [server, browser] = await Promise.all([
    TestServer.start({ RUNGRAPH_ALLOWED_HOSTS: INSECURE_HOST }),
    launch(),
  ]);
  for (const name of Object.values(NAMES)) await createRun(server, runId(name));
  await createActions(server, runId(NAMES.quoted), [{ name: LONG, parent: "root", phase: "RUNNING" }]);
});

afterAll(async () => {
  await browser.close();
  await server.stop();
});

/** Chromium's warning about a header that only applies to https. */
const isAboutHttp = (problem: string): boolean => problem.startsWith("The Cross-Origin-Opener-Policy header");

afterEach(async () => {
  expect(opened.problems.filter((problem) => !isAboutHttp(problem))).toEqual([]);
  await opened.close();
});

const show = async (path: string, options = {}): Promise<Page> => {
  opened = await open(browser, `${server.url}${path}`, options);
  await opened.page.locator("[data-run], [data-action]").first().waitFor();
  return opened.page;
};

/** The text of a paste. */
const pasted = async (page: Page): Promise<string> => {
  await page.evaluate(() => document.body.append(document.createElement("textarea")));
  const field = page.locator("body > textarea").last();
  await field.focus();
  await page.keyboard.press("Control+v");
  return field.inputValue();
};

test("a truncated name is copied, searched and announced in full", async () => {
  const page = await show("/runs?project=tests");
  for (const name of Object.values(NAMES)) {
    const link = page.getByRole("link", { name: name.trim().replace(/\s+/g, " "), exact: true });
    await link.waitFor();
    expect(await link.locator("bdi > span").evaluate((text) => text.childNodes.length)).toBe(1);
    const selected = await link.evaluate((element) => {
      window.getSelection()?.selectAllChildren(element);
      return window.getSelection()?.toString();
    });
    expect(selected).toBe(name);
    const isFound = await page.evaluate((text) => {
      window.getSelection()?.removeAllRanges();
      return (window as unknown as { find: (text: string) => boolean }).find(text);
    }, name);
    expect(isFound, name).toBe(true);
  }
});

test("a truncated name shows its end in whole characters and its own direction", async () => {
  const page = await show("/runs?project=tests", { viewport: { width: 900, height: 800 } });
  const tail = (name: string): Promise<string> =>
    page
      .locator("bdi", { hasText: name })
      .evaluate((element) => getComputedStyle(element, "::after").content.replace(/^"|" ?\/.*$/g, ""));
  await expect.poll(() => tail(NAMES.long)).toBe("2026-03-15");
  await expect.poll(() => tail(NAMES.emoji)).toBe("👩‍👩‍👧‍👦🇩🇪🔥🔥🔥🔥🔥🔥🔥🔥");
  await expect.poll(() => tail(NAMES.arabic)).toBe(NAMES.arabic.slice(-10));
  expect(await tail(NAMES.quoted)).toBe("none");
  expect(
    await page.locator("bdi", { hasText: NAMES.arabic }).evaluate((e) => getComputedStyle(e).direction),
  ).toBe("rtl");
  // With enough space nothing is truncated.
  await page.setViewportSize({ width: 3_000, height: 800 });
  await until("the whole name", async () => (await tail(NAMES.arabic)) === "none");
});

test("the commands for a terminal are safe for any name", async () => {
  const page = await show(`/runs/tests/development/${encodeURIComponent(NAMES.quoted)}`, {
    permissions: ["clipboard-read", "clipboard-write"],
  });
  await page.getByRole("button", { name: "Copy…" }).click();
  await page.getByRole("menuitem", { name: "Command to watch it in a terminal" }).click();
  await page.getByText("Copied the command").waitFor();
  expect(await pasted(page)).toBe(
    "rungraph watch --project=tests --domain=development --run='x'\\''; touch pwned; echo '\\'",
  );
  const options = "--project=tests --domain=development --run='x'\\''; touch pwned; echo '\\'";
  for (const [item, command] of [
    ["Command to show it in a terminal", "get"],
    ["Command to print its log in a terminal", "logs"],
  ] as const) {
    await page.getByRole("button", { name: "Copy…" }).click();
    await page.getByRole("menuitem", { name: item }).click();
    await expect.poll(() => pasted(page)).toBe(`rungraph ${command} ${options}`);
  }
});

test("the command of an action's log names the action", async () => {
  const path = `/runs/tests/development/${encodeURIComponent(NAMES.quoted)}?action=${LONG}`;
  const page = await show(path, { permissions: ["clipboard-read", "clipboard-write"] });
  await page.getByRole("tab", { name: "Logs" }).click();
  await page.getByRole("button", { name: "Copy command" }).click();
  expect(await pasted(page)).toBe(
    `rungraph logs --project=tests --domain=development --run='x'\\''; touch pwned; echo '\\' -- ${LONG}`,
  );
});

test("copying works on plain http and is announced", async () => {
  const path = `/runs/tests/development/${encodeURIComponent(NAMES.quoted)}`;
  opened = await open(browser, `http://${INSECURE_HOST}:${server.port}${path}?action=${LONG}`);
  const { page } = opened;
  expect(await page.evaluate(() => window.isSecureContext)).toBe(false);
  await page.getByTestId("action").getByRole("button", { name: "Copy action name" }).click();
  await page.getByText("Copied the action name").waitFor();
  expect(await pasted(page)).toBe(LONG);
  await page.getByRole("button", { name: "Copy…" }).click();
  await page.getByRole("menuitem", { name: "Project/domain/name" }).click();
  await page.getByText("Copied the name").waitFor();
  expect(await pasted(page)).toBe(`tests/development/${NAMES.quoted}`);
});

test("a name with very little space shows its beginning", async () => {
  await createActions(server, runId("narrow"), [
    { name: "root", phase: "RUNNING" },
    { name: "stage", parent: "root" },
    { name: "step", parent: "stage" },
    { name: "check-schema", parent: "step", phase: "RUNNING" },
  ]);
  const page = await show("/runs/tests/development/narrow?view=timeline", {
    viewport: { width: 390, height: 844 },
  });
  const name = page.locator('[data-action="check-schema"] bdi');
  await until("the beginning", () =>
    name.evaluate((element) => {
      const { clientWidth = 0, scrollWidth = 0 } = element.firstElementChild ?? {};
      return clientWidth > 25 && scrollWidth > clientWidth && clientWidth >= element.clientWidth * 0.3;
    }),
  );
});
