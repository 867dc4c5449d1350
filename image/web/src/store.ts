// What the page knows, and everything it can do about it.

import { computed, effect, signal } from "@preact/signals";
import { Live } from "./live";
import type { Answer, Auth, Boot, Conversation, FromServer, Item, Settings } from "./protocol";
import { after, fromSnapshot, nothing, type Timeline } from "./timeline";

export type Section = "general" | "appearance" | "authentication";
export type Place = { page: "chat"; conversation: string | null } | { page: "settings"; section: Section };
interface Unsent {
  conversation: string;
  message_id: string;
  text: string;
}

const IDLE_MS = 10 * 60_000;
const DEFAULTS: Settings = {
  display_name: "",
  theme: "system",
  text_size: "medium",
  enter_sends: true,
  detail: "clean",
  permission_mode: "default",
  model: "",
};

export const boot = signal<Boot | null>(null);
export const auth = signal<Auth | null>(null);
export const settings = signal<Settings>(DEFAULTS);
export const conversations = signal<readonly Conversation[]>([]);
export const total = signal(0);
export const timelines = signal<Readonly<Record<string, Timeline>>>({});
export const place = signal<Place>(placeOf(location.pathname));
export const connected = signal(true);
export const terminalOpen = signal(false);
export const drawerOpen = signal(false);
export const toast = signal<{ text: string; action?: { label: string; run: () => void } } | null>(null);
export const unsent = signal<readonly Unsent[]>(JSON.parse(sessionStorage.getItem("unsent") ?? "[]") as Unsent[]);
/** What a screen reader is told. */
export const announcement = signal("");

export const current = computed(() => (place.value.page === "chat" ? place.value.conversation : null));
export const timeline = computed(() => (current.value ? (timelines.value[current.value] ?? nothing) : nothing));
export const name = computed(() => settings.value.display_name || boot.value?.user.name || "");
export const busy = computed(() => Object.values(timelines.value).some((one) => one.turn === "running"));

// --- where she is ---------------------------------------------------------------------------------

function placeOf(path: string): Place {
  const [, first, second] = path.split("/");
  if (first === "settings") {
    const section = (["general", "appearance", "authentication"] as const).find((one) => one === second);
    return { page: "settings", section: section ?? "general" };
  }
  return { page: "chat", conversation: first === "c" && second ? second : null };
}

export function go(path: string): void {
  if (path !== location.pathname) history.pushState(null, "", path);
  place.value = placeOf(path);
  drawerOpen.value = false;
}

addEventListener("popstate", () => {
  place.value = placeOf(location.pathname);
});

// --- HTTP -----------------------------------------------------------------------------------------

async function ask<T>(method: string, path: string, body?: unknown): Promise<T> {
  const response = await fetch(path, {
    method,
    ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
  });
  const text = await response.text();
  const answer = text ? JSON.parse(text) : null;
  if (!response.ok) throw new Error(answer?.error?.message ?? `The server answered ${response.status}.`);
  return answer as T;
}

/** Does it, and tells her in words if it could not be done. */
export async function attempt<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    toast.value = { text: error instanceof Error ? error.message : "That did not work." };
    return undefined;
  }
}

export const http = { ask };

export async function loadConversations(query = ""): Promise<void> {
  const found = await ask<{ conversations: Conversation[]; total: number }>(
    "GET",
    `/api/conversations?limit=100&q=${encodeURIComponent(query)}`,
  );
  conversations.value = found.conversations;
  total.value = found.total;
}

export async function change(part: Partial<Settings>): Promise<void> {
  settings.value = { ...settings.value, ...part };
  const whole = await attempt(ask<Settings>("PUT", "/api/settings", part));
  if (whole) settings.value = whole;
}

export async function rename(id: string, title: string): Promise<void> {
  const renamed = await attempt(ask<Conversation>("PATCH", `/api/conversations/${id}`, { title }));
  if (renamed) noteConversation(renamed);
}

export async function remove(conversation: Conversation): Promise<void> {
  if ((await attempt(ask<null>("DELETE", `/api/conversations/${conversation.id}`))) === undefined) return;
  forget(conversation.id);
  toast.value = {
    text: `“${conversation.title}” was deleted.`,
    action: { label: "Undo", run: () => void restore(conversation.id) },
  };
}

async function restore(id: string): Promise<void> {
  const restored = await attempt(ask<Conversation>("POST", `/api/conversations/${id}/restore`));
  if (restored) noteConversation(restored);
}

export async function logOut(): Promise<void> {
  const result = await attempt(ask<Auth>("POST", "/api/auth/logout"));
  if (result) auth.value = result;
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
  const now = timelines.value[id];
  if (older && now) keep(id, { ...now, items: [...older.items, ...now.items], more: older.more });
}

// --- the live socket ------------------------------------------------------------------------------

const live = new Live({
  opened() {
    connected.value = true;
    if (current.value) follow(current.value);
    for (const message of unsent.value) live.send({ type: "send", ...message });
    void loadConversations().catch(() => undefined);
  },
  closed() {
    connected.value = false;
  },
  message: receive,
});

function receive(message: FromServer): void {
  switch (message.type) {
    case "hello":
      boot.value = message.boot;
      auth.value = message.boot.auth;
      settings.value = message.boot.settings;
      break;
    case "auth":
      auth.value = message.auth;
      break;
    case "settings":
      settings.value = message.settings;
      break;
    case "conversation":
      noteConversation(message.conversation);
      break;
    case "conversation_gone":
      forget(message.id);
      break;
    case "snapshot":
      keep(message.conversation, fromSnapshot(message));
      break;
    case "event": {
      const known = timelines.value[message.conversation] ?? nothing;
      const next = after(known, message);
      if (next) keep(message.conversation, next);
      else live.send({ type: "follow", conversation: message.conversation, epoch: null, after: null });
      if (message.op === "set" && "done" in message.patch && message.patch.done) announce(next, message.id);
      if (message.op === "add" && message.item.kind === "ask") announcement.value = message.item.title;
      break;
    }
    case "refused":
      toast.value = { text: message.message };
      if (message.of === "send") drop((one) => one.conversation === message.conversation);
      break;
  }
}

function announce(timeline: Timeline | null, id: string): void {
  const item = timeline?.items.find((one) => one.id === id);
  if (item?.kind === "assistant") announcement.value = item.text;
}

function keep(id: string, timeline: Timeline): void {
  timelines.value = { ...timelines.value, [id]: timeline };
  const arrived = new Set(timeline.items.map((item) => item.id));
  drop((one) => one.conversation === id && arrived.has(one.message_id));
}

function drop(gone: (message: Unsent) => boolean): void {
  const left = unsent.value.filter((one) => !gone(one));
  if (left.length !== unsent.value.length) unsent.value = left;
}

function noteConversation(conversation: Conversation): void {
  const others = conversations.value.filter((one) => one.id !== conversation.id);
  conversations.value = [conversation, ...others].sort((a, b) => b.updated_at.localeCompare(a.updated_at));
}

function forget(id: string): void {
  conversations.value = conversations.value.filter((one) => one.id !== id);
  if (current.value === id) go("/");
}

function follow(id: string): void {
  const known = timelines.value[id];
  live.send({ type: "follow", conversation: id, epoch: known?.epoch ?? null, after: known?.seq ?? null });
}

export function say(text: string): void {
  const conversation = current.value ?? crypto.randomUUID();
  const message: Unsent = { conversation, message_id: crypto.randomUUID(), text };
  unsent.value = [...unsent.value, message];
  const isNew = conversation !== current.value;
  if (isNew) go(`/c/${conversation}`);
  follow(conversation);
  if (!live.send({ type: "send", ...message })) live.wake();
}

export function stop(): void {
  if (current.value) live.send({ type: "stop", conversation: current.value });
}

export function reply(ask: string, answer: Answer): void {
  if (current.value) live.send({ type: "answer", conversation: current.value, ask, ...answer });
}

// --- while she is away the machine may sleep -----------------------------------------------------

let touched = Date.now();
for (const sign of ["pointerdown", "keydown", "focus", "scroll"]) {
  addEventListener(
    sign,
    () => {
      touched = Date.now();
      live.wake();
    },
    { capture: true, passive: true },
  );
}
document.addEventListener("visibilitychange", () => {
  touched = Date.now();
  if (document.visibilityState === "visible") live.wake();
});
setInterval(() => {
  if (Date.now() - touched > IDLE_MS && !busy.value && !terminalOpen.value && !unsent.value.length) live.rest();
}, 30_000);

effect(() => sessionStorage.setItem("unsent", JSON.stringify(unsent.value)));
effect(() => {
  if (current.value && connected.value && !timelines.value[current.value]) follow(current.value);
});
effect(() => {
  document.documentElement.dataset.theme = settings.value.theme;
  document.documentElement.dataset.text = settings.value.text_size;
});

export function start(): void {
  live.wake();
}
