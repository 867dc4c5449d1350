// A terminal's binary frames (docs/protocol.md). Pure.

export type Frame =
  | { type: "output"; offset: number; bytes: Uint8Array }
  | { type: "size"; offset: number; cols: number; rows: number }
  | { type: "reset"; offset: number }
  | { type: "exit"; code: number }
  | { type: "live" };

export function decode(data: ArrayBuffer): Frame | null {
  const view = new DataView(data);
  const at = (position: number) => Number(view.getBigUint64(position));
  switch (String.fromCharCode(view.getUint8(0))) {
    case "o":
      return { type: "output", offset: at(1), bytes: new Uint8Array(data, 9) };
    case "z":
      return { type: "size", offset: at(1), cols: view.getUint16(9), rows: view.getUint16(11) };
    case "r":
      return { type: "reset", offset: at(1) };
    case "x":
      return { type: "exit", code: view.getInt32(1) };
    case "e":
      return { type: "live" };
    default:
      return null;
  }
}

export const hello = (offset: number) => withOffset("h", offset);
export const ack = (offset: number) => withOffset("a", offset);

export function resize(cols: number, rows: number): ArrayBuffer {
  const frame = new ArrayBuffer(5);
  const view = new DataView(frame);
  view.setUint8(0, "r".charCodeAt(0));
  view.setUint16(1, cols);
  view.setUint16(3, rows);
  return frame;
}

export function input(bytes: Uint8Array): ArrayBuffer {
  const frame = new Uint8Array(bytes.length + 1);
  frame[0] = "i".charCodeAt(0);
  frame.set(bytes, 1);
  return frame.buffer;
}

function withOffset(letter: string, offset: number): ArrayBuffer {
  const frame = new ArrayBuffer(9);
  const view = new DataView(frame);
  view.setUint8(0, letter.charCodeAt(0));
  view.setBigUint64(1, BigInt(offset));
  return frame;
}
