// What she wrote and did and the server has not confirmed yet. It is kept, and sent again after each reconnect: a
// connection that is dead without knowing it swallows what is sent, and the server takes everything only once.

import { computed } from "@preact/signals";
import { live } from "./live";
import type { Attachment, Refused, Said, ToServer, UserItem } from "./protocol";
import { Shelf } from "./shelf";
import { tab } from "./storage";

export interface Unsent extends Omit<Said, "attachments"> {
  conversation: string;
  message_id: string;
  attachments?: readonly Attachment[];
}

type Deed = Extract<ToServer, { type: "retry" | "continue" | "stop" | "take_back" | "answer" }>;

export type Kept =
  | { type: "send"; message: Unsent }
  | { type: "deed"; deed: Exclude<Deed, { type: "stop" | "take_back" }> }
  /** `lastEnd`: of the turn before the one that she stopped. */
  | { type: "deed"; deed: Extract<Deed, { type: "stop" }>; lastEnd: string | null }
  /** With what comes back to her. */
  | { type: "deed"; deed: Extract<Deed, { type: "take_back" }>; item: UserItem };

const kept = new Shelf<Kept>("outbox");
/** Those that were sent over the connection that stands, each with how many signs of life it has brought since. */
const sent = new Map<string, number>();

export const unsent = computed(() => kept.all.value.flatMap((one) => (one.type === "send" ? [one.message] : [])));
export const deeds = computed(() => kept.all.value.flatMap((one) => (one.type === "deed" ? [one.deed] : [])));
export const isAllSent = computed(() => kept.all.value.length === 0);

const keyOf = (one: Kept): string => {
  if (one.type === "send") return one.message.message_id;
  const { deed } = one;
  if (deed.type === "stop") return `stop ${deed.conversation}`;
  return deed.type === "answer" ? `${deed.type} ${deed.ask}` : `${deed.type} ${deed.message_id}`;
};

const conversationOf = (one: Kept) => (one.type === "send" ? one.message : one.deed).conversation;

function frame(one: Kept): ToServer {
  if (one.type === "deed") return one.deed;
  const { attachments, ...message } = one.message;
  const ids = attachments?.map(({ id }) => id) ?? [];
  return { type: "send", ...message, ...(ids.length ? { attachments: ids } : {}) };
}

/** Sends it now, or as soon as there is a connection. */
export function post(one: Kept): void {
  const key = keyOf(one);
  sent.delete(key);
  kept.put(key, one);
  if (live.send(frame(one))) sent.set(key, 0);
  live.assure();
}

/** What the server has, as it turns out, is not sent again. Gives what is settled so. */
export function settle(conversation: string, isSettled: (one: Kept) => boolean): Kept[] {
  const settled = kept.all.peek().filter((one) => conversationOf(one) === conversation && isSettled(one));
  return settled.flatMap((one) => kept.take(keyOf(one)) ?? []);
}

/**
 * At a sign of life: the server takes one thing after the other, so it has had in hand what was sent before it was asked for
 * the sign. Of conversations that nobody looks at that is all that can be known. The first sign may have been asked for earlier.
 */
export function settleHeard(isUnseen: (conversation: string) => boolean): void {
  for (const one of kept.all.peek()) {
    const key = keyOf(one);
    const signs = sent.get(key);
    if (signs === undefined) continue;
    sent.set(key, signs + 1);
    if (signs > 0 && isUnseen(conversationOf(one))) kept.take(key);
  }
}

/** Takes back what the server refuses; nothing where it refuses something else. */
export function takeBack(refusal: Refused): Kept | undefined {
  const { of, conversation, message_id: message, ask } = refusal;
  if (of === "stop") return kept.take(`stop ${conversation}`);
  const id = message ?? ask ?? "";
  return kept.take(of === "send" ? id : `${of} ${id}`);
}

live.onOpen(() => sent.clear());

let isHearing = false;
let ruleOf: (one: Kept) => Rule;

/** Of what may have arrived already: repeated, kept until more is known, or forgotten. */
export type Rule = "now" | "later" | "never";

/**
 * Over a new connection, and when she looks elsewhere. A message is safe to repeat at once; what she did may have come to
 * its end meanwhile, so the server is heard first.
 */
export function postAgain(rule: (one: Kept) => Rule): void {
  if (live.state.peek() !== "open") return;
  ruleOf = rule;
  if (kept.all.peek().some((one) => one.type === "deed" && !sent.has(keyOf(one))))
    isHearing = live.send({ type: "ping" });
  else sendAll();
}

live.on("pong", () => {
  if (isHearing) sendAll();
  isHearing = false;
});

function sendAll(): void {
  for (const one of kept.all.peek()) {
    const key = keyOf(one);
    if (sent.has(key)) continue;
    const rule = ruleOf(one);
    if (rule === "never") kept.take(key);
    else if (rule === "now" && live.send(frame(one))) sent.set(key, 0);
  }
}

// An earlier page kept messages for its tab alone.
for (const message of tab.get<readonly Unsent[]>("unsent", [])) kept.put(message.message_id, { type: "send", message });
tab.set("unsent", undefined);
