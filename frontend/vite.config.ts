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

/**
 * Replaces `graphql(…)` by the text of its operation, and of a fragment by nothing: the texts are half as long as the
 * parsed documents of src/gql/graphql.ts, and each part of the page gets only its own.
 */
function inlineOperations(): Plugin {
  const folder = join(import.meta.dirname, "src");
  const operations = new Map<string, string>();
  return {
    name: "inline-operations",
    buildStart() {
      const texts = readFileSync(join(folder, "gql", "persisted-documents.json"), "utf8");
      for (const text of Object.values(JSON.parse(texts) as Record<string, string>)) {
        const name = /\b(?:query|mutation|subscription) (\w+)/.exec(text)?.[1] ?? "";
        operations.set(name, text);
      }
    },
    transform(code, id) {
      if (!id.startsWith(folder) || !code.includes("graphql(`")) return null;
      return code.replace(/\bgraphql\(`\s*(\w+) (\w+)[^`]*`\)/g, (_, kind: string, name: string) => {
        if (kind === "fragment") return "undefined";
        const text = operations.get(name);
        if (!text) throw new Error(`${name} is not in src/gql: run npm run codegen`);
        return JSON.stringify(text);
      });
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

/** A chunk of the modules of these packages and folders, and of what they import and no chunk before has. */
const chunk = (name: string, priority: number, parts: string) => ({
  name,
  priority,
  test: new RegExp(`/(node_modules/(${parts})/|${name === "ui" ? "src/(ui|live)/" : "-"})`),
});

/**
 * What several pages share, in few files: without these, each combination of pages has its own. The first four are
 * loaded for each page.
 */
const CHUNKS = [
  chunk("react", 9, "react|react-dom|scheduler|use-sync-external-store"),
  chunk("router", 8, "@tanstack/(react-router|router-core|history|store|react-store)"),
  chunk("ui", 7, "graphql-ws|@mantine/core/esm/(core|components/(Button|Loader|UnstyledButton|Alert))"),
  chunk("queries", 6, "urql|@urql|wonka|@0no-co"),
  chunk("popups", 5, "@floating-ui|@mantine/core/esm/components/(Popover|Menu|Input|Checkbox|CloseButton)"),
  chunk("dialogs", 4, "react-remove-scroll|@mantine/core/esm/components/(Modal|ModalBase|ScrollArea)"),
];

// `npm run dev` proxies to a running server, or to RUNGRAPH_URL.
const server = process.env.RUNGRAPH_URL ?? "http://127.0.0.1:8000";

export default defineConfig({
  base: "./",
  plugins: [inlineOperations(), react(), packed(), documents(), licences()],
  build: {
    outDir: TARGET,
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0,
    rolldownOptions: { output: { codeSplitting: { groups: CHUNKS } } },
  },
  server: {
    proxy: {
      "/graphql": { target: server, ws: true, changeOrigin: true },
      "/log-links": { target: server },
      "/login": { target: server },
      "/logout": { target: server },
    },
  },
});
