import { Preference } from "../ui/preferences";

const isBoolean = (value: unknown): value is boolean => typeof value === "boolean";

/** Whether logs show the time of each line, and wrap long lines. */
export const showsTimes = new Preference("rungraph.log.times", false, isBoolean);
export const wrapsLines = new Preference("rungraph.log.wrap", true, isBoolean);
