import type { FunctionComponent } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Chat } from "./chat";
import { Icon } from "./icons";
import { SettingsPage } from "./settings";
import { Sidebar } from "./sidebar";
import { announcement, connected, drawerOpen, go, place, terminalOpen, toast } from "./store";

const NOTICE_AFTER_MS = 1500;
const TOAST_MS = 8000;

export function App() {
  const here = place.value;
  return (
    <>
      <a class="skip" href="#main">
        Skip to the conversation
      </a>
      <div class="frame" inert={terminalOpen.value}>
        <Sidebar />
        <div class="stage">
          <header class="topbar">
            <button type="button" class="round" aria-label="Conversations" onClick={() => (drawerOpen.value = true)}>
              <Icon name="menu" />
            </button>
            <strong>My Jarvis</strong>
            <button type="button" class="round" aria-label="New chat" onClick={() => go("/")}>
              <Icon name="plus" />
            </button>
          </header>
          <Waking />
          {here.page === "settings" ? <SettingsPage section={here.section} /> : <Chat />}
        </div>
      </div>
      {terminalOpen.value && <LazyTerminal />}
      <Toast />
      <div class="unseen" role="status" aria-live="polite">
        {announcement.value}
      </div>
    </>
  );
}

function LazyTerminal() {
  const [Window, setWindow] = useState<FunctionComponent | null>(null);
  useEffect(() => void import("./terminal").then((loaded) => setWindow(() => loaded.default)), []);
  return Window ? <Window /> : <div class="terminal-window" aria-busy="true" />;
}

function Waking() {
  const [late, setLate] = useState(false);
  const away = !connected.value;
  useEffect(() => {
    setLate(false);
    if (!away) return;
    const timer = setTimeout(() => setLate(true), NOTICE_AFTER_MS);
    return () => clearTimeout(timer);
  }, [away]);
  return away && late ? (
    <p class="waking" role="status">
      Waking your workspace …
    </p>
  ) : null;
}

function Toast() {
  const shown = toast.value;
  useEffect(() => {
    if (!shown) return;
    const timer = setTimeout(() => (toast.value = null), TOAST_MS);
    return () => clearTimeout(timer);
  }, [shown]);
  return shown ? (
    <div class="toast" role="status">
      <span>{shown.text}</span>
      {shown.action && (
        <button
          type="button"
          onClick={() => {
            shown.action?.run();
            toast.value = null;
          }}
        >
          {shown.action.label}
        </button>
      )}
    </div>
  ) : null;
}
