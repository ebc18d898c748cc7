import { CombinedError } from "urql";
import { describe, expect, test } from "vitest";
import { isTransient, problemOf } from "../../src/live/errors";

const graphQL = (message: string, extensions?: Record<string, unknown>) => ({ message, extensions });

describe("converting errors", () => {
  test("of several GraphQL errors the first is used, with its code and log id", () => {
    const reason = [graphQL("no such run", { code: "NOT_FOUND", id: "e-1" }), graphQL("other")];
    expect(problemOf(reason)).toEqual({ message: "no such run", code: "NOT_FOUND", id: "e-1" });
  });

  test("an error without a code is an internal error", () => {
    expect(problemOf([graphQL("oops")])).toEqual({ message: "oops", code: "INTERNAL_SERVER_ERROR" });
    expect(problemOf([graphQL("oops", { code: 500, id: 7 })])).toEqual({
      message: "oops",
      code: "INTERNAL_SERVER_ERROR",
    });
  });

  test("a CombinedError has the server's message", () => {
    const error = new CombinedError({ graphQLErrors: [graphQL("bad", { code: "BAD_USER_INPUT" })] });
    expect(problemOf(error)).toMatchObject({ message: "bad", code: "BAD_USER_INPUT" });
  });

  test.each([
    ["FORBIDDEN", "you may not abort in etl/production", /^This is not allowed: you may not .*production\. /],
    ["UNAUTHENTICATED", "Authentication required: send", /^You are signed out\./],
    ["TIMEOUT", "a statement took too long", /^A statement took too long\.$/],
    ["RATE_LIMITED", "Too many operations. Try again in 5 s.", /^Too many operations\. Try again in 5 s\.$/],
  ])("%s has a readable message", (code, message, expected) => {
    expect(problemOf([graphQL(message, { code })]).message).toMatch(expected);
  });

  test("the pause comes from the header or the error", () => {
    const graphQLErrors = [graphQL("too many", { code: "RATE_LIMITED" })];
    const response = new Response("", { status: 429, headers: { "Retry-After": "7" } });
    expect(problemOf(new CombinedError({ graphQLErrors, response })).retryAfter).toBe(7);
    const limited = { code: "RATE_LIMITED", retryAfter: 4 };
    expect(problemOf([graphQL("too many", limited)]).retryAfter).toBe(4);
    expect(problemOf([graphQL("too many", { code: "RATE_LIMITED" })]).retryAfter).toBeUndefined();
    expect(problemOf([graphQL("too many", { ...limited, retryAfter: "soon" })]).retryAfter).toBeUndefined();
  });

  test("a CombinedError without a response is a network error", () => {
    const error = new CombinedError({ networkError: new TypeError("fetch failed") });
    expect(problemOf(error)).toEqual({ message: "The server cannot be reached.", code: "NETWORK" });
  });

  test("a GraphQL error, a plain error and a close event are distinguished", () => {
    expect(problemOf(graphQL("late", { code: "TIMEOUT" }))).toMatchObject({
      message: "Late.",
      code: "TIMEOUT",
    });
    expect(problemOf(new Error("socket hang up"))).toEqual({ message: "socket hang up", code: "NETWORK" });
    expect(problemOf({ code: 1006, reason: "" })).toMatchObject({ code: "NETWORK" });
  });

  test.each([[null], [undefined], ["text"], [[]], [{}]])("%j is a lost connection", (reason) => {
    expect(problemOf(reason)).toEqual({
      message: "The connection to the server was lost.",
      code: "NETWORK",
    });
  });
});

describe("retrying", () => {
  test.each([
    "NETWORK",
    "SERVICE_UNAVAILABLE",
    "INTERNAL_SERVER_ERROR",
    "RATE_LIMITED",
    "TIMEOUT",
    "UNAUTHENTICATED",
  ])("%s is transient", (code) => {
    expect(isTransient({ message: "", code })).toBe(true);
  });

  test.each(["NOT_FOUND", "BAD_USER_INPUT", "GRAPHQL_VALIDATION_FAILED", ""])("%j is permanent", (code) => {
    expect(isTransient({ message: "", code })).toBe(false);
  });
});
