import { defineConfig } from "vitest/config";

/** The tests of the page's logic. A file that needs a document says so at its top. */
export default defineConfig({
  test: {
    include: ["tests/unit/**/*.test.{ts,tsx}"],
    environment: "node",
    // Half an hour beside UTC's hours, and with a summer time: what mixes up the two clocks shows.
    env: { TZ: "America/St_Johns" },
    // Each file cleans up after itself: a process for each would take longer than all of the tests.
    isolate: false,
    testTimeout: 60_000,
    restoreMocks: true,
  },
});
