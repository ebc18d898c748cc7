import type { Client } from "graphql-ws";
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import WebSocket from "ws";
import { Socket, backoff } from "../../src/live/connection";
import { RateLimitPause } from "../../src/live/rateLimitPause";
import { watch } from "../../src/live/watch";
import { GraphQLServer } from "./graphqlServer";

/** Milliseconds for which the machine may stand still. */
const STALL = 4_000;

describe("how long to wait before the next try", () => {
  test("it doubles from a quarter of a second up to eight seconds, the half of it by chance", () => {
    const longest = [250, 500, 1_000, 2_000, 4_000, 8_000, 8_000, 8_000];
    for (const [retry, most] of longest.entries()) {
      vi.spyOn(Math, "random").mockReturnValue(0);
      expect(backoff(retry)).toBe(most / 2);
      vi.spyOn(Math, "random").mockReturnValue(0.5);
      expect(backoff(retry)).toBe(most * 0.75);
    }
  });

  test("it does not grow beyond that, however often it was tried", () => {
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
    // A page ends with its window; here it must not knock at the servers of other tests.
    end = () => {
      stop();
      void (socket as unknown as { client: Client }).client.dispose();
      socket.retryNow();
    };
    return socket;
  }

  const until = (check: () => void): Promise<void> => vi.waitFor(check, { timeout: 5_000, interval: 5 });
  const become = (state: string): Promise<void> => until(() => expect(states.at(-1)).toBe(state));

  test("it connects by itself, and is live once the server agreed", async () => {
    const socket = open();
    const { since } = socket.connection.get();
    await become("live");
    expect(states).toEqual(["connecting", "live"]);
    expect(socket.connection.get().since).toBeGreaterThanOrEqual(since);
    expect(server.connections).toBe(1);
  });

  test("it is lost when the server goes, and live again when that is back", async () => {
    open();
    await become("live");
    await server.stop();
    await become("lost");
    await server.start();
    await become("live");
    expect(states).toEqual(["connecting", "live", "lost", "live"]);
  });

  test("where no server is there from the beginning it is lost, and live as soon as one is", async () => {
    await server.stop();
    open();
    await become("lost");
    await server.start();
    await become("live");
    expect(states).toEqual(["connecting", "lost", "live"]);
  });

  test.each([1000, 1001, 1006, 1008, 1011, 1012, 4400, 4500])(
    "a server that closes with %i is connected to again, though nothing is watched",
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

  test("what is watched goes on behind the newest frame after the connection was lost", async () => {
    const socket = open();
    let cursor = 0;
    const heard: number[] = [];
    const stop = watch<{ tick: number }>(
      socket,
      () => ({ query: "subscription { tick }", variables: { after: cursor } }),
      {
        next: ({ tick }) => {
          cursor = tick;
          heard.push(tick);
        },
        failed: ({ message }) => expect.unreachable(message),
      },
    );
    await until(() => expect(server.operations).toHaveLength(1));
    expect(server.operations[0]?.variables).toEqual({ after: 0 });
    server.send({ tick: 41 });
    await until(() => expect(heard).toEqual([41]));
    await server.stop();
    await server.start();
    await until(() => expect(server.operations).toHaveLength(2));
    expect(server.operations[1]?.variables).toEqual({ after: 41 });
    server.send({ tick: 42 });
    await until(() => expect(heard).toEqual([41, 42]));
    stop();
    await until(() => expect(server.completed).toEqual([server.operations[1]?.id]));
  });

  test("a server that answers is not given up, however many beats go by", async () => {
    open({ pingInterval: 10, pongTimeout: STALL });
    await new Promise((resolve) => setTimeout(resolve, STALL + 200));
    expect(server.pings).toBeGreaterThan(5);
    expect(states).toEqual(["connecting", "live"]);
    expect(server.connections).toBe(1);
  }, 20_000);

  test("a server that does not answer any more is lost, and connected to anew", async () => {
    open({ pingInterval: 10, pongTimeout: 60 });
    await become("live");
    server.isSilent = true;
    await become("lost");
    server.isSilent = false;
    await become("live");
    expect(server.connections).toBeGreaterThan(1);
  });

  test("a question that was still open when the server closed is not held against the next connection", async () => {
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

  test("a server that does not know who this is is not knocked at, until somebody is signed in", async () => {
    vi.spyOn(Math, "random").mockReturnValue(0);
    let letIn: (admitted: boolean) => void = () => undefined;
    const asked = vi.fn(() => new Promise<boolean>((resolve) => (letIn = resolve)));
    const onForbidden = vi.fn();
    open({ mayConnect: asked, onForbidden });
    await become("live");
    server.closeClients(4403);
    await until(() => expect(asked).toHaveBeenCalledTimes(1));
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect([server.connections, asked.mock.calls.length]).toEqual([1, 1]);
    expect(onForbidden).toHaveBeenCalledTimes(1);
    // The server was away when it was asked: that is tried again.
    letIn(false);
    await until(() => expect(asked).toHaveBeenCalledTimes(2));
    expect(server.connections).toBe(1);
    letIn(true);
    await become("live");
    expect(server.connections).toBe(2);
  });

  test("a server that asked for a pause is left alone for as long, also after it went", async () => {
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

  test("who is in a hurry does not wait for the next try", async () => {
    // More than a quarter of a minute: nothing but haste brings it back in time.
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

  test("a browser that is offline has lost the server, and tries at once when it is online again", async () => {
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
