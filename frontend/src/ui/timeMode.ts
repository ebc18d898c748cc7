import { Preference } from "./preferences";
import { TIME_MODES, type TimeMode } from "./times";

/** How times are written, as this browser's user wants it. */
export const timeMode = new Preference<TimeMode>("rungraph.time", "relative", (value): value is TimeMode =>
  TIME_MODES.includes(value as TimeMode),
);
