// The list of conversations.

import { batch, computed, effect, signal } from "@preact/signals";
import { ask, attempt } from "./http";
import { live } from "./live";
import { saveFrom } from "./parts/save";
import { toast } from "./parts/toast";
import { current, place, toChat } from "./place";
import type { Conversation, Options } from "./protocol";
import { Told, upToDate } from "./told";

interface Found {
  conversations: Conversation[];
  total: number;
  /** Whether any can be put back. */
  deleted: boolean;
}

const PAGE = 50;

export const conversations = signal<readonly Conversation[]>([]);
export const total = signal(0);
export const hasDeleted = signal(false);
export const query = signal("");
/** What the search brought so far; null where she searches nothing. */
export const found = signal<readonly Conversation[] | null>(null);
const foundTotal = signal(0);
/** Those whose answer came while she looked elsewhere. */
export const unread = signal<ReadonlySet<string>>(new Set());

export const isBusy = computed(() => conversations.value.some((one) => one.turn === "running"));
export const isWaiting = computed(() => conversations.value.some((one) => one.turn === "waiting"));
export const shownConversation = computed(() => conversations.value.find((one) => one.id === current.value));
export const currentTitle = computed(() => shownConversation.value?.title ?? "");

function get(offset: number, limit: number, words = ""): Promise<Found> {
  return ask("GET", `/api/conversations?limit=${limit}&offset=${offset}&q=${encodeURIComponent(words)}`);
}

const told = new Told<Conversation>();

async function reload(): Promise<void> {
  const limit = Math.min(200, Math.max(PAGE, conversations.value.length));
  const [page, since] = await told.while(get(0, limit).catch(() => undefined));
  if (!page) return;
  conversations.value = upToDate(page.conversations, since).sort(newestFirst);
  total.value = page.total;
  hasDeleted.value = page.deleted;
}

/** Whether there are more than those that are shown. */
export const hasMore = computed(() =>
  found.value ? found.value.length < foundTotal.value : conversations.value.length < total.value,
);

export const loadMore = () => (found.value ? findMore() : listMore());

async function listMore(): Promise<void> {
  const [page, since] = await told.while(attempt(get(conversations.value.length, PAGE)));
  if (!page) return;
  const known = new Set([...conversations.value.map((one) => one.id), ...since.keys()]);
  conversations.value = [...conversations.value, ...page.conversations.filter((one) => !known.has(one.id))];
  total.value = page.total;
}

export async function search(words: string): Promise<void> {
  query.value = words;
  if (!words.trim()) {
    found.value = null;
    return;
  }
  const page = await attempt(get(0, PAGE, words.trim()));
  if (!page || query.value !== words) return;
  batch(() => {
    found.value = page.conversations;
    foundTotal.value = page.total;
  });
}

async function findMore(): Promise<void> {
  const before = found.value ?? [];
  const words = query.value;
  const page = await attempt(get(before.length, PAGE, words.trim()));
  if (!page || query.value !== words || found.value?.length !== before.length) return;
  const known = new Set(before.map((one) => one.id));
  const fresh = page.conversations.filter((one) => !known.has(one.id));
  batch(() => {
    found.value = [...before, ...fresh];
    // Where the list has moved meanwhile, what it brings may be known: then there is nothing more to ask for.
    foundTotal.value = fresh.length ? page.total : before.length;
  });
}

export function withConversation(list: readonly Conversation[], changed: Conversation): readonly Conversation[] {
  const others = list.filter((one) => one.id !== changed.id);
  return [changed, ...others].sort(newestFirst);
}

const newestFirst = (a: Conversation, b: Conversation) => b.updated_at.localeCompare(a.updated_at);

function note(changed: Conversation): void {
  told.note(changed.id, changed);
  const before = conversations.value.find((one) => one.id === changed.id);
  conversations.value = withConversation(conversations.value, changed);
  if (found.value) found.value = found.value.map((one) => (one.id === changed.id ? { ...one, ...changed } : one));
  if (!before) total.value += 1;
  const isShown = place.value.page === "chat" && current.value === changed.id && !document.hidden;
  if (before && before.turn !== "idle" && changed.turn === "idle" && !isShown)
    unread.value = new Set([...unread.value, changed.id]);
}

function forget(id: string): void {
  told.note(id, null);
  const gone = (one: Conversation) => one.id !== id;
  if (!conversations.value.every(gone)) total.value -= 1;
  conversations.value = conversations.value.filter(gone);
  if (found.value && !found.value.every(gone)) foundTotal.value -= 1;
  if (found.value) found.value = found.value.filter(gone);
  if (current.value !== id) return;
  if (place.value.page === "chat") toChat();
  else current.value = null;
}

type Part = Partial<Options & { title: string }>;

/** Shown at once; taken back where the server refuses. */
export async function revise(id: string, part: Part): Promise<void> {
  const before = conversations.value.find((one) => one.id === id);
  if (before) note({ ...before, ...part });
  const revised = await attempt(ask<Conversation>("PATCH", `/api/conversations/${id}`, part));
  if (revised ?? before) note((revised ?? before) as Conversation);
}

/** A conversation that goes on from here by itself: after the turn of this item, or after all of it. */
export async function fork(id: string, at: string | null = null): Promise<void> {
  const forked = await attempt(ask<Conversation>("POST", `/api/conversations/${id}/fork`, { at }));
  if (!forked) return;
  note(forked);
  toChat(forked.id);
  toast.value = { text: "This is a copy to go on from. The other one stays as it was." };
}

export const exportMarkdown = (id: string) => saveFrom(`/api/conversations/${id}/export.md`);

export async function remove({ id, title }: Conversation): Promise<void> {
  const wasShown = current.value === id;
  if ((await attempt(ask<null>("DELETE", `/api/conversations/${id}`))) === undefined) return;
  forget(id);
  toast.value = {
    text: `“${title}” was deleted`,
    action: { label: "Undo", run: () => void restore(id, wasShown) },
  };
}

/** Puts back what was deleted. */
export async function restore(id: string, show = false): Promise<void> {
  const restored = await attempt(ask<Conversation>("POST", `/api/conversations/${id}/restore`));
  if (!restored) return;
  note(restored);
  if (show) toChat(id);
  void reload();
}

live.onOpen(() => void reload());
live.on("conversation", (message) => note(message.conversation));
live.on("import", (message) => message.import.state === "done" && void reload());
live.on("conversation_gone", (message) => {
  forget(message.id);
  hasDeleted.value = true;
});

effect(() => {
  const id = current.value;
  if (!id || place.value.page !== "chat" || !unread.value.has(id)) return;
  unread.value = new Set([...unread.value].filter((one) => one !== id));
});
