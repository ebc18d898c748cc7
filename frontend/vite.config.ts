import react from "@vitejs/plugin-react";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { defineConfig, type Plugin } from "vite";

const TARGET = "../graph/static/page";

/** Packs what can be packed once here, and not in the server for each visitor. */
function packed(): Plugin {
  return {
    name: "packed",
    apply: "build",
    closeBundle() {
      const folder = join(import.meta.dirname, TARGET, "assets");
      for (const name of readdirSync(folder)) {
        if (!/\.(js|css|svg)$/.test(name)) continue;
        writeFileSync(join(folder, `${name}.gz`), gzipSync(readFileSync(join(folder, name)), { level: 9 }));
      }
    },
  };
}

// `npm run dev` works on the page beside a server that runs: RUNGRAPH_URL names another one.
const server = process.env.RUNGRAPH_URL ?? "http://127.0.0.1:8000";

export default defineConfig({
  base: "./",
  plugins: [react(), packed()],
  build: { outDir: TARGET, emptyOutDir: true, target: "es2022", assetsInlineLimit: 0 },
  server: { proxy: { "/graphql": { target: server, ws: true, changeOrigin: true } } },
});
