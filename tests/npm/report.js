// What a stored HTML report can do in Chromium, as a page of its own and in a frame of a page of the server:
// report.js REPORT PAGE CHROMIUM prints both as JSON.
import { chromium } from "playwright-core";

const [report, page, executablePath] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });

// The report writes its findings into its title.
const findings = async (frame) => {
  await frame.waitForFunction(() => document.title.startsWith("{"));
  return JSON.parse(await frame.title());
};

try {
  const context = await browser.newContext();
  await context.addCookies([{ name: "session", value: "secret", url: page }]);
  const alone = await context.newPage();
  await alone.goto(report);
  const seen = { alone: await findings(alone) };

  const outer = await context.newPage();
  await outer.goto(page);
  await outer.evaluate((address) => {
    const frame = document.createElement("iframe");
    frame.src = address;
    document.body.append(frame);
  }, report);
  await outer.waitForFunction(() => document.querySelector("iframe"));
  const frame = await (await outer.$("iframe")).contentFrame();
  seen.framed = await findings(frame);
  console.log(JSON.stringify(seen));
} finally {
  await browser.close();
}
