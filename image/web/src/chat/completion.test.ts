import { expect, test } from "vitest";
import { completed, fitting, mentionAt } from "./completion";

const at = (marked: string) => mentionAt(marked.replace("|", ""), marked.indexOf("|"));

test.each([
  ["/|", "command", ""],
  ["/com|", "command", "com"],
  ["@|", "file", ""],
  ["look at @src/ma|", "file", "src/ma"],
  ["(@notes|", "file", "notes"],
  ['@"my fi|', "file", "my fi"],
  ["a\n@b|", "file", "b"],
  ["see @מסמך|", "file", "מסמך"],
])("%s may be completed", (text, kind, query) => {
  expect(at(text)).toMatchObject({ kind, query });
});

test.each(["|", "hello|", "me@example.com|", "a /b|", "/com pact|", "@a b|", "|@a", '@"a b" |', "@@|", "/data/x|"])(
  "%s may not",
  (text) => {
    expect(at(text)).toBeNull();
  },
);

test("a choice takes the place of what was typed, and the cursor stands behind it", () => {
  const mention = at("see @no|");
  expect(mention && completed("see @no", mention, "notes.md")).toEqual(["see @notes.md ", 14]);
  expect(mention && completed("see @notes please", { ...mention, to: 7 }, "notes.md")).toEqual([
    "see @notes.md please",
    14,
  ]);
});

test("a name with spaces is put in quotes", () => {
  const mention = at("@my|");
  expect(mention && completed("@my", mention, "my notes.md")).toEqual(['@"my notes.md" ', 15]);
});

test("a folder stays open", () => {
  const mention = at("@s|");
  expect(mention && completed("@s", mention, "src/", true)).toEqual(["@src/", 5]);
  expect(mention && completed("@s", mention, "my src/", true)).toEqual(['@"my src/', 9]);
});

test("a command is followed by a space for what it is given", () => {
  const mention = at("/co|");
  expect(mention && completed("/co", mention, "compact")).toEqual(["/compact ", 9]);
});

test("what begins with the words comes first, then parts, then what is said about it", () => {
  const all = ["recompact", "compact", "my:compact", "other"].map((name) => ({ name, description: "" }));
  expect(fitting(all, "COMP").map((one) => one.name)).toEqual(["compact", "my:compact", "recompact"]);
  expect(fitting([{ name: "cost", description: "Shows what it cost" }], "shows")).toHaveLength(1);
  expect(fitting(all, "nothing")).toEqual([]);
});
