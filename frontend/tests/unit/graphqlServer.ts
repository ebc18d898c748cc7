import type { AddressInfo } from "node:net";
import { type WebSocket, WebSocketServer } from "ws";

interface Message {
  type: string;
  id?: string;
  payload?: { query: string; variables?: Record<string, unknown> };
}

/** A subscription of a client. */
export interface Operation {
  id: string;
  variables: Record<string, unknown>;
  client: WebSocket;
}

/** A minimal graphql-transport-ws server controlled by tests. */
export class GraphQLServer {
  readonly operations: Operation[] = [];
  readonly completed: string[] = [];
  connections = 0;
  pings = 0;
  /** Hangs: keeps connections without responding. */
  isSilent = false;
  private server: WebSocketServer | undefined;
  private port = 0;

  get url(): string {
    return `ws://127.0.0.1:${this.port}/graphql`;
  }

  /** Listens; after a stop, on the same port. */
  async start(): Promise<void> {
    const server = new WebSocketServer({
      host: "127.0.0.1",
      port: this.port,
      handleProtocols: () => "graphql-transport-ws",
    });
    this.server = server;
    server.on("connection", (client) => {
      this.connections += 1;
      client.on("message", (data: Buffer) => this.receive(client, JSON.parse(data.toString()) as Message));
    });
    await new Promise<void>((resolve, reject) => {
      server.once("listening", resolve);
      server.once("error", reject);
    });
    this.port = (server.address() as AddressInfo).port;
  }

  private receive(client: WebSocket, message: Message): void {
    if (message.type === "ping") this.pings += 1;
    if (this.isSilent) return;
    const { id = "", payload } = message;
    if (message.type === "connection_init") client.send(JSON.stringify({ type: "connection_ack" }));
    else if (message.type === "ping") client.send(JSON.stringify({ type: "pong" }));
    else if (message.type === "subscribe") {
      this.operations.push({ id, variables: payload?.variables ?? {}, client });
    } else if (message.type === "complete") this.completed.push(id);
  }

  /** Sends a result of the latest operation. */
  send(data: unknown): void {
    const operation = this.operations.at(-1);
    operation?.client.send(JSON.stringify({ type: "next", id: operation.id, payload: { data } }));
  }

  /** Closes all connections with this code and keeps listening. */
  closeClients(code: number): void {
    for (const client of this.server?.clients ?? []) client.close(code, "as the test wants it");
  }

  /** Crashes: drops all connections and stops listening. */
  async stop(): Promise<void> {
    const { server } = this;
    if (!server) return;
    this.server = undefined;
    for (const client of server.clients) client.terminate();
    await new Promise((resolve) => server.close(resolve));
  }
}
