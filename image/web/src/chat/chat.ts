// The conversation that she follows, and what she can do in it.

import { computed, effect, type Signal, signal } from "@preact/signals";
import { ask, attempt } from "../http";
import { uuid } from "../identity";
import { live } from "../live";
import { confirm, post, postAgain, takeBack, unsent } from "../outbox";
import { announce } from "../parts/announcer";
import { toast } from "../parts/toast";
import { current, toChat } from "../place";
import type { Answer, Attachment, Item, Numbered, ToServer, UserItem } from "../protocol";
import { putBack } from "./attachments";
import { draftOf, keepDraft } from "./drafts";
import { takeFresh } from "./options";
import { after, fromSnapshot, nothing, type Timeline, withOlder } from "./timeline";

const MOST_KEPT = 8;
const timelines = new Map<string, Signal<Timeline>>();

function timelineOf(id: string): Signal<Timeline> {
  const known = timelines.get(id) ?? signal(nothing);
  timelines.delete(id);
  timelines.set(id, known);
  for (const other of [...timelines.keys()].slice(0, -MOST_KEPT)) timelines.delete(other);
  return known;
}

export const timeline = computed(() => (current.value ? timelineOf(current.value).value : nothing));
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

function lookAt(id: string | null): void {
  if (id === followed) return;
  if (followed) live.send({ type: "unfollow", conversation: followed });
  followed = null;
  if (id) follow(id);
}

live.onOpen(() => {
  followed = null;
  lookAt(current.peek());
  postAgain();
});
effect(() => lookAt(current.value));

live.on("snapshot", (snapshot) => {
  if (snapshot.conversation === followed) isCatchingUp = false;
  keep(snapshot.conversation, fromSnapshot(snapshot));
});

live.on("event", (event) => {
  if (event.op === "set" && event.patch.dropped) toBox(event.conversation, event.id);
  const next = after(timelineOf(event.conversation).peek(), event);
  if (next) {
    keep(event.conversation, next);
    tell(next, event);
  } else if (event.conversation === followed && !isCatchingUp) follow(followed, true);
});

live.on("refused", (refusal) => {
  toast.value = { text: refusal.message };
  if (refusal.of !== "send") return;
  const back = takeBack(refusal.conversation);
  addToDraft(refusal.conversation, back.text);
  if (refusal.code !== "bad_attachment") putBack(refusal.conversation, back.attachments);
});

live.on("conversation_gone", (message) => timelines.delete(message.id));

function keep(id: string, next: Timeline): void {
  timelineOf(id).value = next;
  if (unsent.peek().length) confirm(id, new Set(next.items.map((item) => item.id)));
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
  post({
    ...{ conversation, message_id: uuid(), text },
    ...(attachments.length ? { attachments } : {}),
    ...(replaces ? { replaces } : {}),
    ...(options ? { options } : {}),
  });
}

/** False where nothing is connected: she is told. */
function tellServer(message: (conversation: string) => ToServer): boolean {
  const isSent = current.value !== null && live.send(message(current.value));
  if (!isSent) {
    toast.value = { text: "Not connected at the moment. Please try again." };
    live.wake();
  }
  return isSent;
}

/** Where she has asked for a stop that has not come yet. */
export const stopping = signal<string | null>(null);

/** What Claude has not begun is hers again, in its order, before a stop would drop it: no word of it is lost. */
function bringBack(): void {
  const { items } = timeline.value;
  items
    .filter((item): item is UserItem => item.kind === "user" && item.queued)
    .toReversed()
    .forEach(withdraw);
}

export function stop(): void {
  bringBack();
  if (tellServer((conversation) => ({ type: "stop", conversation }))) stopping.value = current.value;
}
effect(() => {
  if (timeline.value.turn === "idle") stopping.value = null;
});

/** Messages that she has asked for, and that come back into the box when they are hers again. */
const asked = new Map<string, UserItem>();

/** A message that still waits is hers again: to be said in another way, or not at all. */
export function withdraw(item: UserItem): void {
  if (tellServer((conversation) => ({ type: "take_back", conversation, message_id: item.id })))
    asked.set(item.id, item);
}

function toBox(conversation: string, id: string): void {
  const item = asked.get(id);
  if (!item) return;
  asked.delete(id);
  addToDraft(conversation, item.text);
  putBack(conversation, item.attachments);
}

function addToDraft(conversation: string, text: string): void {
  keepDraft(conversation, [text, draftOf(conversation)].filter(Boolean).join("\n\n"));
}

/** Her last message once more, or this one. */
export function retry(of?: string): void {
  const last = of ?? timeline.peek().items.findLast((item) => item.kind === "user")?.id;
  bringBack();
  if (last) tellServer((conversation) => ({ type: "retry", conversation, message_id: uuid(), of: last }));
}

export const goOn = () => tellServer((conversation) => ({ type: "continue", conversation, message_id: uuid() }));

export const reply = (card: string, answer: Answer): boolean =>
  tellServer((conversation) => ({ type: "answer", conversation, ask: card, ...answer }));

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
