// Opens GraphiQL's subscription tab, creates a run meanwhile, and prints the displayed results as JSON:
// node watch.js URL CHROMIUM MUTATION
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

  // The text of an editor or of the results, once it contains these words.
  const text = async (place, words) => {
    const found = await page.waitForFunction(
      ([place, words]) => {
        const text = document.querySelector(`${place} .CodeMirror`)?.CodeMirror.getValue();
        return text?.includes(words) && text;
      },
      [place, words],
    );
    return found.jsonValue();
  };
  const shown = async (kind) => JSON.parse(await text(".result-window", `"${kind}"`));

  await page.goto(url);
  await page.locator(".graphiql-tab-button", { hasText: "WatchRuns" }).click();
  await text(".graphiql-query-editor", "subscription WatchRuns");
  // GraphiQL updates the operation name shortly after the text; the new name shows that it has.
  await page.locator(".graphiql-query-editor .CodeMirror").evaluate(({ CodeMirror }) => {
    CodeMirror.setValue(CodeMirror.getValue().replace("WatchRuns", "WatchNow"));
  });
  await page.locator(".graphiql-tab-button", { hasText: "WatchNow" }).waitFor();
  await page.click(".graphiql-execute-button");
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
