import { cacheExchange } from "@urql/exchange-graphcache";
import {
  createClient as createSocketlessClient,
  fetchExchange,
  makeOperation,
  mapExchange,
  subscriptionExchange,
  type Client,
} from "urql";
import type { Socket } from "./connection";
import { retryAfter } from "./rateLimitPause";
import type { Session } from "./session";
import { watch } from "./watch";

/** Types without an id: they are embedded in their parent. */
const PARTS = [
  "Abort",
  "AbortProgress",
  "ActionAttempt",
  "ActionColumn",
  "ActionColumns",
  "ActionConnection",
  "ActionEdge",
  "ActionError",
  "ActionEventConnection",
  "ActionEventEdge",
  "ActionIdentifier",
  "Artifact",
  "ClusterEvent",
  "Identity",
  "Label",
  "Link",
  "LogLink",
  "LogStream",
  "LogSummary",
  "Metric",
  "MetricPoint",
  "PageInfo",
  "PhaseCount",
  "PhaseTransition",
  "Progress",
  "Project",
  "RunConnection",
  "RunEdge",
  "RunGrid",
  "RunGridCell",
  "RunGridRow",
  "RunHistogramBucket",
  "RunIdentifier",
  "TaskIdentifier",
  "TaskSummary",
  "TaskSummaryConnection",
  "TaskSummaryEdge",
  "TriggerIdentifier",
];

/** The urql client: queries, mutations, and subscriptions to single runs and actions. */
export function createClient(url: string, socket: Socket, session: Session): Client {
  const ask: typeof fetch = async (...request) => {
    const response = await fetch(...request);
    if (response.status === 401) session.end();
    return response;
  };
  // Reads wait for the end of a server-requested pause.
  const fetchPatiently: typeof fetch = async (...request) => {
    for (;;) {
      await session.whenSignedIn();
      await socket.pause.wait();
      const response = await ask(...request);
      if (response.status === 429) socket.pause.start(retryAfter(response.headers));
      else if (response.status !== 401) return response;
    }
  };
  return createSocketlessClient({
    url,
    fetch: ask,
    preferGetMethod: false,
    requestPolicy: "cache-and-network",
    exchanges: [
      cacheExchange({ keys: Object.fromEntries(PARTS.map((name) => [name, () => null])) }),
      mapExchange({
        onOperation: (operation) =>
          operation.kind === "query"
            ? makeOperation("query", operation, { ...operation.context, fetch: fetchPatiently })
            : operation,
      }),
      fetchExchange,
      subscriptionExchange({
        forwardSubscription: ({ query = "", variables }) => ({
          subscribe: (sink) => ({
            unsubscribe: watch(socket, () => ({ query, variables: variables as Record<string, unknown> }), {
              next: (data) => sink.next({ data: data as Record<string, unknown> }),
              failed: (problem) => {
                sink.next({
                  errors: [{ message: problem.message, extensions: { code: problem.code, id: problem.id } }],
                });
                sink.complete();
              },
              ended: () => sink.complete(),
            }),
          }),
        }),
      }),
    ],
  });
}
