import type { CodegenConfig } from "@graphql-codegen/cli";

const config: CodegenConfig = {
  schema: "../schema.graphql",
  documents: ["src/**/*.{ts,tsx}", "!src/gql/**"],
  ignoreNoDocuments: true,
  generates: {
    "./src/gql/": {
      preset: "client",
      // A reader of a fragment is no hook: it may be called in a loop.
      presetConfig: {
        fragmentMasking: { unmaskFunctionName: "readFragment" },
        // What a server runs that runs nothing but the page's own documents.
        persistedDocuments: { hashAlgorithm: "sha256" },
      },
      config: {
        enumsAsTypes: true,
        useTypeImports: true,
        strictScalars: true,
        skipTypename: false,
        scalars: { DateTime: "string", BigInt: "number", JSON: "unknown" },
      },
    },
  },
};

export default config;
