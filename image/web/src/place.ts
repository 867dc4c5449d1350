// Where she is; the address bar always says it.

import { computed, signal } from "@preact/signals";

export const SECTIONS = {
  general: "General",
  appearance: "Appearance",
  authentication: "Claude Code Authentication",
  data: "Data",
  access: "Access",
  about: "About",
} as const;
export type Section = keyof typeof SECTIONS;
export type Place =
  | { page: "chat"; conversation: string | null }
  /** `path` is relative to the workspace, "" is the workspace itself. */
  | { page: "files"; path: string }
  | { page: "settings"; section: Section };

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** The name of a file stands in the fragment: it is nobody's business but the page's. */
export function placeOf(path: string, fragment = ""): Place {
  const [, first, second = ""] = path.split("/");
  if (first === "files") return { page: "files", path: decoded(fragment.replace(/^#\/?/, "")) };
  if (first === "settings")
    return { page: "settings", section: Object.hasOwn(SECTIONS, second) ? (second as Section) : "general" };
  return { page: "chat", conversation: first === "c" && UUID.test(second) ? second : null };
}

function decoded(words: string): string {
  try {
    return decodeURIComponent(words);
  } catch {
    return "";
  }
}

export function pathOf(place: Place): string {
  if (place.page === "files")
    return place.path ? `/files#/${place.path.split("/").map(encodeURIComponent).join("/")}` : "/files";
  if (place.page === "settings") return `/settings/${place.section}`;
  return place.conversation ? `/c/${place.conversation}` : "/";
}

export const place = signal<Place>(placeOf(location.pathname, location.hash));
/** The conversation on the screen, or the one she left for the settings. */
export const current = signal<string | null>(null);
export const drawerOpen = signal(false);
export const inChat = computed(() => place.value.page === "chat");
export const inSettings = computed(() => place.value.page === "settings");

function arrive(next: Place): void {
  place.value = next;
  drawerOpen.value = false;
  if (next.page === "chat") current.value = next.conversation;
}

export function go(next: Place): void {
  const path = pathOf(next);
  if (path !== location.pathname + location.hash) history.pushState(null, "", path);
  arrive(next);
}

export const toChat = (conversation: string | null = null) => go({ page: "chat", conversation });
export const toFiles = (path = "") => go({ page: "files", path });
export const toSettings = (section: Section = "general") => go({ page: "settings", section });

addEventListener("popstate", () => arrive(placeOf(location.pathname, location.hash)));
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
