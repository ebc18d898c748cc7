import type { TypedDocumentNode } from "@graphql-typed-document-node/core";
import { createContext, use } from "react";
import { type Client, stringifyDocument } from "urql";
import { createClient } from "./client";
import { Socket } from "./connection";
import { type Watcher, watch } from "./watch";

/** Where the API is, and the two ways to ask it. */
export interface Api {
  socket: Socket;
  client: Client;
}

/** The API beside the page, wherever that is served. */
export function openApi(base: string): Api {
  const url = new URL("graphql", base);
  const socketUrl = new URL(url);
  socketUrl.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  const socket = new Socket({ url: socketUrl.href });
  return { socket, client: createClient(url.href, socket) };
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
