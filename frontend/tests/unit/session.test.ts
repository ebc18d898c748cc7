import { beforeEach, describe, expect, test, vi } from "vitest";
import { type Answer, Session, type Viewer, readViewer, loginAddress } from "../../src/live/session";
import { RateLimitPause } from "../../src/live/rateLimitPause";

const viewerOf = (subject: string): Viewer => ({
  identity: { kind: "USER", subject, name: null, email: null },
  grants: [{ role: "VIEWER", project: "etl", domain: null }],
});
const ANONYMOUS: Viewer = { identity: null, grants: [{ role: "ADMIN", project: null, domain: null }] };

let answer: Answer;
let requests: number;
let reloads: number;
let session: Session;

beforeEach(() => {
  [answer, requests, reloads] = [viewerOf("user-1"), 0, 0];
  session = new Session(
    () => {
      requests += 1;
      return Promise.resolve(answer);
    },
    () => {
      reloads += 1;
    },
  );
});

/** Whether the promise is settled. */
async function isDone(promise: Promise<unknown>): Promise<boolean> {
  const pending = {};
  await new Promise((resolve) => setTimeout(resolve, 0));
  return (await Promise.race([promise, Promise.resolve(pending)])) !== pending;
}

describe("the caller", () => {
  test("is requested once for concurrent callers", async () => {
    expect(await Promise.all([session.check(), session.check()])).toEqual([true, true]);
    expect([requests, session.viewer.get()]).toEqual([1, viewerOf("user-1")]);
  });

  test("is referentially stable while it is the same person", async () => {
    await session.check();
    const before = session.viewer.get();
    answer = viewerOf("user-1");
    await session.check();
    expect(session.viewer.get()).toBe(before);
    expect(reloads).toBe(0);
  });

  test("an unavailable server changes nothing", async () => {
    answer = "silent";
    expect(await session.check()).toBe(false);
    expect([session.viewer.get(), session.isOver.get()]).toEqual([null, false]);
  });
});

describe("reconnecting", () => {
  test("without authentication it is allowed at once, without a request", async () => {
    answer = ANONYMOUS;
    await session.check();
    expect(await session.mayConnect()).toBe(true);
    expect(requests).toBe(1);
  });

  test("it waits while signed out, without requests, and continues after signing in", async () => {
    await session.check();
    session.end();
    answer = "unknown";
    const allowed = session.mayConnect();
    expect(await isDone(allowed)).toBe(false);
    expect(requests).toBe(2);
    answer = viewerOf("user-1");
    session.recheck();
    expect(await allowed).toBe(true);
    expect([session.isOver.get(), reloads]).toEqual([false, 0]);
  });

  test("a session that the server still accepts continues", async () => {
    await session.check();
    session.end();
    expect(await session.mayConnect()).toBe(true);
    expect(session.isOver.get()).toBe(false);
  });

  test("it is not allowed while the server is unavailable, and can be retried", async () => {
    await session.check();
    answer = "silent";
    expect(await session.mayConnect()).toBe(false);
    answer = viewerOf("user-1");
    expect(await session.mayConnect()).toBe(true);
  });

  test("for another user or other roles the page reloads", async () => {
    for (const other of [viewerOf("user-2"), { ...viewerOf("user-1"), grants: [] }, ANONYMOUS]) {
      session = new Session(
        () => Promise.resolve(answer),
        () => (reloads += 1),
      );
      [answer, reloads] = [viewerOf("user-1"), 0];
      await session.check();
      session.end();
      answer = other;
      expect(await isDone(session.mayConnect())).toBe(false);
      expect([reloads, session.isOver.get(), session.viewer.get()]).toEqual([1, true, viewerOf("user-1")]);
    }
  });
});

describe("returning to the page", () => {
  test("the caller is requested again, but not each time", async () => {
    vi.useFakeTimers();
    await session.check();
    session.recheck();
    expect(requests).toBe(1);
    vi.advanceTimersByTime(2_001);
    session.recheck();
    expect(requests).toBe(2);
    vi.useRealTimers();
  });

  test("the caller is not requested without authentication", async () => {
    vi.useFakeTimers();
    answer = ANONYMOUS;
    await session.check();
    vi.advanceTimersByTime(60_000);
    session.recheck();
    expect(requests).toBe(1);
    vi.useRealTimers();
  });
});

describe("responses", () => {
  const pause = new RateLimitPause();
  const answered = (status: number, body: string): Promise<Answer> => {
    vi.stubGlobal("fetch", () =>
      Promise.resolve(new Response(body, { status, headers: { "Retry-After": "9" } })),
    );
    return readViewer("http://runs.example.com/graphql", pause).finally(() => vi.unstubAllGlobals());
  };

  test("a viewer, unauthenticated, or no response", async () => {
    expect(await answered(200, JSON.stringify({ data: { viewer: ANONYMOUS } }))).toEqual(ANONYMOUS);
    expect(await answered(401, "{}")).toBe("unknown");
    for (const body of ["", "{}", '{"data": null}', "<html>"])
      expect(await answered(503, body)).toBe("silent");
    expect(pause.remaining).toBe(0);
  });

  test("rate limited: no request until the end of the pause", async () => {
    expect(await answered(429, "{}")).toBe("silent");
    expect(pause.remaining).toBeGreaterThan(8_000);
  });
});

describe("the sign-in page", () => {
  const base = "https://example.com/team/rungraph/";

  test.each([
    [
      "https://example.com/team/rungraph/runs/a~1b/d/n?view=timeline&q=%C3%A4",
      "runs/a~1b/d/n?view=timeline&q=%C3%A4",
    ],
    ["https://example.com/team/rungraph/", null],
    ["https://example.com/elsewhere/runs", null],
    ["https://example.org/team/rungraph/runs", null],
  ])("from %s the return URL is %s", (address, back) => {
    const login = new URL(loginAddress(base, address));
    expect(login.pathname).toBe("/team/rungraph/login");
    expect(login.searchParams.get("return_to")).toBe(back);
  });
});
