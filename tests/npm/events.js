// Prints every result of one operation that the graphql-sse client gets: node events.js URL QUERY. It shows
// the token in RUNGRAPH_TOKEN, if there is one.
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
