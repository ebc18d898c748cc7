/** Mercurius on Fastify, with graphql-jit. */

import Fastify from "fastify";
import mercurius from "mercurius";
import { resolvers, typeDefs } from "./runs.js";

const app = Fastify();
app.register(mercurius, { schema: typeDefs, resolvers, jit: 1 });
app.get("/readyz", () => "ready\n");
await app.listen({ host: "127.0.0.1", port: Number(process.env.RUNGRAPH_PORT) });
