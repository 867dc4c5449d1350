// One conversation as the page knows it: a snapshot and the numbered changes since. Pure.

import type { Item, Numbered, Op, Snapshot, TurnState } from "../protocol";

export interface Timeline {
  epoch: string | null;
  seq: number | null;
  items: readonly Item[];
  more: boolean;
  turn: TurnState;
  queued: number;
}

export const nothing: Timeline = { epoch: null, seq: null, items: [], more: false, turn: "idle", queued: 0 };

export function fromSnapshot(snapshot: Snapshot): Timeline {
  const { epoch, seq, items, more, turn, queued } = snapshot;
  return { epoch, seq, items, more, turn, queued };
}

/** The timeline after one event; null where events are missing, so that a snapshot must be asked for. */
export function after(timeline: Timeline, event: Numbered): Timeline | null {
  if (timeline.seq === null) return null;
  if (event.seq <= timeline.seq) return timeline;
  if (event.seq !== timeline.seq + 1) return null;
  return { ...applied(timeline, event), seq: event.seq };
}

function applied(timeline: Timeline, op: Op): Timeline {
  switch (op.op) {
    case "add":
      return { ...timeline, items: [...timeline.items.filter((item) => item.id !== op.item.id), op.item] };
    case "append":
      return changed(timeline, op.id, (item) => ({ ...item, [op.field]: text(item, op.field) + op.text }) as Item);
    case "set":
      if (op.patch.dropped) return { ...timeline, items: timeline.items.filter((item) => item.id !== op.id) };
      return changed(timeline, op.id, (item) => ({ ...item, ...op.patch }) as Item);
    case "turn":
      return { ...timeline, turn: op.turn, queued: op.queued };
  }
}

function text(item: Item, field: "text" | "output"): string {
  const value = (item as unknown as Record<string, unknown>)[field];
  return typeof value === "string" ? value : "";
}

function changed(timeline: Timeline, id: string, change: (item: Item) => Item): Timeline {
  return { ...timeline, items: timeline.items.map((item) => (item.id === id ? change(item) : item)) };
}

/** With what came before; an item that is there already stays where it is. */
export function withOlder(timeline: Timeline, items: readonly Item[], more: boolean): Timeline {
  const known = new Set(timeline.items.map((item) => item.id));
  return { ...timeline, items: [...items.filter((item) => !known.has(item.id)), ...timeline.items], more };
}

/** Its end alone, from the beginning of a turn where one is near: what is left out can be asked for again. */
export function shortened(timeline: Timeline, length: number): Timeline {
  const { items } = timeline;
  if (items.length <= length) return timeline;
  const from = items.length - length;
  const turn = items.findIndex((item, index) => index >= from && item.kind === "user");
  return { ...timeline, items: items.slice(turn >= 0 && turn < from + length / 2 ? turn : from), more: true };
}
