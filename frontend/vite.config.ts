import react from "@vitejs/plugin-react";
import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { defineConfig, type Plugin } from "vite";

const TARGET = "../graph/web/static/page";

/** Compresses assets at build time, not for each request. */
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

/** Writes the page's documents for servers that execute trusted documents only. */
function documents(): Plugin {
  return {
    name: "documents",
    apply: "build",
    generateBundle() {
      const source = readFileSync(
        join(import.meta.dirname, "src", "gql", "persisted-documents.json"),
        "utf8",
      );
      this.emitFile({ type: "asset", fileName: "documents.json", source });
    },
  };
}

/** Writes the licences of the bundled packages. */
function licences(): Plugin {
  return {
    name: "licences",
    apply: "build",
    generateBundle(_, bundle) {
      const folders = new Set<string>();
      for (const chunk of Object.values(bundle)) {
        if (chunk.type !== "chunk") continue;
        for (const id of Object.keys(chunk.modules)) {
          if (id.includes("node_modules")) folders.add(packageOf(id.replace(/^\0/, "").replace(/\?.*$/, "")));
        }
      }
      const texts = [...folders].sort().map((folder) => {
        const { name, version, license } = readPackage(folder);
        const file = readdirSync(folder).find((name) => /^licen[cs]e/i.test(name));
        return `${name ?? ""} ${version ?? ""} (${license ?? "see below"})\n\n${file ? readFileSync(join(folder, file), "utf8") : ""}`;
      });
      this.emitFile({ type: "asset", fileName: "LICENSES.txt", source: texts.join("\n----\n\n") });
    },
  };
}

/** The folder of the package that a module belongs to. */
function packageOf(module: string): string {
  let folder = dirname(module);
  while (!existsSync(join(folder, "package.json")) || !readPackage(folder).version) folder = dirname(folder);
  return folder;
}

interface Package {
  name?: string;
  version?: string;
  license?: string;
}

function readPackage(folder: string): Package {
  return JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Package;
}

// `npm run dev` proxies to a running server, or to RUNGRAPH_URL.
const server = process.env.RUNGRAPH_URL ?? "http://127.0.0.1:8000";

export default defineConfig({
  base: "./",
  plugins: [react(), packed(), documents(), licences()],
  build: { outDir: TARGET, emptyOutDir: true, target: "es2022", assetsInlineLimit: 0 },
  server: {
    proxy: {
      "/graphql": { target: server, ws: true, changeOrigin: true },
      "/log-links": { target: server },
      "/login": { target: server },
      "/logout": { target: server },
    },
  },
});
