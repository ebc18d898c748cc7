import type { Page } from "playwright-core";

/** Signs in with an API token on the sign-in page to which the browser was redirected. */
export async function signIn(page: Page, token: string): Promise<void> {
  await page.getByLabel("API token").fill(token);
  await page.getByRole("button", { name: "Sign in" }).click();
}
