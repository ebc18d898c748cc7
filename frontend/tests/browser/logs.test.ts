import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { isSamePage, mark } from "../support/browser";
import { Logged, PATH, isInView, line, untilInView } from "../support/logged";
import { runId, setPhases } from "../support/record";
import { until } from "../support/server";

const LONG = 20_000;
const ESC = "\x1b";

const logged = new Logged(["step", "long", "cut", "phases"], async (logged) => {
  await logged.report("step", "FAILED", 1);
  await logged.report("step", "RUNNING", 2, { attempt: 2 });
  for (const name of ["long", "cut"]) await logged.report(name, "SUCCEEDED", 1);
  await logged.append("step", [
    { text: `${ESC}[32mgreen${ESC}[0m <b>not bold</b>`, at: "2026-01-01T10:11:12.345Z" },
    { text: "" },
    { text: "started", level: "INFO" },
  ]);
  await logged.append("step", [{ text: "ValueError: no such row", level: "ERROR" }], { stream: "stderr" });
  await logged.append("step", [{ text: "second try" }], { attempt: 2 });
  await setPhases(logged.server, runId("logged"), { phases: "RUNNING" }, 3);
  await logged.append("phases", [{ text: "without an event" }], { attempt: 2 });
  await logged.append(
    "long",
    Array.from({ length: LONG }, (_, n) => ({
      text: `row ${n + 1} of ${n % 5_000 === 4_321 ? "NEEDLE" : "hay"}`,
      ...(n % 1_000 === 500 ? { level: "WARNING" } : n % 4_000 === 3_000 ? { level: "ERROR" } : {}),
    })),
  );
  await logged.append(
    "cut",
    Array.from({ length: 12_000 }, (_, n) => ({ text: `${n + 1} ${"x".repeat(400)}` })),
  );
});

test("the panel shows the log of the latest attempt, others can be chosen", async () => {
  const page = await logged.open(`${PATH}?action=step`);
  await page.getByRole("tab", { name: "Logs" }).click();
  await page.getByText("second try").waitFor();
  await page.getByLabel("Attempt", { exact: true }).selectOption("1");
  await line(page, 4).waitFor();
  const first = line(page, 1).locator("span").last();
  expect(await first.innerText()).toContain("green");
  expect(await line(page, 1).locator("b").count()).toBe(0);
  expect(await line(page, 4).getAttribute("data-level")).toBe("ERROR");
  await page.getByLabel("Stream").selectOption("stderr");
  await line(page, 1).waitFor({ state: "detached" });
  await line(page, 4).waitFor();
  await page.getByLabel("Stream").selectOption("");
  await page.getByRole("button", { name: "Times" }).click();
  await line(page, 1)
    .getByText(/\d\d:\d\d:12\.345/)
    .waitFor();
  await page.getByRole("link", { name: "Full page" }).click();
  await page.waitForURL((url) => url.pathname.endsWith("/logs") && url.searchParams.get("attempt") === "1");
  await line(page, 4).waitFor();
  await page.getByRole("link", { name: "step" }).click();
  await page.getByTestId("action").waitFor();
});

test("attempts without an event are offered as well", async () => {
  const page = await logged.open(`${PATH}?action=phases`);
  const attempts = page.getByTestId("action").locator("section h3");
  await attempts.first().waitFor();
  expect(await attempts.allInnerTexts()).toEqual(["Attempt 3", "Attempt 2", "Attempt 1"]);
  await page.getByRole("region", { name: "Attempt 3" }).locator("[data-phase=RUNNING]").waitFor();
  await page.getByRole("tab", { name: "Logs" }).click();
  await page.getByText("No log lines yet").waitFor();
  await page.getByLabel("Attempt", { exact: true }).selectOption("2");
  await line(page, 1).getByText("without an event").waitFor();
});

test("what is selected and copied has neither numbers nor times nor streams", async () => {
  const page = await logged.show("action=step&attempt=1");
  await line(page, 4).waitFor();
  await page.getByRole("button", { name: "Times" }).click();
  await page.locator("time").first().waitFor();
  const selected = await page.evaluate(() => {
    const log = document.querySelector("[data-testid=log] [role=list]");
    if (log) document.getSelection()?.selectAllChildren(log);
    return document.getSelection()?.toString();
  });
  expect(selected?.trim().split("\n")).toEqual([
    "green <b>not bold</b>",
    "",
    "started",
    "ValueError: no such row",
  ]);
});

test("any part of a long log is there at once, and only what is visible is rendered", async () => {
  const page = await logged.show("action=long");
  await line(page, 1).waitFor();
  const log = page.getByTestId("log");
  await log.evaluate((element) => element.scrollTo(0, element.scrollHeight / 2));
  await untilInView(page, LONG / 2 + 10);
  await log.evaluate((element) => element.scrollTo(0, element.scrollHeight));
  await untilInView(page, LONG);
  expect(await page.locator("[data-line]").count()).toBeLessThan(500);
  await page.keyboard.press("Tab");
  await log.focus();
  await page.keyboard.press("Home");
  await untilInView(page, 1);
});

test("a link to a line shows and marks it, and a line can be linked to", async () => {
  const page = await logged.show("action=long&line=12345");
  await untilInView(page, 12_345);
  expect(await line(page, 12_345).getAttribute("data-marked")).toBe("true");
  const number = line(page, 12_347).getByRole("link");
  expect(await number.getAttribute("href")).toBe(
    `${logged.server.url}${PATH}/logs?action=long&attempt=1&line=12347`,
  );
  await mark(page);
  await number.click();
  await page.waitForURL((url) => url.searchParams.get("line") === "12347");
  await line(page, 12_347).and(page.locator("[data-marked]")).waitFor();
  expect(await isSamePage(page)).toBe(true);
  expect(await isInView(page, 12_347)).toBe(true);
  // In another window.
  await page.goto(`${logged.server.url}${PATH}/logs?action=long&line=12347`);
  await untilInView(page, 12_347);
});

test("a search goes to the next and the previous match and marks them", async () => {
  const page = await logged.show("action=long");
  await line(page, 1).waitFor();
  await page.keyboard.press("/");
  await page.keyboard.type("needle");
  await page.keyboard.press("Enter");
  await page.getByRole("status").getByText("Line 4,322").waitFor();
  await untilInView(page, 4_322);
  expect(await line(page, 4_322).locator("mark").innerText()).toBe("NEEDLE");
  await page.keyboard.press("Enter");
  await untilInView(page, 9_322);
  await page.keyboard.press("Shift+Enter");
  await untilInView(page, 4_322);
  await page.getByRole("button", { name: "Previous match" }).click();
  await untilInView(page, 19_322);
  await page.getByRole("button", { name: "Next match" }).click();
  await untilInView(page, 4_322);
  await page.getByRole("searchbox", { name: "Search the log" }).fill("nothing like it");
  await page.keyboard.press("Enter");
  await page.getByRole("status").getByText("No match").waitFor();
});

test("lines of a level, and the first error", async () => {
  const page = await logged.show("action=long");
  await line(page, 1).waitFor();
  await page.getByRole("button", { name: "First error" }).click();
  await untilInView(page, 3_001);
  await page.getByLabel("Level").selectOption({ label: "Warnings and errors" });
  await line(page, 3_002).waitFor({ state: "detached" });
  // The line that was looked at stays in view among those that match.
  await untilInView(page, 3_001);
  const numbers = await page
    .locator("[data-line]")
    .evaluateAll((lines) => lines.map((each) => Number(each.getAttribute("data-line"))));
  expect(numbers).toEqual(
    [
      ...new Set([
        ...Array.from({ length: LONG / 1_000 }, (_, n) => n * 1_000 + 501),
        ...Array.from({ length: LONG / 4_000 }, (_, n) => n * 4_000 + 3_001),
      ]),
    ].sort((a, b) => a - b),
  );
  await page.getByLabel("Level").selectOption({ label: "Critical errors" });
  await page.getByText("No line matches").waitFor();
});

test("it is said where lines are missing", async () => {
  const page = await logged.show("action=cut");
  await line(page, 1).waitFor();
  const log = page.getByTestId("log");
  const gap = page.getByText(/lines are missing here/);
  // Less than what is rendered around the visible lines, so that no step passes over the gap.
  await until("the gap", async () => {
    await log.evaluate((element) => {
      const isAtEnd = element.scrollTop + element.clientHeight >= element.scrollHeight;
      if (isAtEnd) element.scrollTo(0, 0);
      else element.scrollBy(0, 3_000);
    });
    return (await gap.count()) > 0;
  });
  // Again while lines that wrap make the log longer than was expected.
  await until("the end", async () => {
    await log.evaluate((element) => element.scrollTo(0, element.scrollHeight));
    return isInView(page, 12_000);
  });
});

test("a log is downloaded and copied as text", async () => {
  const page = await logged.show("action=step&attempt=1", {
    permissions: ["clipboard-read", "clipboard-write"],
  });
  await line(page, 4).waitFor();
  const waiting = page.waitForEvent("download");
  await page.getByRole("button", { name: "Download" }).click();
  const download = await waiting;
  expect(download.suggestedFilename()).toBe("log-of-step-attempt-1.log");
  const file = join(mkdtempSync(join(tmpdir(), "rungraph-log-")), "saved.log");
  await download.saveAs(file);
  const text = "green <b>not bold</b>\n\nstarted\nValueError: no such row\n";
  expect(readFileSync(file, "utf8")).toBe(text);
  await page.getByRole("button", { name: "Copy" }).click();
  await page.getByText("Copied the log").waitFor();
  expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(text);
});

test("a log fits a phone", async () => {
  const page = await logged.show("action=step&attempt=1", { viewport: { width: 390, height: 844 } });
  await line(page, 1).waitFor();
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(390);
  expect((await page.getByTestId("log").boundingBox())?.height).toBeGreaterThan(400);
});
