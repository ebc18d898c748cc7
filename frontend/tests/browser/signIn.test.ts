import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { BehindTokens, account, etl, isRejection } from "../support/behindTokens";
import { actionId, createActions, createRun } from "../support/record";
import { signIn } from "../support/signIn";

const ABORT = `mutation ($id: RunIdentifierInput!) { abortRun(input: {id: $id}) { requested } }`;
const CLEAR = `mutation ($id: ActionIdentifierInput!) { clearAbortRequest(id: $id) { action { id } } }`;

const here = new BehindTokens({ RUNGRAPH_ABORT_ATTEMPTS: "1" });

const abort = (page: Page) => page.getByRole("button", { name: "Abort", exact: true });

test("rejects an invalid token; a valid one leads to the requested page with the permitted runs only", async () => {
  const page = await here.open("/runs?q=nightly");
  expect(page.url()).toContain("/team/rungraph/login?return_to=");
  await signIn(page, `rg_${"x".repeat(43)}`);
  await page.getByText("This token is unknown, expired or revoked").waitFor();
  expect(here.opened.problems.every(isRejection)).toBe(true);
  await signIn(page, here.operator);
  await page.waitForURL(`${here.server.url}/runs?q=nightly`);
  await page.locator('[data-run="nightly"]').waitFor();
  expect(await page.locator("[data-run]").count()).toBe(1);
  await page.getByLabel("Project").locator("option").nth(1).waitFor({ state: "attached" });
  expect(await page.getByLabel("Project").locator("option").allInnerTexts()).toEqual(["All projects", "etl"]);
});

test("the account menu shows the user and their roles", async () => {
  const page = await here.show("/runs", here.operator);
  await account(page).click();
  await page.getByRole("dialog").getByText("operator in etl").waitFor();
  expect(await account(page).innerText()).toContain("user-1");
});

test("a viewer is offered no abort or retry of runs and actions", async () => {
  await createActions(here.server, etl("given-up"), [
    { name: "root", phase: "RUNNING" },
    { name: "step", parent: "root", phase: "RUNNING" },
  ]);
  await createRun(here.server, etl("going"));
  // An executor that is notified and never confirms.
  const leave = await here.server.watchAborts("etl");
  await here.server.as(here.operator, () => here.server.execute(ABORT, { id: etl("given-up") }));
  const look = async (token: string): Promise<number[]> => {
    const page = await here.show("/runs/etl/production/going?action=root", token);
    await page.getByTestId("action").getByRole("tab", { name: "Attempts" }).waitFor();
    await account(page).waitFor();
    const counts = [await abort(page).count()];
    await page.getByRole("link", { name: "Runs", exact: true }).click();
    await page.locator('[data-run="going"]').waitFor();
    counts.push(await page.getByRole("button", { name: "More about these runs" }).count());
    await page.getByRole("link", { name: "given-up" }).click();
    await page.getByText("Abort failed after").waitFor();
    counts.push(await page.getByRole("button", { name: "Try again" }).count());
    return counts;
  };
  expect(await look(here.viewer)).toEqual([0, 0, 0]);
  await here.opened.close();
  expect(await look(here.operator)).toEqual([2, 1, 1]);
  await leave();
});

test("an operator aborts in their project and sees the result", async () => {
  await createRun(here.server, etl("to-stop"));
  const page = await here.show("/runs/etl/production/to-stop", here.operator);
  await abort(page).click();
  await page.getByRole("dialog").getByLabel("Reason").fill("wrong table");
  await page.getByRole("dialog").getByRole("button", { name: "Abort", exact: true }).click();
  await page.getByText("Requested by user-1").waitFor();
  await here.server.execute(CLEAR, { id: actionId(etl("to-stop"), "root") });
  await page.getByText("the executor confirmed that the work has stopped").waitFor();
});

test("an action rejected by the server shows its error", async () => {
  await createRun(here.server, etl("protected"));
  const page = await here.open("/runs/etl/production/protected");
  const { problems } = here.opened;
  // Simulates a role removed meanwhile.
  await page.route("**/graphql", async (route) => {
    if (!route.request().postData()?.includes("ViewerOf")) return route.fallback();
    const response = await route.fetch();
    await route.fulfill({ response, body: (await response.text()).replace('"VIEWER"', '"ADMIN"') });
  });
  await signIn(page, here.viewer);
  await abort(page).click();
  await page.getByRole("dialog").getByRole("button", { name: "Abort", exact: true }).click();
  await page.getByText("This is not allowed: you may not abort in etl/production.").waitFor();
  expect(problems).toEqual([]);
});

test("after signing out, a page says so, and going back shows nothing", async () => {
  const page = await here.show("/runs", here.operator);
  await page.locator("[data-run]").first().waitFor();
  await account(page).click();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("heading", { name: "You are signed out" }).waitFor();
  expect(page.url()).toBe(`${here.server.url}/logout`);
  await page.goto(`${here.server.url}/runs`);
  await page.getByLabel("API token").waitFor();
  await page.goBack();
  await page.getByRole("link", { name: "Sign in again" }).click();
  await signIn(page, here.operator);
  await page.locator("[data-run]").first().waitFor();
});
