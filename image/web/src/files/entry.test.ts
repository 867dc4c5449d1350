import { describe, expect, test } from "vitest";
import { address, beside, faultOf, hasSource, joined, languageOf, lookOf, nameOf, parentOf, trail } from "./entry";

describe("what a name tells", () => {
  test.each([
    ["Photo.JPG", "picture"],
    ["a.pdf", "pdf"],
    ["budget.xlsx", "table"],
    ["notes.md", "markdown"],
    ["page.html", "page"],
    ["Makefile", "text"],
  ])("%s is shown as %s", (name, look) => expect(lookOf(name)).toBe(look));

  test("the source of what is drawn can be seen too", () => {
    expect(["a.md", "a.html", "a.csv", "a.svg", "a.png", "a.xlsx", "a.py"].filter(hasSource)).toEqual([
      "a.md",
      "a.html",
      "a.csv",
      "a.svg",
    ]);
  });

  test("a language is known by its ending", () => {
    expect([languageOf("a.py"), languageOf("A.TSX"), languageOf("Makefile")]).toEqual(["python", "typescript", ""]);
  });
});

describe("paths", () => {
  test("are taken apart and put together", () => {
    expect([parentOf("a/b/c"), parentOf("a"), nameOf("a/b/c"), joined("", "x"), joined("a", "x")]).toEqual([
      "a/b",
      "",
      "c",
      "x",
      "a/x",
    ]);
    expect(trail("a/b")).toEqual([
      ["a", "a"],
      ["b", "a/b"],
    ]);
    expect(trail("")).toEqual([]);
  });

  test("stand in an address whole, whatever is in them", () => {
    const path = "ä b/&?#%/<x>";
    const found = new URL(address("download", path), "http://x").searchParams.get("path");
    expect(found).toBe(path);
  });

  test.each(["", ".", "..", "a/b", "x".repeat(256)])("%j is no name", (name) => expect(faultOf(name)).not.toBe(""));
  test("other names are", () => expect(faultOf("Größe (2).txt")).toBe(""));
});

test.each([
  ["notes.md", "notes (mine).md"],
  ["a/b/Makefile", "a/b/Makefile (mine)"],
  ["a/.env", "a/.env (mine)"],
])("a copy of %s stands beside it as %s", (path, copy) => expect(beside(path)).toBe(copy));
