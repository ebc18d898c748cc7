import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { launchServer } from "./browser";

declare module "vitest" {
  interface ProvidedContext {
    /** The endpoint of the shared browser. */
    browserEndpoint: string;
    /** A folder for the files that test files share. */
    sharedFolder: string;
  }
}

/** Starts one browser for all test files; each connects to it and has its own windows. They share a folder too. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const server = await launchServer();
  project.provide("browserEndpoint", server.wsEndpoint());
  const folder = mkdtempSync(join(tmpdir(), "rungraph-page-"));
  project.provide("sharedFolder", folder);
  return async () => {
    await server.close();
    rmSync(folder, { recursive: true, force: true });
  };
}
