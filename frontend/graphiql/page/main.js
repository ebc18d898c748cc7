// Starts GraphiQL for the API at the page's own address, with the examples as its first tabs.
"use strict";

async function loadExamples() {
  const response = await fetch("graphiql/examples.json");
  if (!response.ok) throw new Error(`graphiql/examples.json: ${response.status}`);
  return response.json();
}

/** Like fetch; if unauthenticated, the page shows a link to sign in. */
async function ask(...request) {
  const response = await fetch(...request);
  document.getElementById("signed-out").hidden = response.status !== 401;
  return response;
}

function start(examples) {
  const url = new URL(location.pathname, location.href);
  const socketUrl = new URL(url);
  socketUrl.protocol = url.protocol === "https:" ? "wss:" : "ws:";

  const page = React.createElement(
    GraphiQL,
    {
      fetcher: GraphiQL.createFetcher({ url: url.href, subscriptionUrl: socketUrl.href, fetch: ask }),
      // Separate from the tabs of another project's GraphiQL at the same origin, such as localhost.
      storage: GraphiQL.createLocalStorage({ namespace: `rungraph:${url.pathname}` }),
      plugins: [GraphiQLPluginExplorer.explorerPlugin({ showAttribution: false })],
      defaultTabs: examples.map((query) => ({ query })),
      schemaDescription: true,
      inputValueDeprecation: true,
    },
    React.createElement(GraphiQL.Logo, null, "Rungraph"),
  );
  ReactDOM.createRoot(document.getElementById("graphiql")).render(page);
}

loadExamples().then(start, (error) => {
  document.querySelector("#graphiql .notice").textContent = `GraphiQL could not start: ${error.message}`;
});
