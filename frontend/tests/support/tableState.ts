import type { State } from "./states";

/** A run as a table, with its plot and the choice of columns. */
export const A_TABLE: State = {
  name: "a table with a plot",
  path: "/runs/tests/development/everything?view=table&of=all&sort=-run&col=phase&col=run&col=error&x=started&y=run",
  there: "[data-testid=table] [data-action]",
  act: async (page) => {
    await page.locator("[data-testid=plot] canvas").waitFor();
    await page.getByTestId("table").focus();
    await page.keyboard.press("j");
    await page.getByRole("button", { name: /^Columns/ }).click();
    await page.getByLabel("Search the columns").waitFor();
  },
};
