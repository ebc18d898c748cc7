/** GraphQL Yoga, on Node's HTTP server. */

import { createServer } from "node:http";
import { createSchema, createYoga } from "graphql-yoga";
import { resolvers, typeDefs } from "./runs.js";

const yoga = createYoga({ schema: createSchema({ typeDefs, resolvers }), logging: false, maskedErrors: false });
createServer((request, response) => {
  if (request.url === "/readyz") response.end("ready\n");
  else yoga(request, response);
}).listen(Number(process.env.RUNGRAPH_PORT), "127.0.0.1");
