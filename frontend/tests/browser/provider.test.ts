import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { findings } from "../support/axe";
import { type Opened, launch, open } from "../support/browser";
import { Provider } from "../support/provider";
import { createRun, runId } from "../support/record";
import { TestServer } from "../support/server";

const GRANTS = [{ claim: "groups", value: "data", role: "operator", project: "etl", domain: "production" }];

let provider: Provider;
let server: TestServer;
let browser: Browser;
let opened: Opened;

beforeAll(async () => {
  provider = await Provider.start();
  [server, browser] = await Promise.all([
    TestServer.start((origin) => provider.settings(origin, GRANTS)),
    launch(),
  ]);
  server.token = await server.createToken("executor", "writer");
  await createRun(server, runId("nightly", "etl", "production"));
});

afterAll(async () => {
  await browser.close();
  await server.stop();
  provider.stop();
});

afterEach(async () => {
  const elsewhere = (problem: string): boolean =>
    problem.startsWith(`request to another origin: ${provider.url}/`);
  expect(opened.problems.filter((problem) => !elsewhere(problem))).toEqual([]);
  await opened.close();
});

const account = (page: Page) => page.getByRole("button", { name: /^Signed in as/ });

test("signs in at the provider, returns to the requested page, aborts, and signs out", async () => {
  await provider.become({ sub: "u-1", name: "User One", email: "user-1@example.com", groups: ["data"] });
  const path = "/runs/etl/production/nightly?view=timeline";
  opened = await open(browser, `${server.url}${path}`);
  const { page } = opened;
  await page.waitForURL(`${server.url}${path}`);
  await page.locator('[data-action="root"]').waitFor();
  await account(page).click();
  const card = page.getByRole("dialog");
  await card.getByText("User One").waitFor();
  await card.getByText("user-1@example.com").waitFor();
  await card.getByText("operator in etl/production").waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Abort", exact: true }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Abort", exact: true }).click();
  await page.getByText("Requested by User One").waitFor();
  await account(page).click();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("heading", { name: "You are signed out" }).waitFor();
});

test.each(["light", "dark"] as const)(
  "a user without a role sees an explanation, in %s colours",
  async (colorScheme) => {
    await provider.become({ sub: "u-2", name: "user-2", groups: [] });
    opened = await open(browser, `${server.url}/runs`, {
      colorScheme,
      viewport: { width: 390, height: 844 },
    });
    const { page } = opened;
    await page.getByText("You are signed in as user-2, but have no role in any project").waitFor();
    expect(await page.getByText("No runs yet").count()).toBe(0);
    expect(await findings(page)).toEqual([]);
  },
);
