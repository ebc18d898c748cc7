import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { findingsInBothSchemes } from "../support/axe";
import { BehindTokens, account, etl } from "../support/behindTokens";
import { isSamePage, mark } from "../support/browser";
import { createRun, setPhases } from "../support/record";
import { until } from "../support/server";
import { signIn } from "../support/signIn";

const here = new BehindTokens();

const signedOut = (page: Page) => page.getByRole("alert").getByText("You are signed out.");

test("a revoked token ends the session at once, no request is sent, and signing in continues on the same page", async () => {
  const token = await here.server.createToken(
    "short-lived",
    "operator",
    "--user",
    "user-1",
    "--project",
    "etl",
  );
  const path = "/runs?project=etl&q=nightly";
  const page = await here.show(path, token);
  await page.locator('[data-run="nightly"]').waitFor();
  let requests = 0;
  page.on("websocket", () => (requests += 1));
  page.on("request", () => (requests += 1));
  await here.server.revokeToken("short-lived");
  await signedOut(page).waitFor();
  // The previous content is still readable.
  expect(await page.locator('[data-run="nightly"]').isVisible()).toBe(true);
  expect(await page.locator("#content[data-stale]").count()).toBe(1);
  await page.waitForTimeout(6_000);
  expect(requests).toBeLessThanOrEqual(2);

  await page.getByRole("link", { name: "Sign in" }).click();
  await signIn(page, here.operator);
  await page.waitForURL(`${here.server.url}${path}`);
  await page.locator("[data-testid=connection][data-state=live]").waitFor();
  await setPhases(here.server, etl("nightly"), { root: "PAUSED" });
  await page.locator('[data-run="nightly"][data-phase=PAUSED]').waitFor();
});

test("polling pages do not poll while signed out", async () => {
  const token = await here.server.createToken("polling", "operator", "--user", "user-1", "--project", "etl");
  const page = await here.show("/aborts", token);
  await page.getByRole("heading", { name: "Aborts" }).waitFor();
  await account(page).waitFor();
  await here.server.revokeToken("polling");
  await signedOut(page).waitFor();
  let requests = 0;
  page.on("request", () => (requests += 1));
  await page.waitForTimeout(7_000);
  expect(requests).toBeLessThanOrEqual(2);
});

test("signing in in another tab continues this one", async () => {
  await createRun(here.server, etl("tabs"));
  const token = await here.server.createToken("two-tabs", "operator", "--user", "user-1", "--project", "etl");
  const page = await here.show("/runs/etl/production/tabs", token);
  await page.locator('[data-action="root"]').waitFor();
  await account(page).waitFor();
  await mark(page);
  await here.server.revokeToken("two-tabs");
  await signedOut(page).waitFor();
  const other = await page.context().newPage();
  await other.goto(`${here.server.url}/runs`);
  await signIn(other, here.operator);
  await other.locator("[data-run]").first().waitFor();
  await page.evaluate(() => window.dispatchEvent(new Event("focus")));
  await signedOut(page).waitFor({ state: "detached" });
  await setPhases(here.server, etl("tabs"), { root: "FAILED" });
  await page.locator('[data-action="root"] [data-phase=FAILED]').first().waitFor();
  expect(await isSamePage(page)).toBe(true);
});

test("after another user signed in, nothing of the previous one is visible", async () => {
  const token = await here.server.createToken("web-only", "viewer", "--user", "user-3", "--project", "web");
  const page = await here.show("/runs", token);
  await page.locator('[data-run="nightly-web"]').waitFor();
  await account(page).waitFor();
  await mark(page);
  const other = await page.context().newPage();
  await page.context().clearCookies();
  await other.goto(`${here.server.url}/runs`);
  await signIn(other, here.viewer);
  await other.locator("[data-run]").first().waitFor();
  // Another user may look at the tab although its websocket is still open.
  await until("the page to reload", async () => {
    await page.evaluate(() => window.dispatchEvent(new Event("focus"))).catch(() => undefined);
    return !(await isSamePage(page).catch(() => true));
  });
  await page.locator('[data-run="nightly"]').waitFor();
  expect(await page.locator('[data-run="nightly-web"]').count()).toBe(0);
});

test("sign-in and sign-out pages have no serious problem in light and dark colours, and fit a phone", async () => {
  const token = await here.server.createToken("axe", "viewer", "--project", "etl");
  const page = await here.open("/runs", { viewport: { width: 390, height: 844 } });
  const look = async (what: string, within?: string): Promise<void> => {
    expect(await findingsInBothSchemes(page, within), what).toEqual([]);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    expect(wide, what).toBeLessThanOrEqual(390);
  };
  await look("the token page");
  await signIn(page, "wrong");
  await page.getByText("This token is unknown, expired or revoked").waitFor();
  await look("a wrong token");
  await signIn(page, token);
  await account(page).click();
  await page.getByRole("button", { name: "Sign out" }).waitFor();
  // It covers a part of the page, whose contrast cannot be determined.
  await look("the account", "[role=dialog]");
  await page.keyboard.press("Escape");
  await here.server.revokeToken("axe");
  await signedOut(page).waitFor();
  await look("signed out");
});

test("GraphiQL uses the same session, and links to sign-in after its end", async () => {
  const page = await here.show("/graphql", here.operator);
  await page.getByRole("button", { name: /^Execute query/ }).click();
  await page.locator(".result-window").getByText("totalCount").first().waitFor();
  await page.context().clearCookies();
  await page.getByRole("button", { name: /^Execute query/ }).click();
  await page.getByText("You are signed out.").waitFor();
  await page.getByRole("link", { name: "Sign in" }).click();
  await signIn(page, here.operator);
  await page.waitForURL(`${here.server.url}/graphql`);
  await page.getByRole("button", { name: /^Execute query/ }).waitFor();
  expect(await page.getByText("You are signed out.").count()).toBe(1);
  expect(await page.getByText("You are signed out.").isVisible()).toBe(false);
});
