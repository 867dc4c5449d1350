// The conversation that she follows, and what she can do in it.

import { computed, effect, type Signal, signal } from "@preact/signals";
import { ask, attempt } from "../http";
import { uuid } from "../identity";
import { live } from "../live";
import { deeds, type Kept, post, postAgain, type Rule, settle, settleHeard, takeBack, unsent } from "../outbox";
import { announce } from "../parts/announcer";
import { toast } from "../parts/toast";
import { current, toChat } from "../place";
import type { Answer, Attachment, Item, Numbered, UserItem } from "../protocol";
import { putBack } from "./attachments";
import { draftOf, keepDraft } from "./drafts";
import { takeFresh } from "./options";
import { newestPlan } from "./passages";
import { isSettled, lastEnd, ruleOf } from "./settling";
import { after, fromSnapshot, nothing, shortened, type Timeline, withOlder } from "./timeline";

const MOST_KEPT = 8;
/** Of the one that she looks at; of the others a snapshot's length is kept. */
const LONGEST = 800;
const SHORT = 400;
const AS_A_SNAPSHOT = 200;
const timelines = new Map<string, Signal<Timeline>>();

function timelineOf(id: string): Signal<Timeline> {
  const known = timelines.get(id) ?? signal(nothing);
  timelines.delete(id);
  timelines.set(id, known);
  for (const other of [...timelines.keys()].slice(0, -MOST_KEPT)) timelines.delete(other);
  return known;
}

export const timeline = computed(() => (current.value ? timelineOf(current.value).value : nothing));
export const plan = computed(() => newestPlan(timeline.value.items));
/** Written in this conversation and not confirmed yet. */
export const sending = computed(() => unsent.value.filter((one) => one.conversation === current.value));
export const isLoading = computed(
  () => current.value !== null && timeline.value.seq === null && sending.value.length === 0,
);

// --- following ---

let followed: string | null = null;
/** A snapshot is under way: events that fit nowhere are no reason to ask again. */
let isCatchingUp = false;

function follow(id: string, anew = false): void {
  const { epoch, seq } = anew ? nothing : timelineOf(id).peek();
  followed = id;
  isCatchingUp = anew;
  live.send({ type: "follow", conversation: id, epoch, after: seq });
}

/** Whether she reads what was said earlier: then nothing is taken away from there. */
export const isReadingBack = signal(false);

function lookAt(id: string | null): void {
  if (id === followed) return;
  if (followed) {
    live.send({ type: "unfollow", conversation: followed });
    const left = timelineOf(followed);
    left.value = shortened(left.peek(), AS_A_SNAPSHOT);
  }
  followed = null;
  if (id) follow(id);
}

live.onOpen(() => {
  followed = null;
  lookAt(current.peek());
  postAgain(again);
});
effect(() => {
  lookAt(current.value);
  postAgain(again);
});

live.on("snapshot", (snapshot) => {
  if (snapshot.conversation === followed) isCatchingUp = false;
  keep(snapshot.conversation, fromSnapshot(snapshot));
});

live.on("event", (event) => {
  const next = after(timelineOf(event.conversation).peek(), event);
  if (next) {
    keep(event.conversation, next);
    tell(next, event);
  } else if (event.conversation === followed && !isCatchingUp) follow(followed, true);
});

live.on("refused", (refusal) => {
  const one = takeBack(refusal);
  if (refusal.code !== "already_answered") toast.value = { text: refusal.message };
  if (one?.type !== "send") return;
  const { text, attachments } = one.message;
  addToDraft(refusal.conversation, text);
  if (attachments && refusal.code !== "bad_attachment") putBack(refusal.conversation, attachments);
});

live.on("pong", () => settleHeard((conversation) => conversation !== followed));

live.on("conversation_gone", (message) => timelines.delete(message.id));

function keep(id: string, next: Timeline): void {
  const isLong = next.items.length > LONGEST && !isReadingBack.peek();
  timelineOf(id).value = isLong ? shortened(next, SHORT) : next;
  for (const one of settle(id, (one) => isSettled(one, next)))
    if ("item" in one && !next.items.some((item) => item.id === one.item.id)) toBox(id, one.item);
}

function again(one: Kept): Rule {
  const { conversation } = one.type === "send" ? one.message : one.deed;
  return ruleOf(one, conversation === followed ? timelineOf(conversation).peek() : null, deeds.peek());
}

/** A screen reader hears what is finished, and what waits for her. */
function tell(now: Timeline, event: Numbered): void {
  if (event.op === "add" && event.item.kind === "ask" && event.item.state === "open") announce(event.item.title);
  if (event.op === "add" && event.item.kind === "notice") announce(event.item.text);
  if (event.op !== "set" || !("done" in event.patch) || !event.patch.done) return;
  const item = now.items.find((one) => one.id === event.id);
  if (item?.kind === "assistant") announce(`Claude: ${item.text}`);
}

// --- acting ---

/** `replaces` is the message of hers that gives way to this one, with all after it. */
export function say(text: string, attachments: readonly Attachment[] = [], replaces?: string): void {
  const conversation = current.value ?? uuid();
  const options = takeFresh();
  if (replaces) bringBack();
  toChat(conversation);
  const message = {
    ...{ conversation, message_id: uuid(), text },
    ...(attachments.length ? { attachments } : {}),
    ...(replaces ? { replaces } : {}),
    ...(options ? { options } : {}),
  };
  post({ type: "send", message });
}

/** Where she has asked for a stop that has not come yet. */
export const stopping = computed(() =>
  deeds.value.some((one) => one.type === "stop" && one.conversation === current.value),
);
/** The cards that she has answered, and the server has not heard of it yet. */
export const answered = computed(() => new Set(deeds.value.flatMap((one) => (one.type === "answer" ? [one.ask] : []))));

/** What Claude has not begun is hers again, in its order, before a stop would drop it: no word of it is lost. */
function bringBack(): void {
  const { items } = timeline.value;
  items
    .filter((item): item is UserItem => item.kind === "user" && item.queued)
    .toReversed()
    .forEach(withdraw);
}

/** Where nothing is connected she is told that it comes later. */
function act(kept: Kept): void {
  post(kept);
  if (live.state.value !== "open") toast.value = { text: "That is kept, and done once you are connected again." };
}

export function stop(): void {
  const conversation = current.value;
  if (!conversation) return;
  bringBack();
  act({ type: "deed", deed: { type: "stop", conversation }, lastEnd: lastEnd(timeline.value.items) });
}

/** A message that still waits is hers again: to be said in another way, or not at all. */
export function withdraw(item: UserItem): void {
  const conversation = current.value;
  if (conversation) act({ type: "deed", deed: { type: "take_back", conversation, message_id: item.id }, item });
}

function toBox(conversation: string, item: UserItem): void {
  addToDraft(conversation, item.text);
  putBack(conversation, item.attachments);
}

function addToDraft(conversation: string, text: string): void {
  keepDraft(conversation, [text, draftOf(conversation)].filter(Boolean).join("\n\n"));
}

/** Her last message once more, or this one. */
export function retry(of?: string): void {
  const conversation = current.value;
  const last = of ?? timeline.peek().items.findLast((item) => item.kind === "user")?.id;
  bringBack();
  if (!conversation || !last || deeds.peek().some((one) => one.type === "retry" && one.of === last)) return;
  act({ type: "deed", deed: { type: "retry", conversation, message_id: uuid(), of: last } });
}

export function goOn(): void {
  const conversation = current.value;
  const isAsked = deeds.peek().some((one) => one.type === "continue" && one.conversation === conversation);
  if (conversation && !isAsked) act({ type: "deed", deed: { type: "continue", conversation, message_id: uuid() } });
}

export function reply(card: string, answer: Answer): void {
  const conversation = current.value;
  if (conversation) post({ type: "deed", deed: { type: "answer", conversation, ask: card, ...answer } });
}

export async function loadOlder(): Promise<void> {
  const id = current.value;
  const first = timeline.value.items[0];
  if (!id || !first) return;
  const older = await attempt(
    ask<{ items: Item[]; more: boolean }>(
      "GET",
      `/api/conversations/${id}/items?before=${encodeURIComponent(first.id)}&limit=200`,
    ),
  );
  if (older) timelineOf(id).value = withOlder(timelineOf(id).peek(), older.items, older.more);
}
