// One shell's socket: output arrives at its byte, once and in order; input waits its turn; after each interruption it
// goes on where it was.

import { delayMs } from "../backoff";
import * as frames from "./frames";

const ACK_EVERY = 64 * 1024;
const PIECE = 16 * 1024;
/** More than this under way in the browser, and what comes next waits. */
const FULL = 128 * 1024;
const WAIT_MS = 15;
const MOST_EARLY = 64 * 1024;
/** A machine that has to be started first takes its time; a network that was left never answers. */
const CONNECT_MS = 30_000;
/** Younger than this, a connection that is being made is not made anew. */
const FRESH_MS = 1000;
const NO_SUCH_TERMINAL = 4404;
const INTERRUPT = "\x03";
const ANSWER = /^\u001b[[\]P]/;

/** What draws. Everything handed to it is drawn in the order in which it came. */
export interface Screen {
  draw(bytes: Uint8Array, drawn: () => void): void;
  /** Calls back when all that was handed over before has been drawn. */
  settled(then: () => void): void;
  clear(): void;
  resize(cols: number, rows: number): void;
}

export interface WireEvents {
  /** Whether what is typed reaches the shell now. */
  live(isLive: boolean): void;
  /** The shell has ended with this code, or is gone (null). */
  ended(code: number | null): void;
  /** A paste was cut off by an interruption. */
  cut(): void;
}

export class Wire {
  private socket: WebSocket | null = null;
  private isLive = false;
  private isOver = false;
  private received = 0;
  private drawn = 0;
  private acked = 0;
  private size: [cols: number, rows: number] | null = null;
  private waiting: Uint8Array[] = [];
  private attempts = 0;
  private triedAt = 0;
  private retry: ReturnType<typeof setTimeout> | undefined;
  private patience: ReturnType<typeof setTimeout> | undefined;
  private pumping: ReturnType<typeof setTimeout> | undefined;
  private readonly encoder = new TextEncoder();

  constructor(
    private readonly address: string,
    private readonly screen: Screen,
    private readonly events: WireEvents,
  ) {
    this.connect();
  }

  close(): void {
    this.isOver = true;
    clearTimeout(this.retry);
    clearTimeout(this.patience);
    clearTimeout(this.pumping);
    this.socket?.close();
    this.socket = null;
  }

  /** What the screen gives: typing, pastes, and answers to a program's queries. */
  type(text: string): void {
    // What xterm answers to a replayed query must not land in the shell as typing.
    if (this.isOver || (!this.isLive && (ANSWER.test(text) || this.backlog() > MOST_EARLY))) return;
    if (text === INTERRUPT) this.waiting = [];
    this.send(this.encoder.encode(text));
  }

  /** Bytes that are no text: mouse reports of an old kind. */
  typeBytes(bytes: Uint8Array): void {
    if (this.isLive) this.send(bytes);
  }

  /** The size that this page has room for; the server says which one holds. */
  resize(cols: number, rows: number): void {
    this.size = [cols, rows];
    if (this.isLive) this.socket?.send(frames.resize(cols, rows));
  }

  /** Connects anew at once: the connection may be dead without knowing it, and coming back costs nothing. */
  renew(): void {
    const isBegun = this.socket?.readyState === WebSocket.CONNECTING && Date.now() - this.triedAt < FRESH_MS;
    if (this.isOver || isBegun) return;
    this.drop();
    this.setLive(false);
    this.connect();
  }

  private drop(): void {
    const old = this.socket;
    this.socket = null;
    old?.close();
  }

  private connect(): void {
    clearTimeout(this.retry);
    clearTimeout(this.patience);
    this.triedAt = Date.now();
    this.patience = setTimeout(() => {
      this.drop();
      this.lost();
    }, CONNECT_MS);
    const socket = new WebSocket(this.address);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    // Only now is it known what has been drawn: what the last connection brought may still be on its way to the screen.
    socket.onopen = () => this.screen.settled(() => this.socket === socket && socket.send(frames.hello(this.drawn)));
    socket.onmessage = (event: MessageEvent<ArrayBuffer>) => this.socket === socket && this.receive(event.data);
    socket.onclose = (event) => this.socket === socket && this.lost(event.code);
  }

  private lost(code?: number): void {
    clearTimeout(this.patience);
    this.socket = null;
    this.setLive(false);
    if (this.isOver) return;
    if (code === NO_SUCH_TERMINAL) {
      this.end(null);
      return;
    }
    if (this.backlog() > PIECE) {
      this.waiting = [];
      this.events.cut();
    }
    this.retry = setTimeout(() => this.connect(), delayMs(this.attempts++));
  }

  private receive(data: ArrayBuffer): void {
    const frame = frames.decode(data);
    const { socket } = this;
    // What a frame says of its connection no longer holds if another one has been made before it was its turn.
    const inTurn = (work: () => void) => this.screen.settled(() => this.socket === socket && work());
    this.attempts = 0;
    clearTimeout(this.patience);
    switch (frame?.type) {
      case "output":
        this.output(frame.offset, frame.bytes);
        break;
      case "reset":
        this.received = frame.offset;
        this.screen.settled(() => {
          this.screen.clear();
          this.drawn = this.acked = frame.offset;
        });
        break;
      case "size":
        this.screen.settled(() => this.screen.resize(frame.cols, frame.rows));
        break;
      case "live":
        inTurn(() => this.goLive());
        break;
      case "exit":
        inTurn(() => this.end(frame.code));
        break;
    }
  }

  private output(offset: number, bytes: Uint8Array): void {
    if (offset > this.received) {
      this.renew(); // bytes are missing: the next hello asks for them
      return;
    }
    const fresh = bytes.subarray(this.received - offset);
    if (fresh.length === 0) return;
    this.received += fresh.length;
    const end = this.received;
    this.screen.draw(fresh, () => this.drew(end));
  }

  private drew(end: number): void {
    this.drawn = end;
    if (end - this.acked < ACK_EVERY || this.socket?.readyState !== WebSocket.OPEN) return;
    this.acked = end;
    this.socket.send(frames.ack(end));
  }

  private goLive(): void {
    this.setLive(true);
    if (this.size) this.resize(...this.size);
    this.pump();
  }

  private setLive(isLive: boolean): void {
    this.isLive = isLive;
    this.events.live(isLive);
  }

  private end(code: number | null): void {
    if (this.isOver) return;
    this.close();
    this.setLive(false);
    this.events.ended(code);
  }

  private backlog(): number {
    return this.waiting.reduce((sum, piece) => sum + piece.length, 0);
  }

  private send(bytes: Uint8Array): void {
    for (let start = 0; start < bytes.length; start += PIECE) this.waiting.push(bytes.subarray(start, start + PIECE));
    this.pump();
  }

  /** Sends as fast as the connection takes it. */
  private pump(): void {
    clearTimeout(this.pumping);
    while (this.isLive && this.socket && this.socket.bufferedAmount < FULL) {
      const piece = this.waiting.shift();
      if (!piece) return;
      this.socket.send(frames.input(piece));
    }
    if (this.isLive) this.pumping = setTimeout(() => this.pump(), WAIT_MS);
  }
}
