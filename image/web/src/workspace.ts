// Whose workspace this is, whether Claude is connected, and what she chose in the settings.

import { computed, signal } from "@preact/signals";
import { ask, attempt } from "./http";
import { live } from "./live";
import type { Auth, Boot, Settings } from "./protocol";
import { device } from "./storage";

const DEFAULTS: Settings = {
  display_name: "",
  theme: "system",
  text_size: "medium",
  enter_sends: true,
  detail: "clean",
  permission_mode: "default",
  model: "",
  effort: "",
  language: "",
};

export const boot = signal<Boot | null>(null);
export const auth = signal<Auth | null>(null);
/** What was chosen last, until the server says what holds. */
export const settings = signal<Settings>({ ...DEFAULTS, ...device.get<Partial<Settings>>("settings", {}) });

export const isSignedIn = computed(() => auth.value?.state === "signed_in");
export const isSignedOut = computed(() => auth.value?.state === "signed_out");
/** How she is greeted: the name that she chose, or the first of those that she was given. */
export const greetedAs = computed(() => settings.value.display_name || boot.value?.user.name.split(" ")[0] || "");

live.on("hello", ({ boot: now }) => {
  boot.value = now;
  auth.value = now.auth;
  keep(now.settings);
});
live.on("auth", (message) => {
  auth.value = message.auth;
});
live.on("settings", (message) => keep(message.settings));

/** What the server said last, and what it was asked to change and has not confirmed yet. */
let known = settings.value;
const underway = new Set<Partial<Settings>>();

function keep(now: Settings): void {
  known = now;
  settings.value = Object.assign({ ...now }, ...underway);
  device.set("settings", settings.value);
}

/** Shown at once; taken back where the server refuses. An answer takes back nothing that she chose since it was asked. */
export async function change(part: Partial<Settings>): Promise<void> {
  underway.add(part);
  keep(known);
  const now = await attempt(ask<Settings>("PUT", "/api/settings", part));
  underway.delete(part);
  keep(now ?? known);
}

/** Asks Claude Code itself whether it is logged in. */
export const checkAuth = (): Promise<void> => learnAuth("GET", "/api/auth?fresh=1");

export const logOut = (): Promise<void> => learnAuth("POST", "/api/auth/logout");

/** What the workspace has told by itself meanwhile is newer than any answer. */
async function learnAuth(method: string, path: string): Promise<void> {
  const before = auth.value;
  const now = await attempt(ask<Auth>(method, path));
  if (now && auth.value === before) auth.value = now;
}

/** "Connected as ana@example.com · Max plan". */
export function authWords(now: Auth | null): string {
  if (!now || now.state === "checking") return "Checking …";
  if (now.state === "signed_out") return "Not connected";
  if (now.method === "api_key") return `Connected${now.email ? ` as ${now.email}` : ""} with an API key`;
  return `Connected${now.email ? ` as ${now.email}` : ""}${now.plan ? ` · ${capital(now.plan)} plan` : ""}`;
}

const capital = (word: string) => word.charAt(0).toUpperCase() + word.slice(1);
