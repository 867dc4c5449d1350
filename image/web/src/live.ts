// The live socket: connected while she is here, back at once after the network or the machine was away.

import type { FromServer, ToServer } from "./protocol";

const FIRST_DELAY_MS = 250;
const LONGEST_DELAY_MS = 8000;
const PING_EVERY_MS = 25_000;
const SILENCE_MS = 60_000;

export interface LiveEvents {
  opened(): void;
  closed(): void;
  message(message: FromServer): void;
}

export class Live {
  private socket: WebSocket | null = null;
  private attempts = 0;
  private retry: number | undefined;
  private heard = 0;
  private wanted = true;

  constructor(private readonly events: LiveEvents) {
    setInterval(() => this.beat(), PING_EVERY_MS);
    addEventListener("online", () => this.wake());
  }

  /** Connects now if nothing is connected. */
  wake(): void {
    this.wanted = true;
    if (this.socket) return;
    clearTimeout(this.retry);
    this.connect();
  }

  /** Lets go, so that the machine may sleep. */
  rest(): void {
    this.wanted = false;
    clearTimeout(this.retry);
    this.socket?.close();
  }

  /** False where nothing is connected; the caller sends again after `opened`. */
  send(message: ToServer): boolean {
    if (this.socket?.readyState !== WebSocket.OPEN) return false;
    this.socket.send(JSON.stringify(message));
    return true;
  }

  private connect(): void {
    const socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/api/live`);
    this.socket = socket;
    socket.onopen = () => {
      this.attempts = 0;
      this.heard = Date.now();
      this.events.opened();
    };
    socket.onmessage = (event: MessageEvent<string>) => {
      this.heard = Date.now();
      this.events.message(JSON.parse(event.data) as FromServer);
    };
    socket.onclose = () => this.lost(socket);
  }

  private lost(socket: WebSocket): void {
    if (this.socket !== socket) return;
    this.socket = null;
    this.events.closed();
    if (!this.wanted) return;
    const delay = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** this.attempts++);
    this.retry = window.setTimeout(() => this.connect(), delay * (0.5 + Math.random() / 2));
  }

  /** After a suspend both ends may believe in a dead connection: silence ends it. */
  private beat(): void {
    if (!this.socket) return;
    if (Date.now() - this.heard > SILENCE_MS) {
      const dead = this.socket;
      dead.close();
      this.lost(dead);
    } else this.send({ type: "ping" });
  }
}
