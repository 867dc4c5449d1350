// Whether what she wrote and did has come to its end, as a conversation's timeline shows it. Pure.

import type { Kept, Rule } from "../outbox";
import type { Item, ToServer } from "../protocol";
import type { Timeline } from "./timeline";

export const lastEnd = (items: readonly Item[]) => items.findLast((item) => item.kind === "end")?.id ?? null;

export function isSettled(one: Kept, { items, turn }: Timeline): boolean {
  const find = (id: string) => items.find((item) => item.id === id);
  if (one.type === "send") return find(one.message.message_id) !== undefined;
  if ("lastEnd" in one) return turn === "idle" || lastEnd(items) !== one.lastEnd;
  const { deed } = one;
  if (deed.type === "answer") {
    const card = find(deed.ask);
    return turn === "idle" || (card?.kind === "ask" && card.state !== "open");
  }
  const message = find(deed.message_id);
  if (deed.type === "take_back") return message?.kind !== "user" || !message.queued;
  return message !== undefined;
}

/** `timeline` is null where she does not look at the conversation, so that nobody knows how far it is. */
export function ruleOf(one: Kept, timeline: Timeline | null, deeds: readonly ToServer[]): Rule {
  if (one.type === "send") return "now";
  if (!timeline) return one.deed.type === "take_back" || one.deed.type === "retry" ? "later" : "now";
  // A stop that may have arrived would drop, said again, what she has written since.
  const comesBack = new Set(deeds.flatMap((deed) => (deed.type === "take_back" ? [deed.message_id] : [])));
  const waits = (item: Item) => item.kind === "user" && item.queued && !comesBack.has(item.id);
  return one.deed.type === "stop" && timeline.items.some(waits) ? "never" : "now";
}
