import { cacheExchange } from "@urql/exchange-graphcache";
import {
  createClient as createSocketlessClient,
  fetchExchange,
  subscriptionExchange,
  type Client,
} from "urql";
import type { Socket } from "./connection";
import { watch } from "./watch";

/** The types that have no id of their own: they are kept within what holds them. */
const PARTS = [
  "Abort",
  "AbortProgress",
  "ActionAttempt",
  "ActionConnection",
  "ActionEdge",
  "ActionError",
  "ActionEventConnection",
  "ActionEventEdge",
  "ActionIdentifier",
  "ClusterEvent",
  "Identity",
  "Label",
  "LogLink",
  "PageInfo",
  "PhaseCount",
  "PhaseTransition",
  "Project",
  "RunConnection",
  "RunEdge",
  "RunHistogramBucket",
  "RunIdentifier",
  "TaskIdentifier",
  "TaskSummary",
  "TaskSummaryConnection",
  "TaskSummaryEdge",
  "TriggerIdentifier",
];

/** The client of the API for what is asked once, and for single runs and actions that are watched. */
export function createClient(url: string, socket: Socket): Client {
  return createSocketlessClient({
    url,
    preferGetMethod: false,
    requestPolicy: "cache-and-network",
    exchanges: [
      cacheExchange({ keys: Object.fromEntries(PARTS.map((name) => [name, () => null])) }),
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
