import { Button } from "@mantine/core";
import { Link, Outlet, useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { useApi } from "../live/api";
import { Announcements } from "../ui/announce";
import { describeKeys, useHotkeys } from "../ui/hotkeys";
import { later } from "../ui/later";
import { EmptyNotice } from "../ui/notices";
import { usePreference } from "../ui/preferences";
import { timeMode } from "../ui/timeMode";
import { TIME_MODES } from "../ui/times";
import { useValue } from "../ui/value";
import { ConnectionNotice } from "./ConnectionNotice";
import { NoRole } from "./NoRole";
import { isPaletteOpen, openPalette } from "./palette";
import classes from "./Shell.module.css";
import { SignedOutNotice } from "./SignedOutNotice";
import { useColors } from "./useColors";

const Account = later(async () => (await import("./Account")).Account);
const Help = later(async () => (await import("./Help")).Help);
const Palette = later(async () => (await import("./Palette")).Palette);

const PAGES = [
  { to: "/runs", name: "Runs", key: "g r" },
  { to: "/now", name: "Now", key: "g n" },
  { to: "/tasks", name: "Tasks", key: "g t" },
  { to: "/aborts", name: "Aborts", key: "g a" },
] as const;

const TIMES = { relative: "Relative", local: "Local", utc: "UTC" };

/** The layout around every page. */
export function Shell() {
  const navigate = useNavigate();
  const { session } = useApi();
  const viewer = useValue(session.viewer);
  const isOver = useValue(session.isOver);
  const [helping, setHelping] = useState(false);
  const isFinding = useValue(isPaletteOpen);
  const [hasPalette, setHasPalette] = useState(false);
  if (isFinding && !hasPalette) setHasPalette(true);
  const mode = usePreference(timeMode);
  const colors = useColors();
  const nextTime = (): void => {
    const at = TIME_MODES.indexOf(mode);
    timeMode.set(TIME_MODES[(at + 1) % TIME_MODES.length] ?? "relative");
  };
  useHotkeys([
    ...PAGES.map(({ to, name, key }) => ({
      keys: key,
      what: `Go to ${name.toLowerCase()}`,
      run: () => void navigate({ to }),
    })),
    { keys: "mod+k", what: "Find runs and commands", run: openPalette, inFields: true },
    { keys: "z", what: "Relative, local or UTC times", run: nextTime },
    { keys: "d", what: "Dark or light theme", run: colors.toggle },
    { keys: "?", what: "All keys", run: () => setHelping(true) },
  ]);
  return (
    <div className={classes.shell}>
      <a className={classes.skip} href="#content">
        Skip to the content
      </a>
      <header className={classes.bar}>
        <Link to="/runs" className={classes.brand} aria-label="Rungraph: all runs">
          <svg viewBox="0 0 32 32" width="22" height="22" aria-hidden>
            <rect width="32" height="32" rx="7" fill="#2f3a8f" />
            <path d="M9 9v8a5 5 0 0 0 5 5h7M9 13h12" fill="none" stroke="#aab4ff" strokeWidth="2.5" />
            <circle cx="9" cy="8" r="3.5" fill="#fff" />
            <circle cx="23" cy="13" r="3.5" fill="#5ee0a0" />
            <circle cx="23" cy="22" r="3.5" fill="#ffc857" />
          </svg>
          <span className={classes.name}>Rungraph</span>
        </Link>
        <nav aria-label="Pages" className={classes.pages}>
          {PAGES.map(({ to, name }) => (
            <Link key={to} to={to} activeProps={{ "data-active": true }}>
              {name}
            </Link>
          ))}
        </nav>
        <span className={classes.space} />
        <ConnectionNotice />
        <button type="button" className={classes.find} onClick={openPalette}>
          <span>Find…</span> <kbd>{describeKeys("mod+k")}</kbd>
        </button>
        <label className="only-read" htmlFor="times">
          How times are shown
        </label>
        <select
          id="times"
          className={classes.times}
          value={mode}
          onChange={({ currentTarget: { value } }) => timeMode.set(value as typeof mode)}
        >
          {TIME_MODES.map((value) => (
            <option key={value} value={value}>
              {TIMES[value]}
            </option>
          ))}
        </select>
        <button
          type="button"
          className={classes.icon}
          onClick={colors.toggle}
          aria-label={colors.isDark ? "Light theme" : "Dark theme"}
          title={colors.isDark ? "Light theme (d)" : "Dark theme (d)"}
        >
          {colors.isDark ? "☀" : "☾"}
        </button>
        <button
          type="button"
          className={`${classes.icon} ${classes.help}`}
          onClick={() => setHelping(true)}
          aria-label="All keys"
          title="All keys (?)"
        >
          ?
        </button>
        {viewer?.identity && !isOver ? <Account identity={viewer.identity} grants={viewer.grants} /> : null}
      </header>
      <SignedOutNotice />
      <div id="content" className={classes.content} tabIndex={-1} data-stale={isOver || undefined}>
        {viewer?.identity && !viewer.grants.length ? <NoRole identity={viewer.identity} /> : <Outlet />}
      </div>
      <Announcements />
      {hasPalette ? <Palette onHelp={() => setHelping(true)} /> : null}
      {helping ? <Help onClose={() => setHelping(false)} /> : null}
    </div>
  );
}

export function NoSuchPage() {
  return (
    <main>
      <EmptyNotice title="There is no such page">
        <Link to="/runs" className="link">
          All runs
        </Link>
      </EmptyNotice>
    </main>
  );
}

/** An error of the page itself, with a reload link. */
export function BrokenPage({ error }: { error: Error }) {
  return (
    <main>
      <EmptyNotice title="Something went wrong">
        <p>
          <code>{error.message}</code>
        </p>
        <Button size="xs" onClick={() => window.location.reload()}>
          Load it again
        </Button>
      </EmptyNotice>
    </main>
  );
}
