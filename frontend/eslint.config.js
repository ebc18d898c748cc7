import js from "@eslint/js";
import reactHooks from "eslint-plugin-react-hooks";
import { globalIgnores } from "eslint/config";
import ts from "typescript-eslint";

/** The folders from top to bottom: a folder imports only from folders below it. */
const FLOORS = [
  ["shell"],
  ["runs", "tasks", "now", "compare"],
  ["graph", "history", "tables"],
  ["actions"],
  ["logs", "artifacts"],
  ["aborts", "notes"],
  ["live"],
  ["ui"],
];

const floorRules = FLOORS.flatMap((floor, height) =>
  floor.map((folder) => ({
    files: [`src/${folder}/**`],
    rules: {
      "no-restricted-imports": [
        "error",
        {
          patterns: [
            {
              group: [
                ...FLOORS.slice(0, height + 1)
                  .flat()
                  .filter((other) => other !== folder)
                  .flatMap((other) => [`**/${other}/*`, `**/${other}`]),
                "**/App",
                "**/main",
                "**/router",
              ],
              message: `${folder}/ imports only from folders below it: see CONTRIBUTING.md.`,
            },
            ...(folder === "ui"
              ? [
                  {
                    group: ["urql", "graphql*", "@urql/*", "**/gql/*", "**/gql"],
                    message: "ui/ must not depend on GraphQL.",
                  },
                ]
              : []),
          ],
        },
      ],
    },
  })),
);

export default ts.config(
  globalIgnores(["graphiql/**", "src/gql/**", "node_modules/**", "public/**"]),
  js.configs.recommended,
  ...ts.configs.strictTypeChecked,
  {
    // Not where there are no components: its rules compile each file.
    files: ["src/**", "**/*.tsx"],
    ...reactHooks.configs.flat.recommended,
  },
  {
    languageOptions: { parserOptions: { projectService: { allowDefaultProject: ["*.js"] } } },
    rules: {
      "no-restricted-syntax": [
        "error",
        {
          selector: "JSXAttribute[name.name=/^(color|c|bg)$/] Literal[value=/\\.\\d$/]",
          message:
            "Name a colour without a shade: App.tsx chooses it for light and dark, so that it can be read.",
        },
        {
          selector: "JSXAttribute[name.name='opacity']",
          message: "Too little contrast: use the colour --faint.",
        },
      ],
      "max-lines": ["error", { max: 250, skipBlankLines: false, skipComments: false }],
      "@typescript-eslint/consistent-type-imports": "error",
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
      "@typescript-eslint/no-misused-promises": ["error", { checksVoidReturn: { attributes: false } }],
      // TanStack Virtual mutates its result; the compiler's rule does not know that it is not memoised here.
      "react-hooks/incompatible-library": "off",
    },
  },
  { files: ["**/*.js"], ...ts.configs.disableTypeChecked },
  ...floorRules,
);
