import { expect, test } from "vitest";
import { diff, fromPatch } from "./diff";

const SIGNS = { same: " ", added: "+", removed: "-", gap: "~" };
const signs = (before: string, after: string) => diff(before, after).map(({ kind, text }) => SIGNS[kind] + text);

test("only what changed is marked", () => {
  expect(signs("a\nb\nc\n", "a\nx\nc\n")).toEqual([" a", "-b", "+x", " c"]);
});

test("a new file is all new, an emptied one all gone", () => {
  expect(signs("", "a\nb\n")).toEqual(["+a", "+b"]);
  expect(signs("a\n", "")).toEqual(["-a"]);
});

test("a line put between is one line", () => {
  expect(signs("a\nb\nc", "a\nb\nnew\nc")).toEqual([" a", " b", "+new", " c"]);
});

test("lines far from any change are left out", () => {
  const lines = Array.from({ length: 20 }, (_, index) => `${index}`);
  const changed = lines.with(10, "x");
  expect(signs(lines.join("\n"), changed.join("\n"))).toEqual([
    ...["~", " 7", " 8", " 9", "-10", "+x", " 11", " 12", " 13", "~"],
  ]);
});

test("what is too long to compare is shown as replaced", () => {
  const many = (word: string) => Array.from({ length: 1000 }, (_, index) => `${word} ${index}`).join("\n");
  expect(signs(many("a"), many("b"))).toHaveLength(2000);
});

test("a patch keeps the numbers that the lines have in the file", () => {
  const hunks = [
    { oldStart: 3, newStart: 3, lines: [" a", "-b", "+c", "+d", " e", "\\ No newline at end of file"] },
    { oldStart: 90, newStart: 91, lines: ["-z"] },
  ];
  expect(fromPatch(hunks).map(({ kind, text, number }) => [kind, text, number])).toEqual([
    ["same", "a", 3],
    ["removed", "b", 4],
    ["added", "c", 4],
    ["added", "d", 5],
    ["same", "e", 6],
    ["gap", "", undefined],
    ["removed", "z", 90],
  ]);
});
