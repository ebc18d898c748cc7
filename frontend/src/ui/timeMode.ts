import { Preference } from "./preferences";
import { TIME_MODES, type TimeMode } from "./times";

/** The user's time format. */
export const timeMode = new Preference<TimeMode>("rungraph.time", "relative", (value): value is TimeMode =>
  TIME_MODES.includes(value as TimeMode),
);
