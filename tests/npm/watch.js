// Opens GraphiQL's tab of the subscription, creates a run meanwhile, and prints the results it showed, as
// JSON: node watch.js URL CHROMIUM MUTATION
import { chromium } from "playwright-core";

const [url, executablePath, query] = process.argv.slice(2);
const seen = { results: [], complaints: [] };

const browser = await chromium.launch({
  executablePath,
  args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"],
});
try {
  const page = await browser.newPage();
  page.setDefaultTimeout(20_000);
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) seen.complaints.push(message.text());
  });
  page.on("pageerror", (error) => seen.complaints.push(String(error)));

  await page.goto(url);
  await page.locator(".graphiql-tab-button", { hasText: "WatchRuns" }).click();
  await page.click(".graphiql-execute-button");
  const shown = async (kind) => {
    const text = await page.waitForFunction((kind) => {
      const text = document.querySelector(".result-window .CodeMirror").CodeMirror.getValue();
      return text.includes(`"${kind}"`) && text;
    }, kind);
    return JSON.parse(await text.jsonValue());
  };

  seen.results.push(await shown("SYNCED"));
  await page.evaluate(
    ([query]) =>
      fetch("graphql", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ query }),
      }),
    [query],
  );
  seen.results.push(await shown("CHANGE"));
} finally {
  await browser.close();
}
console.log(JSON.stringify(seen));
