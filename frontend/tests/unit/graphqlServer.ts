import type { AddressInfo } from "node:net";
import { type WebSocket, WebSocketServer } from "ws";

interface Message {
  type: string;
  id?: string;
  payload?: { query: string; variables?: Record<string, unknown> };
}

/** An operation that a client subscribed to. */
export interface Operation {
  id: string;
  variables: Record<string, unknown>;
  client: WebSocket;
}

/** A server that speaks graphql-transport-ws as far as a test needs it, and does what a test wants of it. */
export class GraphQLServer {
  readonly operations: Operation[] = [];
  readonly completed: string[] = [];
  connections = 0;
  pings = 0;
  /** A server that hangs: it keeps its connections and says nothing. */
  isSilent = false;
  private server: WebSocketServer | undefined;
  private port = 0;

  get url(): string {
    return `ws://127.0.0.1:${this.port}/graphql`;
  }

  /** Listen; after it was stopped, at the same address. */
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

  /** A result of the operation that was begun last. */
  send(data: unknown): void {
    const operation = this.operations.at(-1);
    operation?.client.send(JSON.stringify({ type: "next", id: operation.id, payload: { data } }));
  }

  /** Close what is connected, with this code, and go on listening. */
  closeClients(code: number): void {
    for (const client of this.server?.clients ?? []) client.close(code, "as the test wants it");
  }

  /** As a crash would: everything breaks off, and nobody listens any more. */
  async stop(): Promise<void> {
    const { server } = this;
    if (!server) return;
    this.server = undefined;
    for (const client of server.clients) client.terminate();
    await new Promise((resolve) => server.close(resolve));
  }
}
