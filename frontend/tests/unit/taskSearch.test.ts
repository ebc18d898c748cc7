import { describe, expect, test } from "vitest";
import { parseQuery, printQuery } from "../../src/live/search";
import { SINCE, readTaskSearch } from "../../src/tasks/taskSearch";
import { parseDuration } from "../../src/ui/durations";

describe("the list of tasks in the address", () => {
  test("it comes back as it was", () => {
    const search = { project: "a/b", domain: "~", since: "24h" };
    expect(readTaskSearch(parseQuery(printQuery(search)))).toEqual(search);
  });

  test("the usual time does not stand in the address", () => {
    expect(readTaskSearch({ since: "7d" }).since).toBeUndefined();
    expect(readTaskSearch({ since: "30d" }).since).toBe("30d");
    expect(readTaskSearch({ since: "all" }).since).toBe("all");
  });

  test("a time that is not offered is left out, also one that every object has", () => {
    for (const since of ["5d", "", "constructor", "toString", "__proto__"]) {
      expect(readTaskSearch({ since }).since).toBeUndefined();
    }
  });

  test("each time that is offered is a duration, but for all", () => {
    for (const since of Object.keys(SINCE)) expect(parseDuration(since) === null).toBe(since === "all");
  });
});
