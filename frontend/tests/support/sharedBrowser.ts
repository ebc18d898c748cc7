import type { TestProject } from "vitest/node";
import { launchServer } from "./browser";

declare module "vitest" {
  interface ProvidedContext {
    /** The endpoint of the shared browser. */
    browserEndpoint: string;
  }
}

/** Starts one browser for all test files; each connects to it and has its own windows. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const server = await launchServer();
  project.provide("browserEndpoint", server.wsEndpoint());
  return () => server.close();
}
