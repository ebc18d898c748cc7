import { expect, test } from "vitest";
import { Logged, isInView, untilInView } from "../support/logged";
import { until } from "../support/server";

const logged = new Logged(["live", "quiet"], async (logged) => {
  await logged.report("live", "RUNNING", 1);
  const logs = [{ name: "elsewhere", uri: "https://logs.example.com/1" }];
  await logged.report("quiet", "RUNNING", 1, { logs });
  await logged.append(
    "live",
    Array.from({ length: 300 }, (_, n) => ({ text: `old ${n + 1}` })),
  );
});

test("new lines are followed until one scrolls up, and again on request", async () => {
  const page = await logged.show("action=live");
  const log = page.getByTestId("log");
  await untilInView(page, 300);
  await logged.append("live", [{ text: "new 301" }]);
  await untilInView(page, 301);
  await log.hover();
  await page.mouse.wheel(0, -600);
  const follow = page.getByRole("button", { name: "Follow new lines" });
  await follow.waitFor();
  const top = await log.evaluate((element) => element.scrollTop);
  await logged.append(
    "live",
    Array.from({ length: 200 }, (_, n) => ({ text: `new ${n + 302}` })),
  );
  await until("more to scroll", () =>
    log.evaluate((e) => e.scrollHeight - e.scrollTop - e.clientHeight > 3_000),
  );
  expect(Math.abs((await log.evaluate((element) => element.scrollTop)) - top)).toBeLessThan(700);
  expect(await isInView(page, 501)).toBe(false);
  await follow.click();
  await untilInView(page, 501);
  await follow.waitFor({ state: "detached" });
  await logged.append("live", [{ text: "new 502" }]);
  await untilInView(page, 502);
});

test("a lost connection loses no lines", async () => {
  const page = await logged.show("action=live");
  await page.locator("[data-testid=log][data-following=true]").waitFor();
  const last = (): Promise<number> =>
    page.locator("[data-line]").last().getAttribute("data-line").then(Number);
  await until("the end", async () => (await last()) >= 300);
  const before = await last();
  await page.context().setOffline(true);
  await page.locator("[data-testid=connection][data-state=lost]").waitFor();
  await logged.append(
    "live",
    Array.from({ length: 700 }, (_, n) => ({ text: `while away ${n}` })),
  );
  await page.context().setOffline(false);
  await untilInView(page, before + 700);
  await page.getByTestId("log").evaluate((element) => element.scrollBy(0, -3_000));
  await page.getByText("while away 600", { exact: true }).waitFor();
  logged.opened.problems.splice(0);
});

test("an attempt without a log says so, and shows where else it may be", async () => {
  const page = await logged.show("action=quiet");
  await page.getByText("No log lines yet").waitFor();
  expect(await page.getByRole("link", { name: "elsewhere" }).getAttribute("href")).toBe(
    "https://logs.example.com/1",
  );
  await logged.append("quiet", [{ text: "here I am" }]);
  await page.getByText("here I am").waitFor();
});
