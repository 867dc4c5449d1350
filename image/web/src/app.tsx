import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import { ChatPage } from "./chat/page";
import { Sidebar } from "./list/sidebar";
import { live } from "./live";
import { Announcer } from "./parts/announcer";
import { Dialogs } from "./parts/dialog";
import { lazy } from "./parts/lazy";
import { Toasts, toast } from "./parts/toast";
import { drawerOpen, place } from "./place";
import { online } from "./presence";
import { sheetOpen } from "./shortcuts";
import { loadTerminal } from "./terminal/load";
import { closeTerminal, terminalOpen } from "./terminal/open";
import { Topbar, useSidebar } from "./topbar";

const WAKING_AFTER_MS = 1500;
const LONG_MS = 30_000;

const PAGES = {
  chat: ChatPage,
  files: lazy(() => import("./files/view")),
  settings: lazy(() => import("./settings/page")),
} as const;

const ShortcutSheet = lazy(
  () => import("./sheet"),
  () => null,
);

export function App() {
  const sidebar = useSidebar();
  const Page = PAGES[place.value.page];
  return (
    <>
      <a class="skip" href="#main">
        Skip to the content
      </a>
      <div class={`frame ${sidebar.isHidden ? "wide" : ""}`} inert={terminalOpen.value}>
        <Sidebar hide={sidebar.toggle} />
        <div class="stage" inert={drawerOpen.value}>
          <Topbar sidebar={sidebar} />
          <Connection />
          <Page key={place.value.page} />
        </div>
      </div>
      {terminalOpen.value && <LazyTerminal />}
      <Dialogs />
      {sheetOpen.value && <ShortcutSheet />}
      <Toasts />
      <Announcer />
    </>
  );
}

function LazyTerminal() {
  const [Terminal, setTerminal] = useState<ComponentType | null>(null);
  useEffect(() => {
    loadTerminal().then(
      (loaded) => setTerminal(() => loaded.default),
      () => {
        toast.value = { text: "The terminal could not be loaded. Please try again." };
        closeTerminal();
      },
    );
  }, []);
  return Terminal ? <Terminal /> : <div class="terminal-wait" aria-busy="true" />;
}

/** Says that the workspace is waking up, once it takes longer than a moment. */
function Connection() {
  const isAway = live.state.value === "connecting";
  const [since, setSince] = useState(0);
  useEffect(() => {
    setSince(0);
    if (!isAway) return;
    const began = Date.now();
    const timer = setInterval(() => setSince(Date.now() - began), WAKING_AFTER_MS);
    return () => clearInterval(timer);
  }, [isAway]);
  if (!isAway || since < WAKING_AFTER_MS) return null;
  const words = !online.value
    ? "You are offline. What you write is kept and sent later."
    : since < LONG_MS
      ? "Waking your workspace …"
      : "Your workspace does not answer yet. Still trying …";
  return (
    <p class="waking" role="status">
      <span class="spinner" aria-hidden="true" />
      {words}
    </p>
  );
}
