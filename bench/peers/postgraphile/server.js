/** PostGraphile 4 over a view of the runs; its own names of fields. */

import { createServer } from "node:http";
import { postgraphile } from "postgraphile";

const handle = postgraphile(process.env.RUNGRAPH_DATABASE_URL, "peers", {
  graphiql: false,
  disableQueryLog: true,
  dynamicJson: true,
});
createServer((request, response) => {
  if (request.url === "/readyz") response.end("ready\n");
  else handle(request, response);
}).listen(Number(process.env.RUNGRAPH_PORT), "127.0.0.1");
