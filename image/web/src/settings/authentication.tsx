// Claude's login: the words, and beside them the terminal in which it happens.

import { computed } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { askHer } from "../parts/dialog";
import { Icon } from "../parts/icon";
import { lazy } from "../parts/lazy";
import { current, toChat } from "../place";
import { loadTerminal } from "../terminal/load";
import { isTerminalShown, openTerminal, paneOpen, terminalOpen } from "../terminal/open";
import { auth, checkAuth, isSignedIn, isSignedOut, logOut } from "../workspace";
import { Group } from "./controls";
import { AuthStatus, Done, LOGIN_COMMAND, LoginSteps } from "./login";

/** Where there is no room beside the words, the terminal takes the whole screen and the words come along. */
const NARROW = "(max-width: 1019px)";
const READ_MS = 2500;

const isPaneShown = computed(() => paneOpen.value && !terminalOpen.value);

export function Authentication() {
  const hasJustConnected = useJustConnected();
  useEffect(() => {
    void checkAuth();
    void loadTerminal().catch(() => undefined);
    return () => {
      paneOpen.value = false;
    };
  }, []);
  const isBeside = !isSignedIn.value || isPaneShown.value;
  return (
    <div class={isBeside ? "login beside" : "login"}>
      <div class="login-words">
        <Group>
          <div class="field status-field">
            <AuthStatus />
            {isSignedIn.value && (
              <button type="button" onClick={() => void confirmLogOut()}>
                Log out
              </button>
            )}
          </div>
        </Group>
        {!isSignedIn.value ? <Guide /> : hasJustConnected ? <JustConnected /> : <Connected />}
      </div>
      <TerminalPlace returnsFocus={!hasJustConnected} isNeeded={isBeside} />
    </div>
  );
}

/** Whether she was signed out when she came here, or since, and is no more. */
function useJustConnected(): boolean {
  const [wasOut, setWasOut] = useState(false);
  useEffect(() => {
    if (isSignedOut.value) setWasOut(true);
  }, [isSignedOut.value]);
  return wasOut && isSignedIn.value;
}

async function confirmLogOut(): Promise<void> {
  const yes = await askHer({
    title: "Log out of Claude?",
    text: "Claude will not answer until you connect again. Your conversations and files stay.",
    action: "Log out",
    isDangerous: true,
  });
  if (yes !== null) await logOut();
}

/** The terminal goes by itself, once she has read that it went well. */
function JustConnected() {
  useEffect(() => {
    const timer = setTimeout(() => {
      paneOpen.value = false;
    }, READ_MS);
    return () => clearTimeout(timer);
  }, []);
  return (
    <div class="group guide">
      <Done leave={() => toChat(current.value)} />
    </div>
  );
}

function Connected() {
  const ends = auth.value?.expires_at;
  const until = ends && new Date(ends).toLocaleDateString([], { day: "numeric", month: "long", year: "numeric" });
  return (
    <div class="group guide">
      <p class="settings-text">
        Claude Code is ready, in the chat and in the terminal. In the terminal you can use it as programmers do: type{" "}
        <code>claude</code> and press Enter.
      </p>
      {until && <p class="settings-text">Your login holds until {until}. Then you connect again in the same way.</p>}
    </div>
  );
}

function Guide() {
  return (
    <div class="group guide">
      {auth.value?.expired && (
        <p class="expired" role="status">
          Your login has expired. Connect again in the same way: your conversations and files are still here.
        </p>
      )}
      <p class="settings-text">
        Claude works with your own Anthropic account, with a Claude plan or an API account. You connect it once, and
        your login stays in this workspace.
      </p>
      {!terminalOpen.value && <LoginSteps />}
      <details class="settings-text">
        <summary>With an API key instead</summary>
        <p>
          If you pay Anthropic by usage, type <code>{LOGIN_COMMAND} --console</code> in place of the command above:
          Claude makes the key and keeps it in this workspace. You need not type or export a key yourself. Whoever set
          up this workspace can also give it a key for good; then you see “Connected with an API key” here, without any
          login.
        </p>
      </details>
    </div>
  );
}

const Pane = lazy(
  () => loadTerminal().then(({ TerminalPane }) => ({ default: TerminalPane })),
  () => <div class="terminal-poster" aria-busy="true" />,
);

/** The terminal, or the button that opens it: large where she needs it. */
function TerminalPlace({ returnsFocus, isNeeded }: { returnsFocus: boolean; isNeeded: boolean }) {
  const button = useRef<HTMLButtonElement>(null);
  const wasShown = useRef(false);
  useEffect(() => {
    if (wasShown.current && !isTerminalShown.value && returnsFocus) button.current?.focus();
    wasShown.current = paneOpen.value;
  }, [isTerminalShown.value, paneOpen.value]);
  if (isPaneShown.value) return <Pane />;
  return (
    <div class={isNeeded ? "terminal-poster" : "actions"}>
      {isNeeded && <Icon name="terminal" />}
      <button
        type="button"
        class={isNeeded ? "primary big" : ""}
        ref={button}
        onClick={() => {
          if (matchMedia(NARROW).matches) openTerminal();
          else paneOpen.value = true;
        }}
      >
        Open Terminal
      </button>
    </div>
  );
}
