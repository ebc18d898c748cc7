import { describe, expect, test } from "vitest";
import type { Role } from "../../src/gql/graphql";
import { type Grant, describeGrant, may, mayWithin } from "../../src/live/access";

const grant = (role: Role, project: string | null = null, domain: string | null = null): Grant => ({
  role,
  project,
  domain,
});

describe("permissions of a role", () => {
  test.each([
    ["VIEWER", true, false, false],
    ["OPERATOR", true, true, false],
    ["WRITER", true, false, true],
    ["ADMIN", true, true, true],
  ] as const)("%s: reading %s, aborting %s, writing %s", (role, reads, aborts, writes) => {
    const grants = [grant(role)];
    expect(may(grants, "READ", "etl", "production")).toBe(reads);
    expect(may(grants, "ABORT", "etl", "production")).toBe(aborts);
    expect(may(grants, "WRITE", "etl", "production")).toBe(writes);
  });

  test("an unknown role allows nothing", () => {
    for (const role of ["JANITOR", "toString"]) {
      expect(may([grant(role as Role)], "READ", "etl", "production")).toBe(false);
    }
  });

  test("without a grant nothing is allowed", () => {
    expect(may([], "READ", "etl", "production")).toBe(false);
    expect(mayWithin([], "READ")).toBe("nowhere");
  });
});

describe("scope of a role", () => {
  test.each([
    [grant("OPERATOR"), [true, true, true]],
    [grant("OPERATOR", "etl"), [true, true, false]],
    [grant("OPERATOR", null, "production"), [true, false, true]],
    [grant("OPERATOR", "etl", "production"), [true, false, false]],
  ])("%j", (given, expected) => {
    const places: [string, string][] = [
      ["etl", "production"],
      ["etl", "staging"],
      ["web", "production"],
    ];
    expect(places.map(([project, domain]) => may([given], "ABORT", project, domain))).toEqual(expected);
  });

  test("permissions of one scope do not apply in another", () => {
    const grants = [grant("VIEWER", "etl"), grant("OPERATOR", "web")];
    expect(may(grants, "ABORT", "etl", "production")).toBe(false);
    expect(may(grants, "ABORT", "web", "production")).toBe(true);
  });
});

describe("permissions in some of several scopes", () => {
  test.each([
    [grant("OPERATOR"), null, null, "everywhere"],
    [grant("OPERATOR", "etl"), null, null, "somewhere"],
    [grant("OPERATOR", "etl"), "etl", null, "everywhere"],
    [grant("OPERATOR", "etl"), "web", null, "nowhere"],
    [grant("OPERATOR", "etl", "production"), "etl", null, "somewhere"],
    [grant("OPERATOR", "etl", "production"), null, "production", "somewhere"],
    [grant("OPERATOR", null, "production"), null, "production", "everywhere"],
    [grant("OPERATOR", "etl", "production"), "etl", "production", "everywhere"],
    [grant("OPERATOR", "etl", "production"), "etl", "staging", "nowhere"],
    [grant("VIEWER"), null, null, "nowhere"],
  ] as const)("%j in %s and %s: %s", (given, project, domain, expected) => {
    expect(mayWithin([given], "ABORT", project, domain)).toBe(expected);
  });
});

test("a grant as text", () => {
  expect(describeGrant(grant("ADMIN"))).toBe("admin everywhere");
  expect(describeGrant(grant("OPERATOR", "etl"))).toBe("operator in etl");
  expect(describeGrant(grant("OPERATOR", "etl", "production"))).toBe("operator in etl/production");
  expect(describeGrant(grant("VIEWER", null, "production"))).toBe("viewer in production of every project");
});
