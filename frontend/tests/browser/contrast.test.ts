import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Opened, launch, open } from "../support/browser";
import { lowContrast } from "../support/contrast";
import { recordEverything } from "../support/everything";
import { TestServer } from "../support/server";
import { STATES, type State } from "../support/states";

const SIZES = { wide: { width: 1440, height: 900 }, phone: { width: 390, height: 844 } };
/** Elements that change on hover. */
const POINTED =
  "a, button, summary, select, [role=menuitem], [role=tab], [role=row], tbody tr, [role=dialog] label";

let server: TestServer;
let browser: Browser;

beforeAll(async () => {
  [server, browser] = await Promise.all([
    TestServer.start({ RUNGRAPH_ABORT_ATTEMPTS: "3", RUNGRAPH_LOG_LINK_HOSTS: "logs.example.com" }),
    launch(),
  ]);
  await recordEverything(server);
}, 120_000);

afterAll(async () => {
  await browser.close();
  await server.stop();
});

/** Time for elements that fade in. */
const nothing = (find: () => Promise<string[]>, what: string) =>
  expect.poll(find, { message: what, timeout: 3_000, interval: 100 }).toEqual([]);

/** What was hovered in any state, by all that its colours depend on. */
const hovered = new Set<string>();

/** Low-contrast texts while hovered, for the first element of each kind unless an equal one was hovered before. */
async function underThePointer(page: Page): Promise<string[]> {
  const found = new Set<string>();
  const kinds = new Set<string>();
  for (const [index, { kind, looks, x, y, isOnTop }] of (await describe(page)).entries()) {
    if (kinds.has(kind) || !isOnTop) continue;
    kinds.add(kind);
    if (hovered.has(looks)) continue;
    await page.mouse.move(x, y);
    const element = page.locator(POINTED).nth(index);
    const problems = await lowContrast(element);
    for (const problem of problems) found.add(problem);
    if (problems.length === 0) hovered.add(looks);
  }
  return [...found];
}

/** The elements that change on hover. */
const describe = (page: Page) =>
  page.locator(POINTED).evaluateAll((elements) => {
    const names =
      /^(id|href|title|aria-(label|labelledby|controls|activedescendant)|data-(run|action|task))$/;
    const isColor = (rule: string): boolean => /color|background|opacity|filter|--/.test(rule);
    const look = (element: Element): string =>
      [...element.attributes]
        .filter(({ name }) => !names.test(name))
        .map(({ name, value }) =>
          name === "style" ? value.split(";").filter(isColor).join(";") : `${name}=${value}`,
        )
        .join(" ");
    return elements.map((element) => {
      const box = element.getBoundingClientRect();
      const [x, y] = [box.x + Math.min(6, box.width / 2), box.y + box.height / 2];
      const kind = `${element.tagName} ${element.getAttribute("class") ?? ""}`;
      const phase = element.querySelector("[data-phase]")?.getAttribute("data-phase") ?? "";
      const around: Element[] = [...element.querySelectorAll("*")];
      for (let at: Element | null = element; at; at = at.parentElement) around.push(at);
      return {
        kind: `${kind} ${phase}`,
        looks: around.map((each) => `${each.tagName} ${look(each)}`).join("\n"),
        x,
        y,
        isOnTop: element.contains(document.elementFromPoint(x, y)),
      };
    });
  });

/** The window of each size, for all states: opening one takes longer than a test. */
const windows = new Map<keyof typeof SIZES, Opened>();

/** A page at the state's path, as in a new window. */
async function visit(path: string, size: keyof typeof SIZES): Promise<Page> {
  const url = `${server.url}${path}`;
  const { page } = windows.get(size) ?? {};
  if (page) {
    await page.unrouteAll();
    await page.context().setOffline(false);
    await page.emulateMedia({ colorScheme: "light" });
    await page.mouse.move(0, 0);
    await page.evaluate(() => {
      localStorage.clear();
      sessionStorage.clear();
    });
    await page.goto(url);
    return page;
  }
  const opened = await open(browser, url, {
    viewport: SIZES[size],
    colorScheme: "light",
    reducedMotion: "reduce",
  });
  windows.set(size, opened);
  return opened.page;
}

/** Low-contrast texts of a state in light and dark. */
async function unreadable(state: State, size: keyof typeof SIZES): Promise<void> {
  const page = await visit(state.path, size);
  await page.locator(state.there).first().waitFor();
  await state.act?.(page);
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme });
    await page.locator(`html[data-mantine-color-scheme=${colorScheme}]`).waitFor();
    await nothing(() => lowContrast(page.locator("body")), colorScheme);
    if (size === "wide") await nothing(() => underThePointer(page), `${colorScheme}, under the pointer`);
  }
}

test.each(STATES)("every text has enough contrast in light and dark: $name", (state) =>
  unreadable(state, "wide"),
);

const ON_A_PHONE = [
  "runs",
  "logs",
  "files",
  "filters that are set",
  "a tree",
  "a timeline",
  "a table with a plot",
  "an action",
  "tasks",
  "a task",
  "aborts",
];

test.each(STATES.filter(({ name }) => ON_A_PHONE.includes(name)))(
  "every text has enough contrast on a phone: $name",
  (state) => unreadable(state, "phone"),
);
