// One shell on the screen, with what belongs to it: its search, its menu, what it has to say.

import { useSignal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { live, socketAddress } from "../live";
import { toast } from "../parts/toast";
import { device } from "../storage";
import { Context, openMenu } from "./context";
import { Find, findings, findOpen } from "./find";
import { loginLink, typist } from "./open";
import { type Held, Screen } from "./screen";
import { endShell, newShell } from "./shells";
import { Wire } from "./wire";

const BELL_MS = 2500;
const LATE_MS = 1200;
export const LEAVE = "Ctrl + Shift + .";

type End = { code: number | null };

export function Shell({ id, held, leave }: { id: string; held: Held; leave: () => void }) {
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
      loginLink: (address) => {
        loginLink.value = address;
      },
      asksForMenu: openMenu,
      asksToSearch: () => {
        findOpen.value = true;
      },
      found: (at, count) => {
        findings.value = { at, count };
      },
      leave,
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
    typist.value = (keys) => {
      wire?.type(keys);
      screen.focus();
    };
    screen.focus();
    const stopWatching = live.onOpen(() => wire?.renew());
    return () => {
      stopWatching();
      findOpen.value = false;
      loginLink.value = null;
      typist.value = null;
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
        dir="ltr"
        ref={box}
        role="group"
        aria-label={`Terminal. ${LEAVE} closes it.`}
      />
      {findOpen.value && <Find held={held} />}
      <Context held={held} />
      {hint.value && <div class="terminal-hint">{hint.value}</div>}
      {!isLive.value && !end && <Reconnecting />}
      {end && <Ended id={id} end={end} />}
    </div>
  );
}

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
