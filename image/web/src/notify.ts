// Tells her, while she looks elsewhere, that Claude has finished or waits for her: only where she asked for it.

import { effect, signal } from "@preact/signals";
import { live } from "./live";
import { go, pathOf, placeOf } from "./place";
import type { Conversation } from "./protocol";
import { isLooking, receivePushes, refusePushes } from "./push";
import { device } from "./storage";

const SUPPORTED = "Notification" in globalThis && "serviceWorker" in navigator;

/** What the browser allows; `missing` where it knows no such thing, or not before the page is installed. */
export type Permission = NotificationPermission | "missing";
export const permission = signal<Permission>(SUPPORTED ? Notification.permission : "missing");
/** What she chose on this device. */
export const wanted = signal(device.get("notify", false));

effect(() => void device.set("notify", wanted.value));

export async function choose(isWanted: boolean): Promise<void> {
  wanted.value = isWanted;
  if (!isWanted) return refusePushes();
  if (permission.value === "missing") return;
  permission.value = await Notification.requestPermission();
  if (permission.value !== "granted") wanted.value = false;
  else await receivePushes();
}

/** What is new for her about a conversation; "" where nothing is. */
export function newsOf(before: Conversation["turn"] | undefined, now: Conversation["turn"]): string {
  if (now === "waiting" && before !== "waiting") return "Claude waits for your answer";
  if (now === "idle" && (before === "running" || before === "waiting")) return "Claude has finished";
  return "";
}

const turns = new Map<string, Conversation["turn"]>();

live.on("conversation", ({ conversation: { id, title, turn } }) => {
  const before = turns.get(id);
  turns.set(id, turn);
  // What a page hears first of a conversation is no news.
  const news = before === undefined ? "" : newsOf(before, turn);
  if (news && !isLooking() && wanted.value && permission.value === "granted") void show(news, title, id);
});

async function show(news: string, title: string, id: string): Promise<void> {
  const path = pathOf({ page: "chat", conversation: id });
  const registration = await navigator.serviceWorker.ready;
  await registration.showNotification(news, { body: title, tag: id, icon: "/icon-192.png", data: { path } });
}

/** The worker says where a message that she clicked leads. */
export function watchNotifications(): void {
  if (!("serviceWorker" in navigator)) return;
  navigator.serviceWorker.register("/sw.js").catch(() => undefined);
  // Anew with each page: a subscription may have come to its end, or the workspace has forgotten it.
  if (wanted.peek() && permission.peek() === "granted") void receivePushes();
  navigator.serviceWorker.addEventListener("message", (event: MessageEvent<{ open?: string }>) => {
    if (event.data.open) go(placeOf(event.data.open));
  });
}
