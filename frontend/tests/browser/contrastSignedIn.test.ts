import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { BehindTokens, account, etl } from "../support/behindTokens";
import { lowContrast } from "../support/contrast";
import { createRun } from "../support/record";
import { signIn } from "../support/signIn";

const here = new BehindTokens();

/** Expects enough contrast of every text in light and dark. */
async function expectReadable(page: Page): Promise<void> {
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    await expect
      .poll(() => lowContrast(page.locator("body")), { message: colorScheme, timeout: 5_000 })
      .toEqual([]);
  }
}

test("every text has enough contrast in light and dark: sign-in and an invalid token", async () => {
  const page = await here.open("/runs");
  await page.getByLabel("API token").waitFor();
  await expectReadable(page);
  await signIn(page, "wrong");
  await page.getByRole("alert").waitFor();
  await expectReadable(page);
});

test("every text has enough contrast in light and dark: account menu and signed-out notice", async () => {
  const token = await here.server.createToken("pale", "operator", "--user", "user-1", "--project", "etl");
  const page = await here.show("/runs", token);
  await page.locator("[data-run]").first().waitFor();
  await account(page).click();
  const signOut = page.getByRole("button", { name: "Sign out" });
  await signOut.waitFor();
  await expectReadable(page);
  await page.keyboard.press("Escape");
  await here.server.revokeToken("pale");
  await page.getByRole("alert").getByText("You are signed out.").waitFor();
  await expectReadable(page);
});

test("every text has enough contrast in light and dark: signed out", async () => {
  const page = await here.show("/runs", here.operator);
  await account(page).click();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("link", { name: "Sign in again" }).waitFor();
  await expectReadable(page);
});

test("every text has enough contrast in light and dark: progress of aborts", async () => {
  await createRun(here.server, etl("to-abort"));
  const page = await here.show("/runs?q=to-abort", here.operator);
  await page.locator("[data-run]").first().waitFor();
  await page.getByRole("button", { name: "More about these runs" }).click();
  await page.getByRole("menuitem", { name: /^Abort all/ }).click();
  await page.getByRole("button", { name: "Abort 1 run" }).click();
  await page.getByText("Aborting continues when you close this dialog.").waitFor();
  await page.getByText("confirmed by the executor").waitFor();
  await expectReadable(page);
});
