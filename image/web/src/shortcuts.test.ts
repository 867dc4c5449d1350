// @vitest-environment jsdom
import { expect, test } from "vitest";
import { shortcutOf } from "./shortcuts";

const none = { ctrlKey: false, metaKey: false, shiftKey: false, altKey: false };

test.each([
  [{ key: "k", ctrlKey: true }, "Search conversations"],
  [{ key: "O", ctrlKey: true, shiftKey: true }, "New chat"],
  [{ key: "Escape", shiftKey: true }, "To the message"],
  [{ key: "/", ctrlKey: true }, "This list"],
])("%o: %s", (pressed, does) => {
  expect(shortcutOf({ ...none, ...pressed })?.does).toBe(does);
});

test.each([
  { key: "k" },
  { key: "K", shiftKey: true },
  { key: "o", ctrlKey: true },
  { key: "Escape" },
  { key: "/" },
  { key: "k", ctrlKey: true, altKey: true },
  { key: "c", ctrlKey: true },
])("%o is left to the browser", (pressed) => {
  expect(shortcutOf({ ...none, ...pressed })).toBeUndefined();
});
