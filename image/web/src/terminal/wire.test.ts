import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { FakeSocket } from "../support/socket";
import { type Screen, Wire, type WireEvents } from "./wire";

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const bytesOf = (frame: unknown) => new Uint8Array(frame as ArrayBuffer);
const kindOf = (frame: unknown) => String.fromCharCode(bytesOf(frame)[0] ?? 0);
const offsetOf = (frame: unknown) => Number(new DataView(frame as ArrayBuffer).getBigUint64(1));

function withOffset(kind: string, offset: number, body: Uint8Array = new Uint8Array()): ArrayBuffer {
  const frame = new Uint8Array(9 + body.length);
  frame[0] = kind.charCodeAt(0);
  new DataView(frame.buffer).setBigUint64(1, BigInt(offset));
  frame.set(body, 9);
  return frame.buffer;
}
const output = (offset: number, words: string) => withOffset("o", offset, new TextEncoder().encode(words));
const reset = (offset: number) => withOffset("r", offset);
const liveFrame = new Uint8Array([0x65]).buffer;
const exit = (code: number) => new Uint8Array([0x78, 0, 0, 0, code]).buffer;
const size = (cols: number, rows: number) => withOffset("z", 0, new Uint8Array([0, cols, 0, rows]));

/** Draws when it is told to. */
class SlowScreen implements Screen {
  shown = "";
  sizes: string[] = [];
  private readonly queue: (() => void)[] = [];

  draw(bytes: Uint8Array, drawn: () => void): void {
    const words = text(bytes);
    this.queue.push(() => {
      this.shown += words;
      drawn();
    });
  }
  settled(then: () => void): void {
    this.queue.push(then);
  }
  clear(): void {
    this.shown = "";
  }
  resize(cols: number, rows: number): void {
    this.sizes.push(`${cols}x${rows}`);
  }
  drawAll(): void {
    while (this.queue.length) this.queue.shift()?.();
  }
}

let screen: SlowScreen;
let wire: Wire;
let events: { [name in keyof WireEvents]: ReturnType<typeof vi.fn<WireEvents[name]>> };

beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(Math, "random").mockReturnValue(1);
  FakeSocket.install();
  screen = new SlowScreen();
  events = { live: vi.fn(), ended: vi.fn(), cut: vi.fn() };
  wire = new Wire("ws://here/api/terminals/t/socket", screen, events);
});

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

function open(): FakeSocket {
  FakeSocket.last.open();
  screen.drawAll();
  return FakeSocket.last;
}

function goLive(): FakeSocket {
  const socket = open();
  socket.give(liveFrame);
  screen.drawAll();
  socket.sent = [];
  return socket;
}

const sentOf = (socket: FakeSocket, kind: string) => socket.sent.filter((frame) => kindOf(frame) === kind);
const typed = (socket: FakeSocket) => sentOf(socket, "i").map((frame) => text(bytesOf(frame).subarray(1)));

test("it says hello with what it has drawn, first of all", () => {
  const socket = open();
  expect([kindOf(socket.sent[0]), offsetOf(socket.sent[0])]).toEqual(["h", 0]);
});

test("after an interruption it goes on at the byte where it was, nothing lost and nothing doubled", () => {
  const socket = open();
  socket.give(output(0, "hello "));
  socket.give(output(6, "wor")); // not drawn yet when the connection breaks
  socket.breakOff();
  vi.advanceTimersByTime(250);
  const next = open();
  expect(offsetOf(next.sent[0])).toBe(9);
  next.give(output(9, "ld"));
  screen.drawAll();
  expect(screen.shown).toBe("hello world");
});

test("bytes that it has already are passed over", () => {
  const socket = open();
  socket.give(output(0, "hello"));
  socket.give(output(3, "lo world"));
  socket.give(output(0, "he"));
  screen.drawAll();
  expect(screen.shown).toBe("hello world");
});

test("missing bytes are asked for anew instead of being left out", () => {
  const socket = open();
  socket.give(output(0, "hello"));
  socket.give(output(9, "world"));
  screen.drawAll();
  expect([screen.shown, socket.readyState]).toEqual(["hello", FakeSocket.CLOSED]);
  expect(offsetOf(open().sent[0])).toBe(5);
});

test("an old connection that still speaks is not heard", () => {
  const old = open();
  wire.renew();
  old.give(output(0, "ghost"));
  screen.drawAll();
  expect(screen.shown).toBe("");
});

test("the end of an old connection's replay does not make the new one live", () => {
  open().give(liveFrame);
  wire.renew();
  wire.type("ls\r");
  const socket = open();
  expect(typed(socket)).toEqual([]);
  socket.give(liveFrame);
  screen.drawAll();
  expect(typed(socket)).toEqual(["ls\r"]);
});

test("a reset counts even if the connection that brought it is gone when it is drawn", () => {
  open().give(reset(500));
  wire.renew();
  expect(offsetOf(open().sent[0])).toBe(500);
});

test("a connection that is being made is not made anew", () => {
  wire.renew();
  expect(FakeSocket.all).toHaveLength(1);
});

test("a connection that never comes about is given up and made anew", () => {
  const stuck = FakeSocket.last;
  vi.advanceTimersByTime(30_000);
  expect(stuck.readyState).toBe(FakeSocket.CLOSED);
  vi.advanceTimersByTime(250);
  expect(FakeSocket.all).toHaveLength(2);
  expect(kindOf(open().sent[0])).toBe("h");
});

test("so is one that opens and says nothing", () => {
  open();
  vi.advanceTimersByTime(30_250);
  expect(FakeSocket.all).toHaveLength(2);
});

test("one that speaks is left alone, however long nothing happens in the shell", () => {
  goLive();
  vi.advanceTimersByTime(3600_000);
  expect(FakeSocket.all).toHaveLength(1);
});

test("once the page is connected anew, one that was begun before that is not waited for", () => {
  vi.advanceTimersByTime(5000);
  wire.renew();
  expect(FakeSocket.all).toHaveLength(2);
});

test("a reset clears the screen after what came before it, and counts from there", () => {
  const socket = open();
  socket.give(output(0, "old"));
  socket.give(reset(1_000_000));
  socket.give(output(1_000_000, "new"));
  screen.drawAll();
  socket.breakOff();
  vi.advanceTimersByTime(250);
  expect([screen.shown, offsetOf(open().sent[0])]).toEqual(["new", 1_000_003]);
});

test("what was drawn is acknowledged each 64 KiB, and only once it is drawn", () => {
  const socket = open();
  socket.give(output(0, "x".repeat(65_536)));
  expect(sentOf(socket, "a")).toEqual([]);
  screen.drawAll();
  expect(sentOf(socket, "a").map(offsetOf)).toEqual([65_536]);
  socket.give(output(65_536, "y".repeat(65_535)));
  screen.drawAll();
  expect(sentOf(socket, "a")).toHaveLength(1);
});

test("during a replay the screen's answers to queries are dropped, her typing waits", () => {
  const socket = open();
  wire.type("\x1b[?1;2c");
  wire.type("\x1b]11;rgb:0000/0000/0000\x07");
  wire.type("ls\r");
  expect(typed(socket)).toEqual([]);
  socket.give(liveFrame);
  screen.drawAll();
  expect(typed(socket)).toEqual(["ls\r"]);
  wire.type("\x1b[?1;2c");
  expect(typed(socket)).toEqual(["ls\r", "\x1b[?1;2c"]);
});

test("answers count as soon as the replay has been drawn, not when its end arrived", () => {
  const socket = open();
  socket.give(output(0, "query"));
  socket.give(liveFrame);
  wire.type("\x1b[?1;2c");
  screen.drawAll();
  expect(typed(socket)).toEqual([]);
});

test("a large paste goes in pieces, as fast as the connection takes them", () => {
  const socket = goLive();
  socket.bufferedAmount = 200_000;
  wire.type("p".repeat(40_000));
  expect(typed(socket)).toEqual([]);
  socket.bufferedAmount = 0;
  vi.advanceTimersByTime(20);
  expect(typed(socket).map((piece) => piece.length)).toEqual([16_384, 16_384, 7232]);
});

test("a character is never harmed by being cut between two pieces", () => {
  const socket = goLive();
  const words = `${"x".repeat(16_383)}é`;
  wire.type(words);
  const all = sentOf(socket, "i").flatMap((frame) => [...bytesOf(frame).subarray(1)]);
  expect(text(Uint8Array.from(all))).toBe(words);
});

test("Ctrl + C does not wait behind a paste", () => {
  const socket = goLive();
  socket.bufferedAmount = 200_000;
  wire.type("p".repeat(1_000_000));
  wire.type("\x03");
  socket.bufferedAmount = 0;
  vi.advanceTimersByTime(20);
  expect(typed(socket)).toEqual(["\x03"]);
});

test("a paste that an interruption cut is dropped, and she is told", () => {
  const socket = goLive();
  socket.bufferedAmount = 200_000;
  wire.type("p".repeat(40_000));
  socket.breakOff();
  expect(events.cut).toHaveBeenCalledOnce();
  vi.advanceTimersByTime(250);
  expect(typed(goLive())).toEqual([]);
});

test("sizes are drawn where they hold, and the server says which one does", () => {
  const socket = open();
  socket.give(size(80, 24));
  socket.give(output(0, "x"));
  wire.resize(120, 40);
  expect(sentOf(socket, "r")).toEqual([]);
  socket.give(liveFrame);
  screen.drawAll();
  expect(screen.sizes).toEqual(["80x24"]);
  expect([...bytesOf(sentOf(socket, "r")[0])]).toEqual([0x72, 0, 120, 0, 40]);
  socket.give(size(120, 40));
  screen.drawAll();
  expect(screen.sizes).toEqual(["80x24", "120x40"]);
});

test("the end of the shell is told after its last words, and nothing connects again", () => {
  const socket = goLive();
  socket.give(output(0, "bye"));
  socket.give(exit(3));
  expect(events.ended).not.toHaveBeenCalled();
  screen.drawAll();
  socket.breakOff(1000);
  vi.advanceTimersByTime(60_000);
  expect(events.ended).toHaveBeenCalledExactlyOnceWith(3);
  expect(FakeSocket.all).toHaveLength(1);
});

test("a shell that is gone is not asked for again", () => {
  open().breakOff(4404);
  vi.advanceTimersByTime(60_000);
  expect(events.ended).toHaveBeenCalledExactlyOnceWith(null);
  expect(FakeSocket.all).toHaveLength(1);
});

test("who fell too far behind comes back with what it has drawn", () => {
  const socket = goLive();
  socket.give(output(0, "abc"));
  socket.breakOff(4408);
  vi.advanceTimersByTime(250);
  expect(offsetOf(open().sent[0])).toBe(3);
});

test("closing the terminal ends nothing but the connection", () => {
  const socket = goLive();
  wire.close();
  vi.advanceTimersByTime(60_000);
  expect([socket.readyState, socket.sent, FakeSocket.all.length]).toEqual([FakeSocket.CLOSED, [], 1]);
});
