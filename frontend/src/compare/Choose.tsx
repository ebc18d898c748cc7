import { Button, TextInput } from "@mantine/core";
import { getRouteApi } from "@tanstack/react-router";
import { useState } from "react";
import { printSide, readTyped, type Side } from "../live/sides";
import classes from "./ComparePage.module.css";

const route = getRouteApi("/compare");

const shown = (side: Side | null): string => (side ? printSide(side) : "");

/** The two sides, as names or pasted addresses. */
export function Choose({ before, after }: { before: Side | null; after: Side | null }) {
  const navigate = route.useNavigate();
  const [old, setOld] = useState(shown(before));
  const [now, setNow] = useState(shown(after));
  const [error, setError] = useState<{ side: "before" | "after"; text: string } | null>(null);
  const go = (a: string, b: string): void => {
    const sides = [readTyped(a), readTyped(b)];
    const wrong = sides.findIndex((side) => !side);
    if (wrong >= 0) {
      setError({
        side: wrong ? "after" : "before",
        text: "Paste the address of a run, or write project/domain/name",
      });
      return;
    }
    const [one, other] = sides as [Side, Side];
    if ((one.action === undefined) !== (other.action === undefined)) {
      setError({
        side: other.action === undefined ? "after" : "before",
        text: "Name an action on both sides, or on neither",
      });
      return;
    }
    setError(null);
    void navigate({ search: { a: printSide(one), b: printSide(other) } });
  };
  return (
    <form
      className={classes.choose}
      onSubmit={(event) => {
        event.preventDefault();
        go(old, now);
      }}
    >
      <TextInput
        size="xs"
        label="Before"
        placeholder="project/domain/name, or an address"
        value={old}
        error={error?.side === "before" ? error.text : null}
        onChange={(event) => setOld(event.currentTarget.value)}
      />
      <Button
        size="compact-sm"
        variant="default"
        disabled={!before || !after}
        aria-label="Swap before and after"
        title="Swap before and after"
        onClick={() => go(now, old)}
      >
        ⇄
      </Button>
      <TextInput
        size="xs"
        label="After"
        placeholder="project/domain/name, or an address"
        value={now}
        error={error?.side === "after" ? error.text : null}
        onChange={(event) => setNow(event.currentTarget.value)}
      />
      <Button size="compact-sm" type="submit" variant="default">
        Compare
      </Button>
    </form>
  );
}
