import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { findings } from "../support/axe";
import { launch, open } from "../support/browser";
import { lowContrast } from "../support/contrast";
import { recordEverything } from "../support/everything";
import { TestServer } from "../support/server";
import { STATES, type State } from "../support/states";

const SIZES = { wide: { width: 1440, height: 900 }, phone: { width: 390, height: 844 } };
/** What changes its looks under the pointer. */
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

/** What fades in has some time to do so. */
const nothing = (find: () => Promise<string[]>, what: string) =>
  expect.poll(find, { message: what, timeout: 5_000, interval: 100 }).toEqual([]);

async function underThePointer(page: Page): Promise<string[]> {
  const found: string[] = [];
  const { width, height } = page.viewportSize() ?? SIZES.wide;
  for (const element of await page.locator(POINTED).all()) {
    const box = await element.boundingBox();
    if (!box || box.x < 0 || box.y < 0 || box.x + 4 > width || box.y + 4 > height) continue;
    await page.mouse.move(box.x + Math.min(6, box.width / 2), box.y + box.height / 2);
    found.push(...(await lowContrast(page, ":is(a, button, summary, [role], tr, label):hover")));
  }
  return [...new Set(found)];
}

describe.each(["light", "dark"] as const)("in %s colours every text can be read", (colorScheme) => {
  const visit = async (state: State, size: keyof typeof SIZES, look: (page: Page) => Promise<void>) => {
    const { page, close } = await open(browser, `${server.url}${state.path}`, {
      viewport: SIZES[size],
      colorScheme,
      reducedMotion: "reduce",
    });
    try {
      await page.locator(state.there).first().waitFor();
      await state.act?.(page);
      await look(page);
    } finally {
      await close();
    }
  };

  test.each(STATES)("$name", async (state) => {
    await visit(state, "wide", async (page) => {
      await nothing(() => lowContrast(page), state.name);
      await nothing(() => findings(page), `${state.name}, by axe`);
      await nothing(() => underThePointer(page), `${state.name}, under the pointer`);
    });
  });
});
