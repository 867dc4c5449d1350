// Lists come over HTTP, and what changes in them over the socket, which may overtake a list that is under way.

/** What was told of things while a list of them was asked for: it counts more than the list. */
export class Told<T> {
  private readonly underway = new Set<Map<string, T | null>>();

  /** `null`: it is gone. */
  note(id: string, now: T | null): void {
    for (const told of this.underway) told.set(id, now);
  }

  /** The answer, and what was told since it was asked for. */
  async while<A>(answer: Promise<A>): Promise<[A, ReadonlyMap<string, T | null>]> {
    const told = new Map<string, T | null>();
    this.underway.add(told);
    try {
      return [await answer, told];
    } finally {
      this.underway.delete(told);
    }
  }
}

/** A list as it is by now: changed in its place, what is new at the end, without what is gone. */
export function upToDate<T extends { id: string }>(list: readonly T[], told: ReadonlyMap<string, T | null>): T[] {
  const all = new Map<string, T | null>([...list.map((one) => [one.id, one] as const), ...told]);
  return [...all.values()].filter((one) => one !== null);
}
