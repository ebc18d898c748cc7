// Prints every result of an operation by the graphql-sse client: node events.js URL QUERY. RUNGRAPH_TOKEN is
// the token, if any.
import { createClient } from "graphql-sse";

const [url, query] = process.argv.slice(2);
const token = process.env.RUNGRAPH_TOKEN;
const client = createClient({
  url,
  retryAttempts: 0,
  headers: token ? { authorization: `Bearer ${token}` } : undefined,
});
for await (const result of client.iterate({ query })) {
  console.log(JSON.stringify(result));
}
client.dispose();
