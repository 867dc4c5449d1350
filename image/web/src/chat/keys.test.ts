import { expect, test } from "vitest";
import { isComposing, sends } from "./keys";

const bare = { shiftKey: false, ctrlKey: false, metaKey: false, altKey: false };

test("Enter sends, with Shift it does not", () => {
  expect([sends(bare, true), sends({ ...bare, shiftKey: true }, true)]).toEqual([true, false]);
});

test("where Enter starts a new line, Ctrl or Command with it sends", () => {
  expect(sends(bare, false)).toBe(false);
  expect(sends({ ...bare, ctrlKey: true }, false) && sends({ ...bare, metaKey: true }, false)).toBe(true);
});

test("while an input method composes, Enter belongs to it", () => {
  expect(isComposing({ isComposing: true, keyCode: 13 })).toBe(true);
  expect(isComposing({ isComposing: false, keyCode: 229 })).toBe(true);
  expect(isComposing({ isComposing: false, keyCode: 13 })).toBe(false);
});
