import type { State } from "./states";

const RUN = "/runs/tests/development/everything";

/** States with what people wrote and set up. */
export const NOTED: State[] = [
  {
    name: "notes, one of them being written",
    path: RUN,
    there: "[data-testid=note]",
    act: async (page) => {
      await page.getByRole("button", { name: "All 2 notes" }).click();
      await page.getByRole("button", { name: "Add note" }).click();
      await page.getByLabel("New note").fill("x".repeat(1_900));
      await page.getByText("characters left").waitFor();
    },
  },
];
