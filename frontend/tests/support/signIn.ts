import type { Page } from "playwright-core";

/** Sign in with an API token on the page for it, where the browser was led. */
export async function signIn(page: Page, token: string): Promise<void> {
  await page.getByLabel("API token").fill(token);
  await page.getByRole("button", { name: "Sign in" }).click();
}
