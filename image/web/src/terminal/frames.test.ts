import { expect, test } from "vitest";
import { ack, decode, hello, input, resize } from "./frames";

const BIG = 2 ** 40 + 7;
const bytes = (buffer: ArrayBuffer) => [...new Uint8Array(buffer)];

test("offsets beyond 32 bits survive", () => {
  expect(bytes(hello(BIG))).toEqual([0x68, 0, 0, 1, 0, 0, 0, 0, 7]);
  expect(bytes(ack(BIG))[0]).toBe(0x61);
});

test("what is typed is sent as bytes", () => {
  expect(bytes(input(new TextEncoder().encode("é")))).toEqual([0x69, 0xc3, 0xa9]);
});

test("a size is columns, then rows", () => {
  expect(bytes(resize(300, 40))).toEqual([0x72, 1, 44, 0, 40]);
});

test("output carries its offset and its bytes", () => {
  expect(decode(new Uint8Array([0x6f, 0, 0, 1, 0, 0, 0, 0, 7, 65, 66]).buffer)).toEqual({
    type: "output",
    offset: BIG,
    bytes: new Uint8Array([65, 66]),
  });
});

test("an exit code may be negative", () => {
  expect(decode(new Uint8Array([0x78, 255, 255, 255, 255]).buffer)).toEqual({ type: "exit", code: -1 });
});

test("a frame of a later server is passed over", () => {
  expect(decode(new Uint8Array([0x3f, 1, 2]).buffer)).toBeNull();
});
