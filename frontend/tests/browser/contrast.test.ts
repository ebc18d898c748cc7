import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { launch, open } from "../support/browser";
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
  [server, browser] = await Promise.all([TestServer.start({ RUNGRAPH_ABORT_ATTEMPTS: "3" }), launch()]);
  await recordEverything(server);
}, 120_000);

afterAll(async () => {
  await browser.close();
  await server.stop();
});

/** Time for elements that fade in. */
const nothing = (find: () => Promise<string[]>, what: string) =>
  expect.poll(find, { message: what, timeout: 3_000, interval: 100 }).toEqual([]);

/** Low-contrast texts while hovered, for the first element of each kind. */
async function underThePointer(page: Page): Promise<string[]> {
  const found = new Set<string>();
  const { width, height } = page.viewportSize() ?? SIZES.wide;
  const kinds = new Set<string>();
  const boxes = await page.locator(POINTED).evaluateAll((elements) =>
    elements.map((element) => {
      const { x, y, width, height } = element.getBoundingClientRect();
      const phase = element.querySelector("[data-phase]")?.getAttribute("data-phase") ?? "";
      return {
        kind: `${element.tagName} ${element.getAttribute("class") ?? ""} ${phase}`,
        x: x + Math.min(6, width / 2),
        y: y + height / 2,
      };
    }),
  );
  for (const [index, { kind, x, y }] of boxes.entries()) {
    if (kinds.has(kind) || x <= 0 || y <= 0 || x >= width || y >= height) continue;
    kinds.add(kind);
    await page.mouse.move(x, y);
    const element = page.locator(POINTED).nth(index);
    if (await element.count()) for (const problem of await lowContrast(element)) found.add(problem);
  }
  return [...found];
}

/** Low-contrast texts of a state in light and dark. */
async function unreadable(state: State, size: keyof typeof SIZES): Promise<void> {
  const { page, close } = await open(browser, `${server.url}${state.path}`, {
    viewport: SIZES[size],
    colorScheme: "light",
    reducedMotion: "reduce",
  });
  try {
    await page.locator(state.there).first().waitFor();
    await state.act?.(page);
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme });
      await page.locator(`html[data-mantine-color-scheme=${colorScheme}]`).waitFor();
      await nothing(() => lowContrast(page.locator("body")), colorScheme);
      if (size === "wide") await nothing(() => underThePointer(page), `${colorScheme}, under the pointer`);
    }
  } finally {
    await close();
  }
}

test.each(STATES)("every text has enough contrast in light and dark: $name", (state) =>
  unreadable(state, "wide"),
);

const ON_A_PHONE = ["runs", "filters that are set", "a tree", "a timeline", "an action", "tasks", "aborts"];

test.each(STATES.filter(({ name }) => ON_A_PHONE.includes(name)))(
  "every text has enough contrast on a phone: $name",
  (state) => unreadable(state, "phone"),
);
