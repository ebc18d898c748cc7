import { defineConfig } from "vitest/config";

/** The page in a real browser, on a real server. */
export default defineConfig({
  test: {
    include: ["tests/browser/**/*.test.ts"],
    environment: "node",
    globalSetup: ["tests/support/sharedBrowser.ts"],
    // One browser at a time: each test has the machine for itself.
    fileParallelism: false,
    // Each file closes what it opens: Playwright is loaded once, not for each file.
    isolate: false,
    testTimeout: 180_000,
    hookTimeout: 120_000,
  },
});
