// The terminal, over the whole page or in a pane of it. A chunk of its own.

import "@xterm/xterm/css/xterm.css";
import "./terminal.css";
import { useSignal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { Icon, type IconName } from "../parts/icon";
import { AuthStatus } from "../settings/login";
import { isSignedIn, isSignedOut } from "../workspace";
import { findOpen } from "./find";
import { Guide } from "./guide";
import { KeyBar } from "./keybar";
import { closeTerminal, focusOpener, openTerminal, paneOpen } from "./open";
import type { Held, Screen } from "./screen";
import { LEAVE, Shell } from "./shell";
import { findShell, shown } from "./shells";
import { Tabs } from "./tabs";

export default function TerminalWindow() {
  const needsLogin = useRef(!isSignedIn.peek()).current;
  const [isGuided, setGuided] = useState(needsLogin);
  const held = useHeld();
  useEffect(() => () => void requestAnimationFrame(focusOpener), []);
  return (
    <div class="terminal-look terminal-window" role="dialog" aria-modal="true" aria-label="Terminal">
      <header>
        <Tabs />
        <AuthStatus />
        {needsLogin && !isGuided && isSignedOut.value && (
          <Tool icon="question" label="Show the steps" run={() => setGuided(true)} />
        )}
        <SearchTool />
        <Tool icon="close" label="Close terminal" keys={LEAVE} run={closeTerminal} />
      </header>
      <div class="terminal-body">
        <Shown held={held} leave={closeTerminal} />
        {isGuided && <Guide hide={() => setGuided(false)} />}
      </div>
      <KeyBar held={held} />
    </div>
  );
}

/** A terminal among other things on the page. */
export function TerminalPane() {
  const held = useHeld();
  const close = () => {
    paneOpen.value = false;
  };
  return (
    <section class="terminal-look terminal-pane" aria-label="Terminal">
      <header>
        <Tabs />
        <SearchTool />
        <Tool icon="enlarge" label="Over the whole page" run={openTerminal} />
        <Tool icon="close" label="Close terminal" keys={LEAVE} run={close} />
      </header>
      <div class="terminal-body">
        <Shown held={held} leave={close} />
      </div>
      <KeyBar held={held} />
    </section>
  );
}

function useHeld(): Held {
  const held = useSignal<Screen | null>(null);
  useEffect(() => {
    shown.value = null;
    void findShell();
  }, []);
  return held;
}

function Shown({ held, leave }: { held: Held; leave: () => void }) {
  return shown.value && <Shell key={shown.value} id={shown.value} held={held} leave={leave} />;
}

const SearchTool = () => (
  <Tool icon="search" label="Search the terminal" keys="Ctrl + Shift + F" run={() => (findOpen.value = true)} />
);

interface ToolProps {
  icon: IconName;
  label: string;
  keys?: string;
  run: () => void;
}

function Tool({ icon, label, keys, run }: ToolProps) {
  return (
    <button type="button" class="mini" aria-label={label} title={keys ? `${label} (${keys})` : label} onClick={run}>
      <Icon name={icon} />
    </button>
  );
}
