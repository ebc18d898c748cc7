import { Button, Popover } from "@mantine/core";
import { describeGrant } from "../live/access";
import { useApi } from "../live/api";
import { type Identity, type Viewer, nameOf } from "../live/session";
import { announce } from "../ui/announce";
import classes from "./Account.module.css";

/** The account menu: caller, roles, sign out. */
export function Account({ identity, grants }: { identity: Identity; grants: Viewer["grants"] }) {
  const { base } = useApi();
  const name = nameOf(identity);
  return (
    <Popover position="bottom-end" withinPortal trapFocus shadow="md">
      <Popover.Target>
        <button
          type="button"
          className={classes.button}
          aria-label={`Signed in as ${name}`}
          title={`Signed in as ${name}`}
        >
          <span className={classes.initial} aria-hidden>
            {Array.from(name)[0]?.toUpperCase()}
          </span>
          <span className={`${classes.name} cut`}>{name}</span>
        </button>
      </Popover.Target>
      <Popover.Dropdown className={classes.card} aria-label="Your account">
        <p className={classes.who}>{name}</p>
        {[identity.email, identity.subject].map((text) =>
          text && text !== name ? (
            <p key={text} className="faint small">
              {text}
            </p>
          ) : null,
        )}
        {identity.kind === "APPLICATION" ? <p className="faint small">A program&apos;s token</p> : null}
        <p className={classes.heading}>{grants.length ? "Your roles" : "You have no role"}</p>
        <ul className={classes.grants}>
          {grants.map(describeGrant).map((grant) => (
            <li key={grant}>{grant}</li>
          ))}
        </ul>
        <Button size="compact-sm" variant="default" fullWidth onClick={() => void signOut(base)}>
          Sign out
        </Button>
      </Popover.Dropdown>
    </Popover>
  );
}

/** Ends the session and discards all data of the page. */
async function signOut(base: string): Promise<void> {
  const address = new URL("logout", base);
  // Navigating to the returned page discards all data.
  const response = await fetch(address, {
    method: "POST",
    body: new URLSearchParams(),
    redirect: "manual",
  }).catch(() => null);
  if (response?.type === "opaqueredirect") window.location.replace(address);
  else announce("Signing out failed because the server did not answer: you are still signed in. Try again.");
}
