import { expect, test } from "vitest";
import { indentOf } from "./indent";

test("a file goes on as it was indented", () => {
  expect(indentOf("a:\n  b: 1\n      c: 2")).toBe("  ");
  expect(indentOf("all:\n\techo")).toBe("\t");
  expect(indentOf("def f():\n    return")).toBe("    ");
});

test("where nothing is indented yet it is four spaces", () => {
  for (const text of ["", "one\ntwo", "   \n", " x"]) expect(indentOf(text)).toBe("    ");
});
