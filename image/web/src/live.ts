// The live socket: open while she is here, back at once after the network or the machine was away.

import { batch, signal } from "@preact/signals";
import { delayMs } from "./backoff";
import { leave, SIGNED_OUT_CODE } from "./door";
import { nextFrame } from "./frame";
import { ask } from "./http";
import type { FromServer, ToServer } from "./protocol";

const PING_EVERY_MS = 25_000;
/** Anything that was heard counts; after this a connection may be dead without knowing it. */
const SUSPECT_MS = 10_000;
const PROOF_MS = 4000;
const CONNECT_MS = 30_000;
/** However often she moves the mouse. */
const AGAIN_AFTER_MS = 1000;

type Kind = FromServer["type"];
type Handler<K extends Kind> = (message: Extract<FromServer, { type: K }>) => void;

export class Live {
  /** `resting`: let go on purpose, so that the machine may sleep. */
  readonly state = signal<"connecting" | "open" | "resting">("connecting");
  private readonly handlers = new Map<Kind, Handler<never>[]>();
  private readonly openers = new Set<() => void>();
  private inbox: FromServer[] = [];
  private socket: WebSocket | null = null;
  private attempts = 0;
  private heardAt = 0;
  private triedAt = 0;
  private isProving = false;
  private retry: ReturnType<typeof setTimeout> | undefined;
  private watch: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly address: () => string,
    private readonly schedule: (work: () => void) => void = nextFrame,
    /** Called where a socket did not open: the browser never says why. */
    private readonly unopened: () => void = () => undefined,
  ) {}

  on<K extends Kind>(kind: K, handler: Handler<K>): void {
    this.handlers.set(kind, [...(this.handlers.get(kind) ?? []), handler as unknown as Handler<never>]);
  }

  /** Calls at each new connection, until what it gives back is called. */
  onOpen(opener: () => void): () => void {
    this.openers.add(opener);
    return () => void this.openers.delete(opener);
  }

  /** Connects now; where a connection stands but was silent for a while, it must prove that it lives. */
  wake(): void {
    if (!this.socket && Date.now() - this.triedAt >= AGAIN_AFTER_MS) this.connect();
    else if (this.socket?.readyState === WebSocket.OPEN && Date.now() - this.heardAt > SUSPECT_MS) this.prove();
  }

  /** For what must arrive: connects, or has the connection prove at once that it lives. */
  assure(): void {
    if (this.socket?.readyState === WebSocket.OPEN) this.prove();
    else this.wake();
  }

  /** Over another network: a connection that was begun over the old one may wait for ever. */
  renew(): void {
    if (this.state.value === "resting") return;
    if (this.socket?.readyState === WebSocket.OPEN) return this.prove();
    this.drop();
    this.connect();
  }

  /** Lets go until `wake`. */
  rest(): void {
    this.state.value = "resting";
    this.triedAt = 0;
    this.drop();
  }

  /** False where nothing is connected: the caller sends again once it is. */
  send(message: ToServer): boolean {
    if (this.socket?.readyState !== WebSocket.OPEN) return false;
    this.socket.send(JSON.stringify(message));
    return true;
  }

  private connect(): void {
    clearTimeout(this.retry);
    this.triedAt = Date.now();
    this.state.value = "connecting";
    const socket = new WebSocket(this.address());
    this.socket = socket;
    const mine = (work: () => void) => () => this.socket === socket && work();
    socket.onopen = mine(() => this.opened());
    socket.onclose = (event) => this.socket === socket && this.closed(event.code);
    socket.onmessage = (event: MessageEvent<string>) => this.socket === socket && this.heard(event.data);
    this.watchFor(CONNECT_MS, () => this.lost());
  }

  private opened(): void {
    this.attempts = 0;
    this.heardAt = Date.now();
    this.state.value = "open";
    this.watchFor(PING_EVERY_MS, () => this.prove());
    for (const opener of this.openers) opener();
  }

  private heard(data: string): void {
    this.heardAt = Date.now();
    this.isProving = false;
    this.watchFor(PING_EVERY_MS, () => this.prove());
    this.inbox.push(JSON.parse(data) as FromServer);
    if (this.inbox.length === 1) this.schedule(() => this.deliver());
  }

  private deliver(): void {
    const messages = this.inbox;
    this.inbox = [];
    batch(() => {
      for (const message of messages)
        for (const handler of this.handlers.get(message.type) ?? []) handler(message as never);
    });
  }

  private closed(code: number): void {
    if (code === SIGNED_OUT_CODE) leave();
    if (this.state.value === "connecting") this.unopened();
    this.lost();
  }

  private prove(): void {
    if (this.isProving) return;
    this.isProving = true;
    this.send({ type: "ping" });
    this.awaitProof();
  }

  /** While something large is on its way out the proof waits behind it. */
  private awaitProof(): void {
    const left = () => this.socket?.bufferedAmount ?? 0;
    const before = left();
    this.watchFor(PROOF_MS, () => (left() < before ? this.awaitProof() : this.lost()));
  }

  private lost(): void {
    this.drop();
    this.state.value = "connecting";
    this.retry = setTimeout(() => this.connect(), delayMs(this.attempts++));
  }

  private drop(): void {
    clearTimeout(this.retry);
    clearTimeout(this.watch);
    const socket = this.socket;
    this.socket = null;
    this.isProving = false;
    socket?.close();
    if (this.inbox.length) this.deliver();
  }

  private watchFor(ms: number, late: () => void): void {
    clearTimeout(this.watch);
    this.watch = setTimeout(late, ms);
  }
}

export function socketAddress(path: string): string {
  return location.origin.replace(/^http/, "ws") + path;
}

export const live = new Live(
  () => socketAddress("/api/live"),
  nextFrame,
  () => void ask("GET", "/api/access").catch(() => undefined),
);
