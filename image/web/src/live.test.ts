import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Live } from "./live";
import { FakeSocket } from "./support/socket";

let live: Live;
let unopened = 0;

beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(Math, "random").mockReturnValue(1);
  FakeSocket.install();
  unopened = 0;
  live = new Live(
    () => "ws://here/api/live",
    (work) => work(),
    () => unopened++,
  );
});

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

function connect(): FakeSocket {
  live.wake();
  FakeSocket.last.open();
  return FakeSocket.last;
}

test("a connection that breaks is made anew, later each time", () => {
  connect().breakOff();
  expect(live.state.value).toBe("connecting");
  vi.advanceTimersByTime(249);
  expect(FakeSocket.all).toHaveLength(1);
  vi.advanceTimersByTime(1);
  expect(FakeSocket.all).toHaveLength(2);
  FakeSocket.last.breakOff();
  vi.advanceTimersByTime(499);
  expect(FakeSocket.all).toHaveLength(2);
  vi.advanceTimersByTime(1);
  expect(FakeSocket.all).toHaveLength(3);
});

test("one that never opened is a reason to ask why, one that broke is not", () => {
  connect().breakOff();
  expect(unopened).toBe(0);
  vi.advanceTimersByTime(250);
  FakeSocket.last.breakOff();
  expect(unopened).toBe(1);
});

test("a device that was signed out goes to the door", () => {
  const reload = vi.fn();
  vi.stubGlobal("location", { reload });
  connect().breakOff(4403);
  expect(reload).toHaveBeenCalledOnce();
});

test("one that holds begins with short waits again", () => {
  connect().breakOff();
  vi.advanceTimersByTime(250);
  FakeSocket.last.open();
  FakeSocket.last.breakOff();
  vi.advanceTimersByTime(250);
  expect(FakeSocket.all).toHaveLength(3);
});

test("a sign of her connects at once instead of after the wait", () => {
  connect();
  vi.advanceTimersByTime(5000);
  FakeSocket.last.breakOff();
  live.wake();
  expect(FakeSocket.all).toHaveLength(2);
  vi.advanceTimersByTime(10_000);
  expect(FakeSocket.all).toHaveLength(2);
});

test("many signs of her do not make it try without a break", () => {
  connect();
  vi.advanceTimersByTime(5000);
  FakeSocket.last.breakOff();
  for (let tries = 0; tries < 50; tries++) {
    live.wake();
    FakeSocket.last.breakOff();
  }
  expect(FakeSocket.all).toHaveLength(2);
});

test("while it rests nothing is connected and nothing tries", () => {
  const socket = connect();
  live.rest();
  socket.onclose?.({ code: 1000 });
  vi.advanceTimersByTime(3600_000);
  expect([live.state.value, FakeSocket.all.length, socket.readyState]).toEqual(["resting", 1, FakeSocket.CLOSED]);
  live.wake();
  expect([live.state.value, FakeSocket.all.length]).toEqual(["connecting", 2]);
});

test("silence is asked about, and no answer ends the connection", () => {
  const socket = connect();
  vi.advanceTimersByTime(25_000);
  expect(socket.sent).toEqual(['{"type":"ping"}']);
  socket.give('{"type":"pong"}');
  vi.advanceTimersByTime(25_000);
  expect(socket.sent).toHaveLength(2);
  vi.advanceTimersByTime(4000);
  expect(live.state.value).toBe("connecting");
});

test("after a pause the connection must prove that it lives, as soon as she is back", () => {
  const socket = connect();
  vi.advanceTimersByTime(11_000);
  live.wake();
  expect(socket.sent).toEqual(['{"type":"ping"}']);
  vi.advanceTimersByTime(4250);
  expect(FakeSocket.all).toHaveLength(2);
});

test("what an abandoned connection still says is not heard", () => {
  const heard = vi.fn();
  live.on("pong", heard);
  const socket = connect();
  live.rest();
  live.wake();
  socket.give('{"type":"pong"}');
  expect(heard).not.toHaveBeenCalled();
});

test("messages are delivered in order, together", () => {
  const work: (() => void)[] = [];
  live = new Live(
    () => "ws://here/api/live",
    (one) => work.push(one),
  );
  const heard: string[] = [];
  live.on("conversation_gone", (message) => heard.push(message.id));
  const socket = connect();
  for (const id of ["a", "b", "c"]) socket.give(JSON.stringify({ type: "conversation_gone", id }));
  expect([heard, work.length]).toEqual([[], 1]);
  work[0]?.();
  expect(heard).toEqual(["a", "b", "c"]);
});

test("nothing that was heard is lost when the connection breaks before it was delivered", () => {
  live = new Live(
    () => "ws://here/api/live",
    () => undefined,
  );
  const heard: string[] = [];
  live.on("conversation_gone", (message) => heard.push(message.id));
  const socket = connect();
  socket.give(JSON.stringify({ type: "conversation_gone", id: "a" }));
  socket.breakOff();
  expect(heard).toEqual(["a"]);
});

test("sending without a connection says so", () => {
  live.wake();
  expect(live.send({ type: "ping" })).toBe(false);
});

test("what must arrive has the connection prove at once that it lives", () => {
  const socket = connect();
  live.assure();
  live.assure();
  expect(socket.sent).toEqual(['{"type":"ping"}']);
  vi.advanceTimersByTime(4000);
  expect(live.state.value).toBe("connecting");
});

test("a proof waits behind what is large and on its way, and no longer than that moves", () => {
  const socket = connect();
  socket.bufferedAmount = 1_000_000;
  live.assure();
  for (const left of [500_000, 0]) {
    socket.bufferedAmount = left;
    vi.advanceTimersByTime(4000);
    expect(live.state.value).toBe("open");
  }
  vi.advanceTimersByTime(4000);
  expect(live.state.value).toBe("connecting");
});

test("over another network a connection that was being made is made anew at once", () => {
  live.wake();
  const stale = FakeSocket.last;
  live.renew();
  expect([FakeSocket.all.length, stale.readyState]).toEqual([2, FakeSocket.CLOSED]);
  FakeSocket.last.open();
  stale.open();
  expect(live.state.value).toBe("open");
});

test("over another network one that stands must prove that it lives", () => {
  const socket = connect();
  live.renew();
  expect(socket.sent).toEqual(['{"type":"ping"}']);
  expect(FakeSocket.all).toHaveLength(1);
});

test("while it rests another network is no reason to wake the machine", () => {
  connect();
  live.rest();
  live.renew();
  expect(FakeSocket.all).toHaveLength(1);
});
