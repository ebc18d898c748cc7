import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { faded, findings } from "../support/axe";
import { type Opened, isTheSame, launch, mark, open } from "../support/browser";
import { createRun, runId, setPhases } from "../support/record";
import { TestServer, until } from "../support/server";
import { signIn } from "../support/signIn";

const PREFIX = "/team/rungraph";

const etl = (name: string) => runId(name, "etl", "production");

let server: TestServer;
let browser: Browser;
let opened: Opened;
let operator: string;
let viewer: string;

beforeAll(async () => {
  const settings = {
    RUNGRAPH_AUTH: "token",
    RUNGRAPH_BASE_PATH: PREFIX,
  };
  [server, browser] = await Promise.all([TestServer.start(settings), launch()]);
  server.token = await server.createToken("executor", "writer");
  operator = await server.createToken("operator", "operator", "--user", "user-1", "--project", "etl");
  viewer = await server.createToken("viewer", "viewer", "--user", "user-2", "--project", "etl");
  await createRun(server, etl("nightly"));
  await createRun(server, runId("nightly-web", "web", "production"));
});

afterAll(async () => {
  await browser.close();
  await server.stop();
});

/** That the server refuses whoever is signed out is what these tests are about. */
const isRefusal = (complaint: string): boolean => /\b401\b/.test(complaint);

afterEach(async () => {
  expect(opened.complaints.filter((complaint) => !isRefusal(complaint))).toEqual([]);
  await opened.close();
});

const show = async (path: string, token: string, options = {}): Promise<Page> => {
  opened = await open(browser, `${server.url}${path}`, options);
  await signIn(opened.page, token);
  await opened.page.waitForURL(`${server.url}${path}`);
  return opened.page;
};

const signedOut = (page: Page) => page.getByRole("alert").getByText("You are signed out.");
const account = (page: Page) => page.getByRole("button", { name: /^Signed in as/ });

test("a token that is revoked ends what is open at once, nothing knocks, and signing in goes on there", async () => {
  const token = await server.createToken("short-lived", "operator", "--user", "user-1", "--project", "etl");
  const path = "/runs?project=etl&q=nightly";
  const page = await show(path, token);
  await page.locator('[data-run="nightly"]').waitFor();
  let knocks = 0;
  page.on("websocket", () => (knocks += 1));
  page.on("request", () => (knocks += 1));
  await server.revokeToken("short-lived");
  await signedOut(page).waitFor({ timeout: 5_000 });
  // What was there can still be read.
  expect(await page.locator('[data-run="nightly"]').isVisible()).toBe(true);
  expect(await page.locator("#content[data-stale]").count()).toBe(1);
  await page.waitForTimeout(6_000);
  expect(knocks).toBeLessThanOrEqual(2);

  await page.getByRole("link", { name: "Sign in" }).click();
  await signIn(page, operator);
  await page.waitForURL(`${server.url}${path}`);
  await page.locator("[data-testid=connection][data-state=live]").waitFor();
  await setPhases(server, etl("nightly"), { root: "PAUSED" });
  await page.locator('[data-run="nightly"][data-phase=PAUSED]').waitFor();
});

test("pages that look again and again do not while nobody is signed in", async () => {
  const token = await server.createToken("polling", "operator", "--user", "user-1", "--project", "etl");
  const page = await show("/aborts", token);
  await page.getByRole("heading", { name: "Aborts" }).waitFor();
  await account(page).waitFor();
  await server.revokeToken("polling");
  await signedOut(page).waitFor();
  let knocks = 0;
  page.on("request", () => (knocks += 1));
  await page.waitForTimeout(7_000);
  expect(knocks).toBeLessThanOrEqual(2);
});

test("who signs in again in another tab finds this one going on by itself", async () => {
  await createRun(server, etl("tabs"));
  const token = await server.createToken("two-tabs", "operator", "--user", "user-1", "--project", "etl");
  const page = await show("/runs/etl/production/tabs", token);
  await page.locator('[data-action="root"]').waitFor();
  await account(page).waitFor();
  await mark(page);
  await server.revokeToken("two-tabs");
  await signedOut(page).waitFor();
  const other = await page.context().newPage();
  await other.goto(`${server.url}/runs`);
  await signIn(other, operator);
  await other.locator("[data-run]").first().waitFor();
  await page.evaluate(() => window.dispatchEvent(new Event("focus")));
  await signedOut(page).waitFor({ state: "detached" });
  await setPhases(server, etl("tabs"), { root: "FAILED" });
  await page.locator('[data-action="root"] [data-phase=FAILED]').first().waitFor();
  expect(await isTheSame(page)).toBe(true);
});

test("after somebody else signed in, nothing is left of the one before", async () => {
  const token = await server.createToken("web-only", "viewer", "--user", "wim", "--project", "web");
  const page = await show("/runs", token);
  await page.locator('[data-run="nightly-web"]').waitFor();
  await account(page).waitFor();
  await mark(page);
  const other = await page.context().newPage();
  await page.context().clearCookies();
  await other.goto(`${server.url}/runs`);
  await signIn(other, viewer);
  await other.locator("[data-run]").first().waitFor();
  // Who looks at a tab may be somebody else than it was of, though its websocket is still open.
  await until("the page to begin anew", async () => {
    await page.evaluate(() => window.dispatchEvent(new Event("focus"))).catch(() => undefined);
    return !(await isTheSame(page).catch(() => true));
  });
  await page.locator('[data-run="nightly"]').waitFor();
  expect(await page.locator('[data-run="nightly-web"]').count()).toBe(0);
});

test.each(["light", "dark"] as const)(
  "the ways in and out have no serious finding of axe in %s colours, and fit a phone",
  async (colorScheme) => {
    const token = await server.createToken(`axe-${colorScheme}`, "viewer", "--project", "etl");
    opened = await open(browser, `${server.url}/runs`, {
      colorScheme,
      viewport: { width: 390, height: 844 },
    });
    const { page } = opened;
    const look = async (what: string): Promise<void> => {
      await faded(page);
      expect(await findings(page), what).toEqual([]);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth);
      expect(wide, what).toBeLessThanOrEqual(390);
    };
    await look("the token page");
    await signIn(page, "wrong");
    await page.getByText("This token is not known").waitFor();
    await look("a wrong token");
    await signIn(page, token);
    await account(page).click();
    await page.getByRole("button", { name: "Sign out" }).waitFor();
    await look("the account");
    await page.keyboard.press("Escape");
    await server.revokeToken(`axe-${colorScheme}`);
    await signedOut(page).waitFor();
    await look("signed out");
  },
);

test("GraphiQL works by the same cookie, and says where to sign in once that is no more", async () => {
  const page = await show("/graphql", operator);
  await page.getByRole("button", { name: /^Execute query/ }).click();
  await page.locator(".result-window").getByText("totalCount").first().waitFor();
  await page.context().clearCookies();
  await page.getByRole("button", { name: /^Execute query/ }).click();
  await page.getByText("You are signed out.").waitFor();
  await page.getByRole("link", { name: "Sign in" }).click();
  await signIn(page, operator);
  await page.waitForURL(`${server.url}/graphql`);
  await page.getByRole("button", { name: /^Execute query/ }).waitFor();
  expect(await page.getByText("You are signed out.").count()).toBe(1);
  expect(await page.getByText("You are signed out.").isVisible()).toBe(false);
});
