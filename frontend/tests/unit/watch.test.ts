import type { SubscribePayload } from "graphql-ws";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Socket } from "../../src/live/connection";
import type { Problem } from "../../src/live/errors";
import { RateLimitPause } from "../../src/live/rateLimitPause";
import { watch } from "../../src/live/watch";

interface Data {
  tick: number;
}

interface Sink {
  next: (result: unknown) => void;
  error: (reason: unknown) => void;
  complete: () => void;
}

/** One operation on the socket, controlled by the test. */
interface Operation extends Sink {
  payload: SubscribePayload;
  stopped: boolean;
}

class FakeSocket {
  readonly pause = new RateLimitPause();
  readonly operations: Operation[] = [];

  subscribe(payload: SubscribePayload, sink: Sink): () => void {
    const operation: Operation = { payload, stopped: false, ...sink };
    this.operations.push(operation);
    return () => {
      operation.stopped = true;
    };
  }

  get last(): Operation {
    const operation = this.operations.at(-1);
    if (!operation) throw new Error("nothing was subscribed to");
    return operation;
  }

  /** The payload that graphql-ws serialises at each connection. */
  written(): unknown {
    return JSON.parse(JSON.stringify(this.last.payload));
  }
}

let socket: FakeSocket;
let said: string[];
let cursor: string | null;

function start(): () => void {
  return watch<Data>(
    socket as unknown as Socket,
    () => ({ query: "subscription", variables: { after: cursor } }),
    {
      next: ({ tick }) => {
        cursor = `c${tick}`;
        said.push(`next ${tick}`);
      },
      failed: ({ code }: Problem) => said.push(`failed ${code}`),
      interrupted: ({ code }: Problem) => said.push(`interrupted ${code}`),
      ended: () => said.push("ended"),
    },
  );
}

const errors = (code: string): { message: string; extensions: { code: string } }[] => [
  { message: "no", extensions: { code } },
];

beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(Math, "random").mockReturnValue(1);
  socket = new FakeSocket();
  said = [];
  cursor = null;
});

afterEach(() => {
  vi.useRealTimers();
});

describe("results", () => {
  test("data is reported in order", () => {
    start();
    socket.last.next({ data: { tick: 1 } });
    socket.last.next({ data: { tick: 2 } });
    expect(said).toEqual(["next 1", "next 2"]);
  });

  test("the end of the stream is reported once", () => {
    start();
    socket.last.complete();
    socket.last.complete();
    expect(said).toEqual(["ended"]);
    vi.advanceTimersByTime(60_000);
    expect(socket.operations).toHaveLength(1);
  });

  test("variables are evaluated at each connection, so that it resumes after the newest frame", () => {
    start();
    expect(socket.written()).toEqual({ query: "subscription", variables: { after: null } });
    socket.last.next({ data: { tick: 7 } });
    expect(socket.written()).toEqual({ query: "subscription", variables: { after: "c7" } });
    expect(socket.operations).toHaveLength(1);
  });
});

describe("a transient error", () => {
  test.each(["INTERNAL_SERVER_ERROR", "SERVICE_UNAVAILABLE", "RATE_LIMITED", "TIMEOUT", "UNAUTHENTICATED"])(
    "after %s it resumes after the newest frame",
    (code) => {
      start();
      socket.last.next({ data: { tick: 3 } });
      const [first] = socket.operations;
      socket.last.error(errors(code));
      expect(said).toEqual(["next 3", `interrupted ${code}`]);
      vi.advanceTimersByTime(250);
      expect(socket.operations).toHaveLength(2);
      expect(socket.written()).toMatchObject({ variables: { after: "c3" } });
      socket.last.next({ data: { tick: 4 } });
      expect(said.at(-1)).toBe("next 4");
      expect(first).not.toBe(socket.last);
    },
  );

  test("a rate-limited operation waits for the requested pause", () => {
    start();
    socket.last.error([{ message: "Too many.", extensions: { code: "RATE_LIMITED", retryAfter: 12 } }]);
    vi.advanceTimersByTime(11_999);
    expect(socket.operations).toHaveLength(1);
    vi.advanceTimersByTime(1);
    expect(socket.operations).toHaveLength(2);
  });

  test("in a result it ends the operation and starts another", () => {
    start();
    socket.last.next({ data: null, errors: errors("INTERNAL_SERVER_ERROR") });
    expect(socket.last.stopped).toBe(true);
    // graphql-ws reports this for a stopped operation.
    socket.last.complete();
    expect(said).toEqual(["interrupted INTERNAL_SERVER_ERROR"]);
    vi.advanceTimersByTime(250);
    expect(socket.operations).toHaveLength(2);
  });

  test("a result without data is a transient error", () => {
    start();
    socket.last.next({});
    expect(said).toEqual(["interrupted NETWORK"]);
  });

  test("a permanently refused connection is retried", () => {
    start();
    socket.last.error({ code: 4400, reason: "Bad Request" });
    expect(said).toEqual(["interrupted NETWORK"]);
    vi.advanceTimersByTime(250);
    expect(socket.operations).toHaveLength(2);
  });

  test("the backoff grows to eight seconds, and is reset by data", () => {
    start();
    const waits = [250, 500, 1_000, 2_000, 4_000, 8_000, 8_000];
    for (const [at, wait] of waits.entries()) {
      socket.last.error(errors("SERVICE_UNAVAILABLE"));
      vi.advanceTimersByTime(wait - 1);
      expect(socket.operations).toHaveLength(at + 1);
      vi.advanceTimersByTime(1);
      expect(socket.operations).toHaveLength(at + 2);
    }
    socket.last.next({ data: { tick: 1 } });
    socket.last.error(errors("SERVICE_UNAVAILABLE"));
    vi.advanceTimersByTime(250);
    expect(socket.operations).toHaveLength(waits.length + 2);
  });
});

describe("a permanent error", () => {
  test.each(["NOT_FOUND", "BAD_USER_INPUT", "SOMETHING_NEW"])(
    "after %s it has failed permanently",
    (code) => {
      start();
      socket.last.error(errors(code));
      socket.last.complete();
      vi.advanceTimersByTime(60_000);
      expect(said).toEqual([`failed ${code}`]);
      expect(socket.operations).toHaveLength(1);
    },
  );

  test("in a result it ends the operation on the server", () => {
    start();
    socket.last.next({ errors: errors("NOT_FOUND") });
    expect(socket.last.stopped).toBe(true);
    socket.last.next({ data: { tick: 1 } });
    expect(said).toEqual(["failed NOT_FOUND"]);
  });
});

describe("after stopping", () => {
  test("the server is notified, and nothing more is reported", () => {
    const stop = start();
    stop();
    expect(socket.last.stopped).toBe(true);
    socket.last.next({ data: { tick: 1 } });
    socket.last.next({ errors: errors("NOT_FOUND") });
    socket.last.error(errors("NOT_FOUND"));
    socket.last.complete();
    expect(said).toEqual([]);
  });

  test("a scheduled retry is cancelled", () => {
    const stop = start();
    socket.last.error(errors("TIMEOUT"));
    stop();
    vi.advanceTimersByTime(60_000);
    expect(socket.operations).toHaveLength(1);
    expect(said).toEqual(["interrupted TIMEOUT"]);
  });

  test("the operation of a later attempt is stopped too", () => {
    const stop = start();
    socket.last.error(errors("TIMEOUT"));
    vi.advanceTimersByTime(250);
    stop();
    expect(socket.last.stopped).toBe(true);
    expect(socket.operations).toHaveLength(2);
  });
});
