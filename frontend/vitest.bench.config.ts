import { defineConfig } from "vitest/config";

/** What `make bench` measures in a browser. */
export default defineConfig({
  test: { include: ["tests/bench/**/*.measure.ts"], environment: "node", testTimeout: 600_000 },
});
