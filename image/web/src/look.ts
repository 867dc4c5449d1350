// How the whole page looks: theme, text size, title, and the height that is left above a phone's keyboard.

import { computed, effect, signal } from "@preact/signals";
import { currentTitle, isWaiting } from "./conversations";
import { place } from "./place";
import { settings } from "./workspace";

const NAME = "My Jarvis";

const ABOUT = { chat: () => currentTitle.value, files: () => "Files", settings: () => "Settings" } as const;

const title = computed(() => {
  const about = ABOUT[place.value.page]();
  const words = about ? `${about} · ${NAME}` : NAME;
  return isWaiting.value ? `(Waiting for you) ${words}` : words;
});

const prefersDark = matchMedia("(prefers-color-scheme: dark)");
const systemIsDark = signal(prefersDark.matches);
export const isDark = computed(() =>
  settings.value.theme === "system" ? systemIsDark.value : settings.value.theme === "dark",
);

export function watchLook(): void {
  effect(() => {
    document.title = title.value;
  });
  effect(() => {
    const { theme, text_size } = settings.value;
    document.documentElement.dataset.theme = theme;
    document.documentElement.dataset.text = text_size;
    colourFrame();
  });
  prefersDark.addEventListener("change", () => {
    systemIsDark.value = prefersDark.matches;
    colourFrame();
  });
  visualViewport?.addEventListener("resize", fitScreen);
  visualViewport?.addEventListener("scroll", fitScreen);
}

/** The browser's own frame takes the page's colour. */
function colourFrame(): void {
  const colour = getComputedStyle(document.body).backgroundColor;
  for (const meta of document.querySelectorAll('meta[name="theme-color"]')) meta.setAttribute("content", colour);
}

/** Browsers that lay their keyboard over the page tell only the visual viewport. */
function fitScreen(): void {
  const seen = visualViewport;
  if (!seen || seen.scale > 1.01) return;
  const isCovered = innerHeight - seen.height > 1;
  const root = document.documentElement.style;
  if (isCovered) root.setProperty("--screen-height", `${seen.height}px`);
  else root.removeProperty("--screen-height");
  if (isCovered && seen.offsetTop > 0) scrollTo(0, 0);
}
