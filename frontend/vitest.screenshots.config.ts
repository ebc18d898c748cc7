import { defineConfig } from "vitest/config";

/** The pictures in docs/, of the page with the demo's runs. */
export default defineConfig({
  test: {
    include: ["tests/screenshots/**/*.take.ts"],
    environment: "node",
    testTimeout: 300_000,
    hookTimeout: 300_000,
  },
});
