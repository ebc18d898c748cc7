// Prints the results of several operations on one graphql-ws socket, a line of JSON each:
// node subscribe.js URL QUERY... RUNGRAPH_TOKEN is the token, if any.
import { createClient } from "graphql-ws";
import WebSocket from "ws";

const [url, ...queries] = process.argv.slice(2);
const token = process.env.RUNGRAPH_TOKEN;
const print = (line) => console.log(JSON.stringify(line));
const client = createClient({
  url: url.replace("http", "ws"),
  webSocketImpl: WebSocket,
  connectionParams: token ? { authorization: `Bearer ${token}` } : undefined,
  // Also if the connection is refused: the server may be restarting.
  shouldRetry: () => true,
  retryAttempts: 1000,
  retryWait: () => new Promise((resolve) => setTimeout(resolve, 100)),
  on: {
    connected: () => print({ connected: true }),
    closed: ({ code }) => print({ closed: code }),
  },
});
await Promise.all(
  queries.map(
    (query, operation) =>
      new Promise((resolve) => {
        client.subscribe(
          { query },
          {
            next: (result) => print({ operation, result }),
            error: (errors) => resolve(print({ operation, errors })),
            complete: () => resolve(print({ operation, complete: true })),
          },
        );
      }),
  ),
);
await client.dispose();
