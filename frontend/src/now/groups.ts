import type { NowGroupFragment as Group } from "../gql/graphql";
import { QUEUED } from "./nowSearch";

/** A project or a person, with its runs. */
export interface Tile {
  /** The name of the project or the subject of the person; null for runs without a creator. */
  id: string | null;
  name: string;
  running: number;
  queued: number;
  failed: number;
}

/** The tiles of these groups: most unfinished runs first, then those with failures only. */
export function tilesOf(unfinished: readonly Group[], failed: readonly Group[]): Tile[] {
  const tiles = new Map<string | null, Tile>();
  const tile = (group: Group): Tile => {
    const id = group.project ?? group.createdBySubject ?? null;
    const known = tiles.get(id) ?? {
      id,
      name: group.project ?? group.createdByName ?? group.createdBySubject ?? "(no creator)",
      running: 0,
      queued: 0,
      failed: 0,
    };
    tiles.set(id, known);
    return known;
  };
  for (const group of unfinished) {
    const counted = tile(group);
    for (const { phase, count } of group.phaseCounts) {
      if (QUEUED.includes(phase)) counted.queued += count;
      else counted.running += count;
    }
  }
  for (const group of failed) for (const { count } of group.phaseCounts) tile(group).failed += count;
  return [...tiles.values()].sort(
    (a, b) =>
      b.running + b.queued - a.running - a.queued || b.failed - a.failed || (a.name < b.name ? -1 : 1),
  );
}

/** The sums over all tiles, or over the selected one. */
export function sumOf(tiles: readonly Tile[], selected?: string): Omit<Tile, "id" | "name"> {
  const counted = selected === undefined ? tiles : tiles.filter(({ id }) => id === selected);
  const sum = { running: 0, queued: 0, failed: 0 };
  for (const { running, queued, failed } of counted) {
    sum.running += running;
    sum.queued += queued;
    sum.failed += failed;
  }
  return sum;
}
