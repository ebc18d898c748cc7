import type { TypedDocumentNode } from "@graphql-typed-document-node/core";
import { createContext, use } from "react";
import { type Client, stringifyDocument } from "urql";
import { createClient } from "./client";
import { Socket } from "./connection";
import { FirstSocket } from "./earlySocket";
import { ProblemError } from "./errors";
import { RateLimitPause } from "./rateLimitPause";
import { Session, readViewer } from "./session";
import { type Watcher, watch } from "./watch";

/** The clients of the API: HTTP and websocket. */
export interface Api {
  socket: Socket;
  client: Client;
  session: Session;
  pause: RateLimitPause;
  /** The base URL of the page and the sign-in pages. */
  base: string;
}

/** The API's URL, relative to the page. */
export function openApi(base: string): Api {
  const url = new URL("graphql", base);
  const socketUrl = new URL(url);
  socketUrl.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  const pause = new RateLimitPause();
  const session = new Session(
    () => readViewer(url.href, pause),
    () => window.location.reload(),
  );
  const socket = new Socket({
    url: socketUrl.href,
    mayConnect: () => session.mayConnect(),
    onForbidden: () => session.end(),
    pause,
    webSocketImpl: FirstSocket,
  });
  void session.check();
  socket.connection.listen(() => {
    if (socket.connection.get().state === "live" && !session.viewer.get()) void session.check();
  });
  session.isOver.listen(() => {
    if (session.isOver.get()) socket.disconnect();
  });
  window.addEventListener("focus", session.recheck);
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) session.recheck();
  });
  window.addEventListener("pageshow", ({ persisted }) => {
    // Restored from the back/forward cache, maybe after signing out.
    if (persisted && session.viewer.get()?.identity) window.location.reload();
  });
  return { socket, client: createClient(url.href, socket, session), session, pause, base };
}

export const ApiContext = createContext<Api | null>(null);

export function useApi(): Api {
  const api = use(ApiContext);
  if (!api) throw new Error("there is no API here");
  return api;
}

/**
 * Subscribes to a stream with many rows, bypassing urql's cache, which would normalise each row. `variables`
 * is called at each connection.
 */
export function watchDocument<Data, Variables extends Record<string, unknown>>(
  api: Api,
  document: TypedDocumentNode<Data, Variables>,
  variables: () => Variables,
  watcher: Watcher<Data>,
): () => void {
  const query = stringifyDocument(document);
  return watch<Data>(api.socket, () => ({ query, variables: variables() }), watcher);
}

/** Reads data with many rows, bypassing urql's cache; waits for the connection. Rejects with a `ProblemError`. */
export function readDocument<Data, Variables extends Record<string, unknown>>(
  api: Api,
  document: TypedDocumentNode<Data, Variables>,
  variables: Variables,
): Promise<Data> {
  return new Promise((resolve, reject) => {
    watchDocument(api, document, () => variables, {
      next: resolve,
      failed: (problem) => reject(new ProblemError(problem)),
      ended: () => reject(new ProblemError({ code: "NO_ANSWER", message: "The server did not answer." })),
    });
  });
}
