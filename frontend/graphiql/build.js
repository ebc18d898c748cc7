// Copies the page, the packages' prebuilt files and the examples to the server's static files.
import { cpSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const here = fileURLToPath(new URL(".", import.meta.url));
const packages = join(here, "node_modules");
const page = join(here, "page");
const target = join(here, "..", "..", "graph", "web", "static", "graphiql");

const FILES = {
  "react.js": "react/umd/react.production.min.js",
  "react-dom.js": "react-dom/umd/react-dom.production.min.js",
  "graphiql.js": "graphiql/graphiql.min.js",
  "graphiql.css": "graphiql/graphiql.min.css",
  "explorer.js": "@graphiql/plugin-explorer/dist/index.umd.js",
  "explorer.css": "@graphiql/plugin-explorer/dist/style.css",
};

rmSync(target, { recursive: true, force: true });
mkdirSync(target, { recursive: true });

for (const [name, source] of Object.entries(FILES)) {
  // Source maps are not served, so references to them are removed.
  const text = readFileSync(join(packages, source), "utf8");
  writeFileSync(join(target, name), text.replace(/\/[/*]# sourceMappingURL=\S+?(\*\/)?\s*$/, ""));
}

// Style elements created at run time get the document's nonce.
const script = join(target, "graphiql.js");
const parts = readFileSync(script, "utf8").split("__webpack_require__.nc = undefined;");
if (parts.length !== 2) throw new Error("graphiql.js has another place for its nonce");
const nonce = `__webpack_require__.nc = document.querySelector('meta[name="csp-nonce"]').nonce;`;
writeFileSync(script, parts.join(nonce));

for (const name of ["index.html", "main.js", "page.css", "favicon.svg"]) {
  cpSync(join(page, name), join(target, name));
}

const examples = join(page, "examples");
const operations = readdirSync(examples)
  .sort()
  .map((name) => readFileSync(join(examples, name), "utf8"));
writeFileSync(join(target, "examples.json"), JSON.stringify(operations));

const licences = ["react", "react-dom", "graphiql", "@graphiql/plugin-explorer", "graphql"].map((name) => {
  const { version, license } = JSON.parse(readFileSync(join(packages, name, "package.json"), "utf8"));
  const text = readdirSync(join(packages, name)).find((file) => /^licen[cs]e/i.test(file));
  return `${name} ${version} (${license})\n\n${text ? readFileSync(join(packages, name, text), "utf8") : ""}`;
});
writeFileSync(join(target, "LICENSES.txt"), licences.join("\n----\n\n"));

// Compressed here once, not by the server for each request: 4 MB become 1 MB.
for (const name of Object.keys(FILES)) {
  writeFileSync(join(target, `${name}.gz`), gzipSync(readFileSync(join(target, name)), { level: 9 }));
}
