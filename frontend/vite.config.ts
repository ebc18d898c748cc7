import react from "@vitejs/plugin-react";
import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { defineConfig, type Plugin } from "vite";

const TARGET = "../graph/web/static/page";

/**
 * Has index.html load the code of the list and of a run beside that of all pages: the browser would otherwise find
 * these files one after the other. The shared styles stay the first, since those of pages and of the theme replace
 * some of theirs; the outline does not wait for them, as main.tsx applies them.
 */
function early(): Plugin {
  return {
    name: "early",
    apply: "build",
    transformIndexHtml: {
      order: "post",
      handler(html, { bundle = {}, chunk: entry }) {
        const chunks = Object.values(bundle).filter((each) => each.type === "chunk");
        const filesOf = (name: string | undefined, seen: Set<string>): Set<string> => {
          const chunk = chunks.find(({ fileName }) => fileName === name);
          if (!chunk || seen.has(chunk.fileName)) return seen;
          for (const file of [chunk.fileName, ...(chunk.viteMetadata?.importedCss ?? [])]) seen.add(file);
          return chunk.imports.reduce((seen, each) => filesOf(each, seen), seen);
        };
        const shared = filesOf(entry?.fileName, new Set());
        const pages = Object.fromEntries(
          ["RunsPage", "RunPage"].map((page) => {
            const name = chunks.find(({ name, isDynamicEntry }) => isDynamicEntry && name === page)?.fileName;
            if (!name) throw new Error(`${page} is no chunk of its own`);
            return [page, [...filesOf(name, new Set())].filter((file) => !shared.has(file))];
          }),
        );
        if (!html.includes("pages = {};")) throw new Error("index.html has no place for the files of pages");
        return html
          .replace("pages = {};", `pages = ${JSON.stringify(pages)};`)
          .replace(/<link rel="stylesheet"/g, '$& media="print"');
      },
    },
  };
}

/** Compresses assets at build time, not for each request. */
function packed(): Plugin {
  return {
    name: "packed",
    apply: "build",
    closeBundle() {
      const folder = join(import.meta.dirname, TARGET, "assets");
      for (const name of readdirSync(folder)) {
        if (!/\.(js|css|svg)$/.test(name)) continue;
        const content = readFileSync(join(folder, name));
        writeFileSync(join(folder, `${name}.gz`), gzipSync(content, { level: 9 }));
        writeFileSync(join(folder, `${name}.br`), brotliCompressSync(content));
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

/** The folders of the bundled packages. Workers are bundled by themselves, before the page. */
const folders = new Set<string>();

/** Collects the bundled packages. */
function packages(): Plugin {
  return {
    name: "packages",
    apply: "build",
    generateBundle(_, bundle) {
      for (const chunk of Object.values(bundle)) {
        if (chunk.type !== "chunk") continue;
        for (const id of Object.keys(chunk.modules)) {
          if (id.includes("node_modules")) folders.add(packageOf(id.replace(/^\0/, "").replace(/\?.*$/, "")));
        }
      }
    },
  };
}

/** Writes the licences of the bundled packages. */
function licences(): Plugin {
  return {
    name: "licences",
    apply: "build",
    generateBundle() {
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

/** What all pages share of src, with what the router has to know of each, and the parts of rows. */
const SHARED = [
  "src/(ui|live)/",
  "src/\\w+/(\\w+Search|address|useColors)\\.ts$",
  "src/shell/(palette\\.ts|\\w+\\.module\\.css)$",
  "src/runs/RunsPage\\.module\\.css$",
  "src/actions/(LastMetric|ProgressLine|SkipReason)",
  "vite/preload-helper",
].join("|");

/** A chunk of the modules of these packages, and of what they import and no chunk before has. */
const chunk = (name: string, priority: number, packages: string) => ({
  name,
  priority,
  test: new RegExp(`/node_modules/(${packages})/${name === "ui" ? `|${SHARED}` : ""}`),
});

/**
 * What several pages share, in few files: without these, each combination of pages has its own. The first two are
 * loaded for each page; with its own code and its styles these are as many files as browsers load at once.
 */
const CHUNKS = [
  chunk(
    "base",
    9,
    "react|react-dom|scheduler|use-sync-external-store|@tanstack/(react-router|router-core|history|store|react-store)",
  ),
  chunk(
    "ui",
    8,
    "graphql-ws|@tanstack/(react-virtual|virtual-core)|@mantine/core/esm/(core|components/(Button|Loader|UnstyledButton|Alert))",
  ),
  chunk("queries", 7, "urql|@urql|wonka|@0no-co"),
  chunk(
    "popups",
    6,
    "@floating-ui|@mantine/core/esm/components/(Popover|Menu|Input|InputBase|Checkbox|CloseButton)",
  ),
  chunk("dialogs", 5, "react-remove-scroll|@mantine/core/esm/components/(Modal|ModalBase|ScrollArea)"),
];

// `npm run dev` proxies to a running server, or to RUNGRAPH_URL.
const server = process.env.RUNGRAPH_URL ?? "http://127.0.0.1:8000";

export default defineConfig({
  base: "./",
  plugins: [inlineOperations(), react(), early(), packed(), documents(), packages(), licences()],
  worker: { plugins: () => [packages()] },
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
