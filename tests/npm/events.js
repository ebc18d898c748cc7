// Prints every result of one operation that the graphql-sse client gets: node events.js URL QUERY.
import { createClient } from "graphql-sse";

const [url, query] = process.argv.slice(2);
const client = createClient({ url, retryAttempts: 0 });
for await (const result of client.iterate({ query })) {
  console.log(JSON.stringify(result));
}
client.dispose();
