// Where she is; the address bar always says it.

import { computed, signal } from "@preact/signals";

export const SECTIONS = {
  general: "General",
  appearance: "Appearance",
  authentication: "Claude Code Authentication",
} as const;
export type Section = keyof typeof SECTIONS;
export type Place = { page: "chat"; conversation: string | null } | { page: "settings"; section: Section };

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export function placeOf(path: string): Place {
  const [, first, second = ""] = path.split("/");
  if (first === "settings")
    return { page: "settings", section: Object.hasOwn(SECTIONS, second) ? (second as Section) : "general" };
  return { page: "chat", conversation: first === "c" && UUID.test(second) ? second : null };
}

export function pathOf(place: Place): string {
  if (place.page === "settings") return `/settings/${place.section}`;
  return place.conversation ? `/c/${place.conversation}` : "/";
}

export const place = signal<Place>(placeOf(location.pathname));
/** The conversation on the screen, or the one she left for the settings. */
export const current = signal<string | null>(null);
export const drawerOpen = signal(false);
export const inSettings = computed(() => place.value.page === "settings");

function arrive(next: Place): void {
  place.value = next;
  drawerOpen.value = false;
  if (next.page === "chat") current.value = next.conversation;
}

export function go(next: Place): void {
  const path = pathOf(next);
  if (path !== location.pathname) history.pushState(null, "", path);
  arrive(next);
}

export const toChat = (conversation: string | null = null) => go({ page: "chat", conversation });
export const toSettings = (section: Section = "general") => go({ page: "settings", section });

addEventListener("popstate", () => arrive(placeOf(location.pathname)));
arrive(place.value);
history.replaceState(null, "", pathOf(place.value));

/** Props of a link that changes the place without loading the page again. */
export function linkTo(next: Place): { href: string; onClick: (event: MouseEvent) => void } {
  const onClick = (event: MouseEvent) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    go(next);
  };
  return { href: pathOf(next), onClick };
}
