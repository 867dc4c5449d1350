import "@xterm/xterm/css/xterm.css";
import { FitAddon } from "@xterm/addon-fit";
import { WebLinksAddon } from "@xterm/addon-web-links";
import { Terminal } from "@xterm/xterm";
import { useEffect, useRef, useState } from "preact/hooks";
import * as frames from "./frames";
import { Icon } from "./icons";
import { isWebLink } from "./markdown";
import type { TerminalInfo } from "./protocol";
import { withAdoptedStyles } from "./sheets";
import { AuthStatus, Steps } from "./connection";
import { attempt, auth, go, http, terminalOpen } from "./store";

const ACK_EVERY = 64 * 1024;
const PIECE = 16 * 1024;
const FULL = 256 * 1024;
const KEYS: [string, string][] = [
  ["Esc", "\x1b"],
  ["Tab", "\t"],
  ["Ctrl-C", "\x03"],
  ["←", "\x1b[D"],
  ["↑", "\x1b[A"],
  ["↓", "\x1b[B"],
  ["→", "\x1b[C"],
];
const EARLY_MAX = 64 * 1024;
const ANSWER = new RegExp("^\\u001b[\\[\\]P]");
const encoder = new TextEncoder();

function follow(event: MouseEvent, address: string): void {
  event.preventDefault();
  if (isWebLink(address)) window.open(address, "_blank", "noopener,noreferrer");
}

/** One shell on the screen: draws what it says, comes back after every interruption at the byte where it was. */
class Session {
  readonly screen: Terminal;
  private readonly fit = new FitAddon();
  private readonly watch: ResizeObserver;
  private socket: WebSocket | null = null;
  private drawn = 0;
  private acked = 0;
  private live = false;
  private early = "";
  private over = false;
  private retry: number | undefined;
  private delay = 250;

  constructor(
    private readonly id: string,
    box: HTMLElement,
    titled: (title: string) => void,
    private readonly ended: () => void,
  ) {
    const style = getComputedStyle(document.documentElement);
    const colour = (name: string) => style.getPropertyValue(name).trim();
    this.screen = new Terminal({
      fontFamily: "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace",
      fontSize: innerWidth < 600 ? 13 : 14,
      scrollback: 10_000,
      cursorBlink: !matchMedia("(prefers-reduced-motion: reduce)").matches,
      allowProposedApi: true,
      linkHandler: { activate: follow, allowNonHttpProtocols: false },
      theme: {
        background: colour("--terminal"),
        foreground: colour("--terminal-text"),
        cursor: colour("--accent"),
        selectionBackground: "#6d7fb055",
      },
    });
    this.screen.loadAddon(this.fit);
    this.screen.loadAddon(new WebLinksAddon(follow));
    withAdoptedStyles(() => this.screen.open(box));
    this.screen.onData((text) => this.typed(text));
    this.screen.onBinary(
      (text) => this.live && void this.feed(Uint8Array.from(text, (letter) => letter.charCodeAt(0))),
    );
    this.screen.onTitleChange((title) => titled(title.slice(0, 80)));
    this.screen.attachCustomKeyEventHandler((event) => this.key(event));
    this.watch = new ResizeObserver(() => this.refit());
    this.watch.observe(box);
    this.refit();
    this.connect();
  }

  /** What she types before the shell is there waits for it; what xterm answers to a replayed query is dropped. */
  private typed(text: string): void {
    if (this.live) {
      this.claimSize();
      this.type(text);
    } else if (!ANSWER.test(text) && this.early.length + text.length <= EARLY_MAX) this.early += text;
  }

  type(text: string): void {
    void this.feed(encoder.encode(text));
  }

  close(): void {
    this.over = true;
    clearTimeout(this.retry);
    this.watch.disconnect();
    this.socket?.close();
    this.screen.dispose();
  }

  private key(event: KeyboardEvent): boolean {
    const copies =
      (event.ctrlKey && event.shiftKey && event.code === "KeyC") || (event.metaKey && event.code === "KeyC");
    if (!copies || event.type !== "keydown" || !this.screen.hasSelection()) return true;
    event.preventDefault();
    void navigator.clipboard.writeText(this.screen.getSelection());
    return false;
  }

  /** Whoever types owns the size: another device may have had it. */
  private claimSize(): void {
    const fitting = this.fit.proposeDimensions();
    if (fitting && (fitting.cols !== this.screen.cols || fitting.rows !== this.screen.rows)) this.refit();
  }

  private refit(): void {
    this.fit.fit();
    if (this.live) this.socket?.send(frames.resize(this.screen.cols, this.screen.rows));
  }

  /** A large paste goes in pieces, as fast as the socket takes them. */
  private async feed(bytes: Uint8Array): Promise<void> {
    for (let start = 0; start < bytes.length; start += PIECE) {
      while ((this.socket?.bufferedAmount ?? 0) > FULL) await new Promise((done) => setTimeout(done, 10));
      if (this.socket?.readyState === WebSocket.OPEN)
        this.socket.send(frames.input(bytes.subarray(start, start + PIECE)));
    }
  }

  private connect(): void {
    const socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/api/terminals/${this.id}/socket`);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    this.live = false;
    socket.onopen = () => {
      this.delay = 250;
      socket.send(frames.hello(this.drawn));
    };
    socket.onmessage = (event: MessageEvent<ArrayBuffer>) => this.receive(frames.decode(event.data));
    socket.onclose = (event) => this.lost(event.code);
  }

  private lost(code: number): void {
    if (this.over) return;
    if (code === 4404) {
      this.ended();
      return;
    }
    this.delay = Math.min(8000, this.delay * 2);
    this.retry = window.setTimeout(() => this.connect(), this.delay * (0.5 + Math.random() / 2));
  }

  private receive(frame: frames.Frame | null): void {
    switch (frame?.type) {
      case "output":
        this.draw(frame.offset, frame.bytes);
        break;
      case "reset":
        this.screen.reset();
        this.drawn = this.acked = frame.offset;
        break;
      case "size":
        // During replay the size of then, later that of the device that typed last: programs draw for it.
        this.screen.write("", () => this.screen.resize(frame.cols, frame.rows));
        break;
      case "live":
        // What xterm answers to queries during replay must not land in the shell as typing.
        this.screen.write("", () => {
          this.live = true;
          this.refit();
          this.type(this.early);
          this.early = "";
        });
        break;
      case "exit":
        this.over = true;
        this.screen.write("\r\n\x1b[2mThis shell has ended.\x1b[0m\r\n", () => this.ended());
        break;
    }
  }

  private draw(offset: number, bytes: Uint8Array): void {
    const end = offset + bytes.length;
    this.screen.write(bytes, () => {
      this.drawn = end;
      if (end - this.acked < ACK_EVERY || this.socket?.readyState !== WebSocket.OPEN) return;
      this.acked = end;
      this.socket.send(frames.ack(end));
    });
  }
}

async function shell(): Promise<TerminalInfo | undefined> {
  const known = await attempt(http.ask<{ terminals: TerminalInfo[] }>("GET", "/api/terminals"));
  const running = known?.terminals.find((one) => one.running);
  return running ?? (await attempt(http.ask<TerminalInfo>("POST", "/api/terminals", { cols: 80, rows: 24 })));
}

export default function TerminalWindow() {
  const box = useRef<HTMLDivElement>(null);
  const session = useRef<Session | null>(null);
  const [title, setTitle] = useState("Terminal");
  const [ended, setEnded] = useState(false);
  const [round, setRound] = useState(0);
  const signedIn = auth.value?.state === "signed_in";
  const guide = useRef(!signedIn).current;

  useEffect(() => {
    let gone = false;
    setEnded(false);
    void shell().then((info) => {
      if (gone || !info || !box.current) return;
      session.current = new Session(info.id, box.current, setTitle, () => setEnded(true));
      session.current.screen.focus();
    });
    return () => {
      gone = true;
      session.current?.close();
      session.current = null;
    };
  }, [round]);

  const close = () => (terminalOpen.value = false);
  return (
    <div class="terminal-window" role="dialog" aria-modal="true" aria-label="Terminal">
      <header>
        <Icon name="terminal" />
        <strong class="terminal-title">{title}</strong>
        <AuthStatus />
        {signedIn && guide && (
          <button
            type="button"
            class="primary"
            onClick={() => {
              close();
              go("/");
            }}
          >
            Back to chat
          </button>
        )}
        <button type="button" class="round" aria-label="Close terminal" title="Close" onClick={close}>
          <Icon name="close" />
        </button>
      </header>
      <div class="terminal-body">
        <div class="terminal-box" data-testid="terminal" ref={box} />
        {guide && (
          <details class="terminal-guide" open={innerWidth > 900}>
            <summary>How to connect</summary>
            <Steps />
          </details>
        )}
      </div>
      {ended && (
        <div class="terminal-ended">
          <button type="button" class="primary" onClick={() => setRound(round + 1)}>
            Start a new shell
          </button>
        </div>
      )}
      <div class="keybar" role="toolbar" aria-label="Keys">
        {KEYS.map(([label, keys]) => (
          <button
            type="button"
            key={label}
            onPointerDown={(event) => event.preventDefault()}
            onClick={() => {
              session.current?.type(keys);
              session.current?.screen.focus();
            }}
          >
            {label}
          </button>
        ))}
        <button
          type="button"
          onClick={async () => {
            const text = await attempt(navigator.clipboard.readText());
            if (text) session.current?.screen.paste(text);
          }}
        >
          Paste
        </button>
      </div>
    </div>
  );
}
