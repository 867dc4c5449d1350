import { expect, test } from "vitest";
import { BAR, controlled, deed, inApplication } from "./keys";
import { loginLink } from "./login";
import { shownTitle } from "./shells";

const key = (code: string, ...held: ("ctrlKey" | "shiftKey" | "altKey" | "metaKey")[]) => ({
  ...{ code, ctrlKey: false, shiftKey: false, altKey: false, metaKey: false },
  ...Object.fromEntries(held.map((one) => [one, true])),
});

test("Ctrl + C copies what is selected, and interrupts where nothing is", () => {
  expect(deed(key("KeyC", "ctrlKey"), true)).toBe("copy");
  expect(deed(key("KeyC", "ctrlKey"), false)).toBeNull();
});

test("the keys of terminals and of Macs copy and paste too", () => {
  expect(deed(key("KeyC", "ctrlKey", "shiftKey"), true)).toBe("copy");
  expect(deed(key("KeyC", "metaKey"), true)).toBe("copy");
  expect(deed(key("KeyV", "ctrlKey"), false)).toBe("paste");
  expect(deed(key("KeyV", "metaKey"), false)).toBe("paste");
});

test("there is a way out for those who have no pointer", () => {
  expect(deed(key("Period", "ctrlKey", "shiftKey"), false)).toBe("leave");
});

test("Esc, Tab and letters go to the shell", () => {
  for (const one of [
    key("Escape"),
    key("Tab"),
    key("KeyC"),
    key("KeyV"),
    key("KeyD", "ctrlKey"),
    key("KeyV", "altKey"),
  ])
    expect(deed(one, false)).toBeNull();
});

test("a letter after the Ctrl key of the bar is a control character", () => {
  expect(["c", "C", "[", " ", "é", "ab"].map(controlled)).toEqual(["\x03", "\x03", "\x1b", "\0", "é", "ab"]);
});

test("an arrow after it goes on by a word, and any other key of the bar is what it is", () => {
  expect(["\x1b[C", "\x1b[Z", "\t"].map(controlled)).toEqual(["\x1b[1;5C", "\x1b[Z", "\t"]);
});

test("arrows differ for a program that has the whole screen", () => {
  expect(["\x1b[A", "\x1b[Z", "\x1b"].map(inApplication)).toEqual(["\x1bOA", "\x1b[Z", "\x1b"]);
});

test("the login link is found while Claude waits for the code, in both its shapes", () => {
  const short = "https://claude.ai/oauth/authorize?z-abc_DEF";
  const long = "https://claude.com/cai/oauth/authorize?code=true&state=x";
  const waits = "Paste code here if prompted >";
  expect(loginLink(["$ claude authenticate", "If the browser didn't open, visit:", short, waits])).toBe(short);
  expect(loginLink([`visit: ${long}`, `${waits} abc`, ""])).toBe(long);
});

test("it is gone once the login is over, and no other address takes its place", () => {
  const link = "https://claude.ai/oauth/authorize?z-abc";
  expect(loginLink([link, "Paste code here if prompted > x", "Login successful."])).toBeNull();
  expect(loginLink(["https://claude.ai.evil.example/oauth/authorize?x", "Paste code here"])).toBeNull();
  expect(loginLink(["javascript:https://evil.example", "Paste code here"])).toBeNull();
});

test("a title can neither break its line nor turn it around", () => {
  expect(shownTitle("a\u202eb\nc\u0007<b>")).toBe("abc<b>");
  expect(shownTitle("x".repeat(500))).toHaveLength(60);
});

test("Ctrl + F is the shell's; with Shift, and on a Mac, it searches", () => {
  expect(deed(key("KeyF", "ctrlKey"), false)).toBeNull();
  expect(deed(key("KeyF", "ctrlKey", "shiftKey"), false)).toBe("search");
  expect(deed(key("KeyF", "metaKey"), false)).toBe("search");
});

test("a login that was given up has no link any more", () => {
  const waiting = ["https://claude.ai/oauth/authorize?z-abc", "Paste code here if prompted > "];
  expect(loginLink(waiting)).toBe("https://claude.ai/oauth/authorize?z-abc");
  expect(loginLink([...waiting.slice(0, 1), "Paste code here if prompted > CODE#STATE"])).not.toBeNull();
  expect(loginLink([...waiting.slice(0, 1), "Paste code here if prompted > /data/workspace $ "])).toBeNull();
});

test("the bar has what a phone's keyboard has not, also what Claude Code switches its mode by", () => {
  const keys = new Map(BAR.map(([label, , sent]) => [label, sent]));
  expect(["⇧Tab", "PgUp", "PgDn", "/", "|"].map((label) => keys.get(label))).toEqual([
    ...["\x1b[Z", "\x1b[5~", "\x1b[6~", "/", "|"],
  ]);
});
