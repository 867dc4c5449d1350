// xterm, as this page uses it.

import { effect, type Signal, signal } from "@preact/signals";
import { FitAddon } from "@xterm/addon-fit";
import { WebLinksAddon } from "@xterm/addon-web-links";
import type { SearchAddon } from "@xterm/addon-search";
import { Terminal } from "@xterm/xterm";
import { persistently } from "../backoff";
import { isWebLink } from "../link";
import { isDark } from "../look";
import { copy } from "../parts/clipboard";
import { askHer } from "../parts/dialog";
import { toast } from "../parts/toast";
import { device } from "../storage";
import { settings } from "../workspace";
import { DARK, FOUND, LIGHT } from "./colours";
import { controlled, deed, inApplication } from "./keys";
import { loginLink } from "./login";
import { styleSpansByObject, withAdoptedStyles } from "../styles";
import type { Screen as Drawn } from "./wire";

const NARROW_PX = 600;
const SIZES = { small: 12.5, medium: 14, large: 17 } as const;
const SMALLER_PX = 1.5;
const fontSize = () => SIZES[settings.value.text_size] - (innerWidth < NARROW_PX ? SMALLER_PX : 0);
const SCROLLBACK = 10_000;
const LINES_READ = 60;
/** Programs that know only dark or only light screens are readable on both. */
const LEAST_CONTRAST = 4.5;
const LONG_PRESS_MS = 550;
const STILL_PX = 12;
const QUIET_MS = 150;
const FONT =
  "ui-monospace, SFMono-Regular, 'Cascadia Mono', Menlo, Consolas, 'DejaVu Sans Mono', 'Liberation Mono', monospace";
const MANY_LINES = {
  title: "Paste several lines?",
  text: "The program in the terminal runs each line as soon as it comes.",
  action: "Paste",
};

styleSpansByObject();

export interface ScreenEvents {
  typed(text: string): void;
  typedBytes(bytes: Uint8Array): void;
  fits(cols: number, rows: number): void;
  rang(): void;
  /** Where a link leads that the pointer is on. */
  pointsAt(address: string): void;
  loginLink(address: string | null): void;
  /** She asks, at this point of the window, what can be done. */
  asksForMenu(x: number, y: number): void;
  asksToSearch(): void;
  found(at: number, count: number): void;
  leave(): void;
}

/** The screen that stands just now. */
export type Held = Signal<Screen | null>;

export class Screen implements Drawn {
  /** The next letter is sent as if Ctrl were held: for keyboards without it. */
  readonly ctrl = signal(false);
  private readonly terminal: Terminal;
  private readonly fit = new FitAddon();
  private readonly watch: ResizeObserver;
  private readonly stopFollowing: () => void;
  private reading: ReturnType<typeof setTimeout> | undefined;
  private pressing: ReturnType<typeof setTimeout> | undefined;
  private finder: Promise<SearchAddon> | undefined;
  private pointer: MouseEvent | undefined;

  constructor(
    private readonly box: HTMLElement,
    private readonly events: ScreenEvents,
  ) {
    this.terminal = new Terminal({
      fontFamily: FONT,
      fontSize: fontSize(),
      lineHeight: 1.2,
      scrollback: SCROLLBACK,
      cursorBlink: !matchMedia("(prefers-reduced-motion: reduce)").matches,
      screenReaderMode: device.get("screen-reader", false),
      linkHandler: { ...this.linkEvents(), activate: follow, allowNonHttpProtocols: false },
      macOptionIsMeta: true,
      minimumContrastRatio: LEAST_CONTRAST,
      // The search marks what it finds by decorations.
      allowProposedApi: true,
    });
    this.terminal.loadAddon(this.fit);
    this.terminal.loadAddon(new WebLinksAddon(follow, this.linkEvents()));
    withAdoptedStyles(() => this.terminal.open(box));
    this.listen();
    this.watch = new ResizeObserver(() => this.measure());
    this.watch.observe(box);
    box.addEventListener("paste", this.pasted, { capture: true });
    box.addEventListener("contextmenu", this.contextMenu, { capture: true });
    box.addEventListener("mousemove", (event) => (this.pointer = event));
    box.addEventListener("mouseleave", () => (this.pointer = undefined));
    for (const kind of ["pointerdown", "pointermove", "pointerup", "pointercancel"] as const)
      box.addEventListener(kind, this.touched, { capture: true });
    const stops = [
      effect(() => {
        this.terminal.options.fontSize = fontSize();
        this.measure();
      }),
      effect(() => {
        this.terminal.options.theme = isDark.value ? DARK : LIGHT;
      }),
    ];
    this.stopFollowing = () => stops.forEach((stop) => stop());
    this.measure();
  }

  draw(bytes: Uint8Array, drawn: () => void): void {
    this.terminal.write(bytes, drawn);
  }

  settled(then: () => void): void {
    this.terminal.write("", then);
  }

  clear(): void {
    this.terminal.reset();
  }

  resize(cols: number, rows: number): void {
    this.terminal.resize(cols, rows);
  }

  focus(): void {
    this.terminal.focus();
  }

  /** Where the program would run each line as it comes, she is asked first. */
  async paste(text: string): Promise<void> {
    const runs = !this.terminal.modes.bracketedPasteMode && /[\r\n]./.test(text);
    if (runs && (await askHer(MANY_LINES)) === null) return;
    this.terminal.paste(text);
    this.focus();
  }

  /** A key of the bar. */
  press(keys: string): void {
    const isApplication = this.terminal.modes.applicationCursorKeysMode;
    this.events.typed(this.ctrl.peek() ? controlled(keys) : isApplication ? inApplication(keys) : keys);
    this.ctrl.value = false;
  }

  setScreenReader(isOn: boolean): void {
    device.set("screen-reader", isOn);
    this.terminal.options.screenReaderMode = isOn;
  }

  dispose(): void {
    clearTimeout(this.reading);
    this.watch.disconnect();
    clearTimeout(this.pressing);
    this.stopFollowing();
    this.terminal.dispose();
  }

  get hasSelection(): boolean {
    return this.terminal.hasSelection();
  }

  /** The last lines that were written, as text. */
  text(): string {
    return this.lastLines(SCROLLBACK).join("\n").trimEnd();
  }

  /** Goes to the next place with these words: an older one above, or a newer one below. */
  async find(words: string, where: "above" | "below"): Promise<void> {
    this.finder ??= this.loadFinder();
    const finder = await this.finder;
    const options = { decorations: FOUND };
    if (!words) finder.clearDecorations();
    else if (where === "above") finder.findPrevious(words, options);
    else finder.findNext(words, options);
    if (!words) this.events.found(-1, 0);
  }

  async stopFinding(): Promise<void> {
    (await this.finder)?.clearDecorations();
    this.terminal.clearSelection();
    this.focus();
  }

  private async loadFinder(): Promise<SearchAddon> {
    const { SearchAddon } = await persistently(() => import("@xterm/addon-search"));
    const finder = new SearchAddon();
    this.terminal.loadAddon(finder);
    finder.onDidChangeResults(({ resultIndex, resultCount }) => this.events.found(resultIndex, resultCount));
    return finder;
  }

  private readonly contextMenu = (event: MouseEvent) => {
    const isTheirs = this.terminal.modes.mouseTrackingMode !== "none" && !event.shiftKey;
    event.preventDefault();
    event.stopPropagation();
    if (!isTheirs) this.events.asksForMenu(event.clientX, event.clientY);
  };

  /** Not every phone says that it was pressed for long. */
  private readonly touched = (event: PointerEvent) => {
    if (event.pointerType !== "touch") return;
    const { clientX, clientY } = event;
    if (event.type === "pointerdown") {
      this.pressedAt = [clientX, clientY];
      this.pressing = setTimeout(() => this.events.asksForMenu(clientX, clientY), LONG_PRESS_MS);
      return;
    }
    const [x, y] = this.pressedAt;
    const isStill = event.type === "pointermove" && Math.hypot(clientX - x, clientY - y) < STILL_PX;
    if (!isStill) clearTimeout(this.pressing);
  };
  private pressedAt: [x: number, y: number] = [0, 0];

  private readonly pasted = (event: ClipboardEvent) => {
    const text = event.clipboardData?.getData("text/plain") ?? "";
    event.preventDefault();
    event.stopPropagation();
    if (text) void this.paste(text);
  };

  private listen(): void {
    this.terminal.onData((text) => {
      const keys = this.ctrl.peek() ? controlled(text) : text;
      this.ctrl.value = false;
      this.events.typed(keys);
    });
    this.terminal.onBinary((text) => this.events.typedBytes(Uint8Array.from(text, (letter) => letter.charCodeAt(0))));
    this.terminal.onBell(() => this.events.rang());
    this.terminal.onWriteParsed(() => {
      clearTimeout(this.reading);
      this.reading = setTimeout(() => this.read(), QUIET_MS);
    });
    this.terminal.attachCustomKeyEventHandler((event) => this.key(event));
  }

  /** What was written has come to an end: are there links in it? */
  private read(): void {
    this.events.loginLink(loginLink(this.lastLines(LINES_READ)));
    this.pointAgain();
  }

  /** By itself xterm looks for a link only when the pointer comes to another line, not when the line is another. */
  private pointAgain(): void {
    const { pointer } = this;
    const screen = this.box.querySelector(".xterm-screen");
    if (!pointer || !screen) return;
    const { top, height } = screen.getBoundingClientRect();
    const line = height / this.terminal.rows;
    const beside = pointer.clientY - line > top ? pointer.clientY - line : pointer.clientY + line;
    // They do not bubble: programs that follow the pointer are told nothing.
    for (const clientY of [beside, pointer.clientY])
      screen.dispatchEvent(new MouseEvent("mousemove", { clientX: pointer.clientX, clientY }));
  }

  /** True where xterm is to handle the key. */
  private key(event: KeyboardEvent): boolean {
    switch (deed(event, this.terminal.hasSelection())) {
      case "copy":
        if (event.type === "keydown") this.copySelection();
        event.preventDefault();
        return false;
      case "paste":
        return false; // the browser's own paste reaches xterm, in brackets where the program wants them
      case "search":
        if (event.type === "keydown") this.events.asksToSearch();
        event.preventDefault();
        return false;
      case "leave":
        if (event.type === "keydown") this.events.leave();
        event.preventDefault();
        return false;
      default:
        return true;
    }
  }

  copySelection(): void {
    const text = this.terminal.getSelection();
    this.terminal.clearSelection();
    void copy(text).then((done) => {
      if (done) toast.value = { text: "Copied" };
      this.focus();
    });
  }

  /** Tells how much there is room for. */
  measure(): void {
    const room = this.fit.proposeDimensions();
    if (room && room.cols > 1 && room.rows > 1) this.events.fits(room.cols, room.rows);
  }

  /** The last lines up to the cursor, joined where they were only wrapped. */
  private lastLines(count: number): string[] {
    const { active } = this.terminal.buffer;
    const end = active.baseY + active.cursorY;
    const lines: string[] = [];
    for (let row = Math.max(0, end - count); row <= end; row++) {
      const line = active.getLine(row);
      const text = line?.translateToString(true) ?? "";
      if (line?.isWrapped && lines.length) lines.push((lines.pop() ?? "") + text);
      else lines.push(text);
    }
    return lines;
  }

  private linkEvents() {
    return {
      hover: (_: MouseEvent, address: string) => this.events.pointsAt(address.slice(0, 300)),
      leave: () => this.events.pointsAt(""),
    };
  }
}

function follow(event: MouseEvent, address: string): void {
  event.preventDefault();
  if (isWebLink(address)) window.open(address, "_blank", "noopener,noreferrer");
}
