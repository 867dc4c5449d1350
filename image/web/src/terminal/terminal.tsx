// The terminal, over the whole page. A chunk of its own.

import "@xterm/xterm/css/xterm.css";
import "./terminal.css";
import { type Signal, useSignal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { isWebLink, OUTSIDE } from "../link";
import { live, socketAddress } from "../live";
import { askHer } from "../parts/dialog";
import { Icon } from "../parts/icon";
import { toast } from "../parts/toast";
import { toChat } from "../place";
import { AuthStatus, LoginSteps } from "../settings/authentication";
import { device } from "../storage";
import { auth, isSignedIn, isSignedOut } from "../workspace";
import { BAR } from "./keys";
import { closeTerminal, focusOpener, terminalOpen } from "./open";
import { Screen } from "./screen";
import { endShell, findShell, newShell, renameShell, shells, show, shown, titleOf } from "./shells";
import { Wire } from "./wire";

const BELL_MS = 2500;
const LEAVE = "Ctrl + Shift + .";

export default function TerminalWindow() {
  const needsLogin = useRef(!isSignedIn.peek()).current;
  const [isGuided, setGuided] = useState(needsLogin);
  const [link, setLink] = useState<string | null>(null);
  const screen = useSignal<Screen | null>(null);
  useEffect(() => {
    shown.value = null;
    void findShell();
    return () => void requestAnimationFrame(focusOpener);
  }, []);
  return (
    <div class="terminal-window" role="dialog" aria-modal="true" aria-label="Terminal">
      <header>
        <Tabs />
        <AuthStatus />
        {needsLogin && !isGuided && isSignedOut.value && (
          <button
            type="button"
            class="mini"
            aria-label="Show the steps"
            title="Show the steps"
            onClick={() => setGuided(true)}
          >
            <Icon name="question" />
          </button>
        )}
        <button
          type="button"
          class="mini"
          aria-label="Close terminal"
          title={`Close (${LEAVE})`}
          onClick={closeTerminal}
        >
          <Icon name="close" />
        </button>
      </header>
      <div class="terminal-body">
        {shown.value && <Shell key={shown.value} id={shown.value} held={screen} foundLink={setLink} />}
        {isGuided && <Guide link={link} hide={() => setGuided(false)} />}
      </div>
      <KeyBar held={screen} />
    </div>
  );
}

function Tabs() {
  return (
    <div class="tabs">
      {shells.value.map((shell) => {
        const title = titleOf(shell);
        const isShown = shell.id === shown.value;
        return (
          <div key={shell.id} class={`tab ${isShown ? "picked" : ""}`}>
            <button
              type="button"
              aria-pressed={isShown}
              title={`${title} (double click to rename)`}
              onClick={() => show(shell.id)}
              onDblClick={() => void askName(shell.id, title)}
              onKeyDown={(event) => event.key === "F2" && void askName(shell.id, title)}
            >
              <Icon name="terminal" />
              <span dir="auto">{title}</span>
            </button>
            {shells.value.length > 1 && (
              <button
                type="button"
                class="mini"
                aria-label={`End the shell ${title}`}
                onClick={() => void confirmEnd(shell.id)}
              >
                <Icon name="close" />
              </button>
            )}
          </div>
        );
      })}
      <button type="button" class="mini" aria-label="New shell" title="New shell" onClick={() => void newShell()}>
        <Icon name="plus" />
      </button>
    </div>
  );
}

async function askName(id: string, now: string): Promise<void> {
  const name = await askHer({
    title: "Rename this shell",
    text: "Without a name it is called as the program in it says.",
    action: "Rename",
    field: "Name",
    value: now,
  });
  if (name !== null) await renameShell(id, name.trim());
}

async function confirmEnd(id: string): Promise<void> {
  const yes = await askHer({
    title: "End this shell?",
    text: "What runs in it ends too.",
    action: "End it",
    isDangerous: true,
  });
  if (yes !== null) await endShell(id);
}

type Held = Signal<Screen | null>;
type End = { code: number | null };

function Shell({ id, held, foundLink }: { id: string; held: Held; foundLink: (link: string | null) => void }) {
  const box = useRef<HTMLDivElement>(null);
  const isLive = useSignal(false);
  const hint = useSignal("");
  const [end, setEnd] = useState<End | null>(null);

  useEffect(() => {
    if (!box.current) return;
    let wire: Wire | null = null;
    const screen = new Screen(box.current, {
      typed: (text) => wire?.type(text),
      typedBytes: (bytes) => wire?.typeBytes(bytes),
      fits: (cols, rows) => wire?.resize(cols, rows),
      rang: () => {
        hint.value = "A program rang the bell.";
        setTimeout(() => (hint.value = ""), BELL_MS);
      },
      pointsAt: (address) => {
        hint.value = address;
      },
      loginLink: foundLink,
      leave: closeTerminal,
    });
    wire = new Wire(socketAddress(`/api/terminals/${id}/socket`), screen, {
      live: (now) => {
        isLive.value = now;
      },
      ended: (code) => setEnd({ code }),
      cut: () => {
        toast.value = { text: "The connection broke. What you pasted did not arrive whole." };
      },
    });
    screen.measure();
    held.value = screen;
    screen.focus();
    const stopWatching = live.onOpen(() => wire?.renew());
    return () => {
      stopWatching();
      foundLink(null);
      held.value = null;
      wire?.close();
      screen.dispose();
    };
  }, [id]);

  return (
    <div class="terminal-place">
      <ScreenReaderSwitch held={held} />
      <div
        class="terminal-box"
        data-testid="terminal"
        ref={box}
        role="group"
        aria-label={`Terminal. ${LEAVE} closes it.`}
      />
      {hint.value && <div class="terminal-hint">{hint.value}</div>}
      {!isLive.value && !end && <Reconnecting />}
      {end && <Ended id={id} end={end} />}
    </div>
  );
}

const LATE_MS = 1200;

function Reconnecting() {
  const [isLate, setLate] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setLate(true), LATE_MS);
    return () => clearTimeout(timer);
  }, []);
  return isLate ? (
    <div class="terminal-hint" role="status">
      Connecting to the shell …
    </div>
  ) : null;
}

function Ended({ id, end }: { id: string; end: End }) {
  const button = useRef<HTMLButtonElement>(null);
  useEffect(() => button.current?.focus(), []);
  return (
    <div class="terminal-ended" role="status">
      <p>
        {end.code === null ? "This shell is gone: the workspace was restarted." : "This shell has ended."}{" "}
        {end.code === null && (
          <>
            To go on where Claude was, type <code>claude --continue</code> in a new one.
          </>
        )}
      </p>
      <button type="button" class="primary" ref={button} onClick={() => void newShell().then(() => endShell(id))}>
        Start a new shell
      </button>
    </div>
  );
}

function ScreenReaderSwitch({ held }: { held: Held }) {
  const [isOn, setOn] = useState(device.get("screen-reader", false));
  return (
    <button
      type="button"
      class="unseen-button"
      aria-pressed={isOn}
      onClick={() => {
        held.value?.setScreenReader(!isOn);
        setOn(!isOn);
        held.value?.focus();
      }}
    >
      Read the terminal aloud
    </button>
  );
}

/** The steps to a login, beside the shell; at the end it says so and leads back. */
function Guide({ link, hide }: { link: string | null; hide: () => void }) {
  const wasAway = useWasAway(link);
  if (isSignedIn.value) return <Done />;
  return (
    <aside class="terminal-guide" aria-label="How to connect">
      <header>
        <h2>Connect Claude Code</h2>
        <button type="button" class="mini" aria-label="Hide the steps" title="Hide the steps" onClick={hide}>
          <Icon name="close" />
        </button>
      </header>
      <LoginSteps
        at={!link ? 1 : wasAway ? 3 : 2}
        link={
          link &&
          isWebLink(link) && (
            <a class="button primary" href={link} {...OUTSIDE}>
              <Icon name="external" /> Go to Claude’s login page
            </a>
          )
        }
      />
    </aside>
  );
}

/** Whether she has left for another page since this link appeared, and come back: with a code, most likely. */
function useWasAway(link: string | null): boolean {
  const [left, setLeft] = useState<string | null>(null);
  useEffect(() => {
    const looked = () => link && document.visibilityState === "visible" && setLeft(link);
    document.addEventListener("visibilitychange", looked);
    return () => document.removeEventListener("visibilitychange", looked);
  }, [link]);
  return link !== null && left === link;
}

function Done() {
  return (
    <aside class="terminal-guide" aria-label="Connected">
      <div class="terminal-done">
        <span class="done-sign">
          <Icon name="check" />
        </span>
        <h2>You are connected</h2>
        <p>
          Claude is ready{auth.value?.email ? ` for ${auth.value.email}` : ""}. You need the terminal no more, unless
          you like it.
        </p>
        <button
          type="button"
          class="primary"
          onClick={() => {
            terminalOpen.value = false;
            toChat();
          }}
        >
          Back to chat
        </button>
      </div>
    </aside>
  );
}

function KeyBar({ held }: { held: Held }) {
  const ctrl = held.value?.ctrl;
  const keepKeyboard = (event: PointerEvent) => event.preventDefault();
  const press = (keys: string) => {
    held.value?.press(keys);
    held.value?.focus();
  };
  return (
    <div class="keybar" role="toolbar" aria-label="Keys" onPointerDown={keepKeyboard}>
      <button
        type="button"
        aria-pressed={ctrl?.value ?? false}
        onClick={() => {
          if (ctrl) ctrl.value = !ctrl.value;
          held.value?.focus();
        }}
      >
        Ctrl
      </button>
      {BAR.map(([label, name, keys]) => (
        <button type="button" key={label} aria-label={name} onClick={() => press(keys)}>
          {label}
        </button>
      ))}
      <button type="button" onClick={() => void paste(held)}>
        Paste
      </button>
    </div>
  );
}

/** From the clipboard; where the browser does not give it away, through a field to paste into. */
async function paste(held: Held): Promise<void> {
  const text = await navigator.clipboard?.readText().catch(() => null);
  const words =
    text ??
    (await askHer({
      title: "Paste",
      text: "Paste here what you want to send to the terminal.",
      action: "Send",
      field: "Text",
    }));
  if (words) await held.value?.paste(words);
  held.value?.focus();
}
