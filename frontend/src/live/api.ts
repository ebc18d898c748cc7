import type { TypedDocumentNode } from "@graphql-typed-document-node/core";
import { createContext, use } from "react";
import { type Client, stringifyDocument } from "urql";
import { createClient } from "./client";
import { Socket } from "./connection";
import { Patience } from "./patience";
import { Session, askWho } from "./session";
import { type Watcher, watch } from "./watch";

/** Where the API is, and the two ways to ask it. */
export interface Api {
  socket: Socket;
  client: Client;
  session: Session;
  patience: Patience;
  /** Where the page lies, and with it the pages for signing in and out. */
  base: string;
}

/** The API beside the page, wherever that is served. */
export function openApi(base: string): Api {
  const url = new URL("graphql", base);
  const socketUrl = new URL(url);
  socketUrl.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  const patience = new Patience();
  const session = new Session(
    () => askWho(url.href, patience),
    () => window.location.reload(),
  );
  const socket = new Socket({
    url: socketUrl.href,
    admits: () => session.admits(),
    onForbidden: () => session.end(),
    patience,
  });
  void session.check();
  socket.connection.listen(() => {
    if (socket.connection.get().state === "live" && !session.viewer.get()) void session.check();
  });
  session.isOver.listen(() => {
    if (session.isOver.get()) socket.giveUp();
  });
  window.addEventListener("focus", session.lookAgain);
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) session.lookAgain();
  });
  window.addEventListener("pageshow", ({ persisted }) => {
    // Kept while somebody was elsewhere, maybe to sign out.
    if (persisted && session.viewer.get()?.identity) window.location.reload();
  });
  return { socket, client: createClient(url.href, socket, session), session, patience, base };
}

export const ApiContext = createContext<Api | null>(null);

export function useApi(): Api {
  const api = use(ApiContext);
  if (!api) throw new Error("there is no API here");
  return api;
}

/**
 * Watch a subscription whose rows are many: past urql's cache, which would take every row apart.
 * `variables` is asked anew at each connection.
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
