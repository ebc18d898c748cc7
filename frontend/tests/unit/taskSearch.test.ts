import { describe, expect, test } from "vitest";
import { parseQuery, printQuery } from "../../src/live/search";
import { SINCE, readTaskSearch } from "../../src/tasks/taskSearch";
import { parseDuration } from "../../src/ui/durations";

describe("the task list in the URL", () => {
  test("it is restored", () => {
    const search = { project: "a/b", domain: "~", since: "24h" };
    expect(readTaskSearch(parseQuery(printQuery(search)))).toEqual(search);
  });

  test("the default time range is omitted", () => {
    expect(readTaskSearch({ since: "7d" }).since).toBeUndefined();
    expect(readTaskSearch({ since: "30d" }).since).toBe("30d");
    expect(readTaskSearch({ since: "all" }).since).toBe("all");
  });

  test("unknown time ranges are omitted, including names of object properties", () => {
    for (const since of ["5d", "", "constructor", "toString", "__proto__"]) {
      expect(readTaskSearch({ since }).since).toBeUndefined();
    }
  });

  test('each offered time range except "all" is a duration', () => {
    for (const since of Object.keys(SINCE)) expect(parseDuration(since) === null).toBe(since === "all");
  });
});
