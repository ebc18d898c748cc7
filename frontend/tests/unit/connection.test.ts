import type { Client } from "graphql-ws";
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import WebSocket from "ws";
import { Socket, backoff } from "../../src/live/connection";
import { RateLimitPause } from "../../src/live/rateLimitPause";
import { watch } from "../../src/live/watch";
import { GraphQLServer } from "./graphqlServer";

/** Milliseconds for which the machine may stall. */
const STALL = 4_000;

describe("backoff", () => {
  test("it doubles from a quarter of a second to eight seconds, with half as jitter", () => {
    const longest = [250, 500, 1_000, 2_000, 4_000, 8_000, 8_000, 8_000];
    for (const [retry, most] of longest.entries()) {
      vi.spyOn(Math, "random").mockReturnValue(0);
      expect(backoff(retry)).toBe(most / 2);
      vi.spyOn(Math, "random").mockReturnValue(0.5);
      expect(backoff(retry)).toBe(most * 0.75);
    }
  });

  test("it does not grow further", () => {
    for (const retry of [20, 1_000, 10_000]) {
      const wait = backoff(retry);
      expect(wait).toBeGreaterThanOrEqual(4_000);
      expect(wait).toBeLessThan(8_000);
    }
  });
});

describe("the socket", () => {
  let server: GraphQLServer;
  let states: string[];
  let end: () => void;

  beforeEach(async () => {
    server = new GraphQLServer();
    await server.start();
  });

  afterEach(async () => {
    end();
    await server.stop();
  });

  function open(options: Partial<ConstructorParameters<typeof Socket>[0]> = {}): Socket {
    const socket = new Socket({ url: server.url, webSocketImpl: WebSocket, ...options });
    states = [socket.connection.get().state];
    const stop = socket.connection.listen(() => states.push(socket.connection.get().state));
    // Closed after each test, so that it does not connect to servers of other tests.
    end = () => {
      stop();
      void (socket as unknown as { client: Client }).client.dispose();
      socket.retryNow();
    };
    return socket;
  }

  const until = (check: () => void): Promise<void> => vi.waitFor(check, { timeout: 5_000, interval: 5 });
  const become = (state: string): Promise<void> => until(() => expect(states.at(-1)).toBe(state));

  test("it connects by itself and is live after the acknowledgement", async () => {
    const socket = open();
    const { since } = socket.connection.get();
    await become("live");
    expect(states).toEqual(["connecting", "live"]);
    expect(socket.connection.get().since).toBeGreaterThanOrEqual(since);
    expect(server.connections).toBe(1);
  });

  test("it is lost when the server stops, and live again when it returns", async () => {
    open();
    await become("live");
    await server.stop();
    await become("lost");
    await server.start();
    await become("live");
    expect(states).toEqual(["connecting", "live", "lost", "live"]);
  });

  test("without a server at the start it is lost, and live as soon as there is one", async () => {
    await server.stop();
    open();
    await become("lost");
    await server.start();
    await become("live");
    expect(states).toEqual(["connecting", "lost", "live"]);
  });

  test.each([1000, 1001, 1006, 1008, 1011, 1012, 4400, 4500])(
    "it reconnects after close code %i even without subscriptions",
    async (code) => {
      open();
      await become("live");
      if (code === 1006) await server.stop().then(() => server.start());
      else server.closeClients(code);
      await until(() => expect(server.connections).toBe(2));
      await become("live");
      expect(states).toEqual(["connecting", "live", "lost", "live"]);
    },
  );

  test("subscriptions resume after the newest frame when the connection was lost", async () => {
    const socket = open();
    let cursor = 0;
    const received: number[] = [];
    const stop = watch<{ tick: number }>(
      socket,
      () => ({ query: "subscription { tick }", variables: { after: cursor } }),
      {
        next: ({ tick }) => {
          cursor = tick;
          received.push(tick);
        },
        failed: ({ message }) => expect.unreachable(message),
      },
    );
    await until(() => expect(server.operations).toHaveLength(1));
    expect(server.operations[0]?.variables).toEqual({ after: 0 });
    server.send({ tick: 41 });
    await until(() => expect(received).toEqual([41]));
    await server.stop();
    await server.start();
    await until(() => expect(server.operations).toHaveLength(2));
    expect(server.operations[1]?.variables).toEqual({ after: 41 });
    server.send({ tick: 42 });
    await until(() => expect(received).toEqual([41, 42]));
    stop();
    await until(() => expect(server.completed).toEqual([server.operations[1]?.id]));
  });

  test("a responding server stays connected over many pings", async () => {
    open({ pingInterval: 10, pongTimeout: STALL });
    await new Promise((resolve) => setTimeout(resolve, STALL + 200));
    expect(server.pings).toBeGreaterThan(5);
    expect(states).toEqual(["connecting", "live"]);
    expect(server.connections).toBe(1);
  }, 20_000);

  test("a server that stops responding is disconnected and reconnected", async () => {
    open({ pingInterval: 10, pongTimeout: 60 });
    await become("live");
    server.isSilent = true;
    await become("lost");
    server.isSilent = false;
    await become("live");
    expect(server.connections).toBeGreaterThan(1);
  });

  test("a pending ping does not affect the next connection", async () => {
    vi.spyOn(Math, "random").mockReturnValue(0);
    open({ pingInterval: 10, pongTimeout: STALL });
    await become("live");
    server.isSilent = true;
    const { pings } = server;
    await until(() => expect(server.pings).toBeGreaterThan(pings));
    server.isSilent = false;
    server.closeClients(1012);
    await become("lost");
    await become("live");
    await new Promise((resolve) => setTimeout(resolve, STALL + 50));
    expect(states).toEqual(["connecting", "live", "lost", "live"]);
  }, 20_000);

  test("it does not reconnect while unauthenticated", async () => {
    vi.spyOn(Math, "random").mockReturnValue(0);
    let authenticated: (allowed: boolean) => void = () => undefined;
    const mayConnect = vi.fn(() => new Promise<boolean>((resolve) => (authenticated = resolve)));
    const onForbidden = vi.fn();
    open({ mayConnect: mayConnect, onForbidden });
    await become("live");
    server.closeClients(4403);
    await until(() => expect(mayConnect).toHaveBeenCalledTimes(1));
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect([server.connections, mayConnect.mock.calls.length]).toEqual([1, 1]);
    expect(onForbidden).toHaveBeenCalledTimes(1);
    // The server was unavailable: it is retried.
    authenticated(false);
    await until(() => expect(mayConnect).toHaveBeenCalledTimes(2));
    expect(server.connections).toBe(1);
    authenticated(true);
    await become("live");
    expect(server.connections).toBe(2);
  });

  test("it does not reconnect during a requested pause, even after a restart", async () => {
    const pause = new RateLimitPause();
    open({ pause });
    await become("live");
    const began = Date.now();
    pause.start(1);
    server.closeClients(1013);
    await until(() => expect(server.connections).toBe(2));
    expect(Date.now() - began).toBeGreaterThanOrEqual(990);
    await become("live");
  });

  test("reconnecting immediately skips the backoff", async () => {
    // More than 15 seconds: only skipping the backoff reconnects in time.
    vi.spyOn(Math, "random").mockReturnValue(150);
    await server.stop();
    const socket = open();
    await become("lost");
    await server.start();
    await until(() => {
      socket.retryNow();
      expect(states.at(-1)).toBe("live");
    });
  });

  test("an offline browser is disconnected, and reconnects at once when online", async () => {
    const browser = new EventTarget();
    vi.stubGlobal("window", browser);
    onTestFinished(() => {
      vi.unstubAllGlobals();
    });
    vi.spyOn(Math, "random").mockReturnValue(150);
    open();
    await become("live");
    browser.dispatchEvent(new Event("offline"));
    expect(states.at(-1)).toBe("lost");
    await until(() => {
      browser.dispatchEvent(new Event("online"));
      expect(states.at(-1)).toBe("live");
    });
  });
});
