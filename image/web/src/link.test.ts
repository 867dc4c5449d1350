import { expect, test } from "vitest";
import { isWebLink, workspacePath } from "./link";

test("only web addresses are links", () => {
  expect(["https://a.example", "http://a.example", "HTTPS://A.EXAMPLE/x?y#z"].every(isWebLink)).toBe(true);
});

test.each([
  "javascript:alert(1)",
  " javascript:1",
  "java\nscript:1",
  "data:text/html,x",
  "file:///etc/passwd",
  "vscode://x",
  "//a.example",
  "nonsense",
  "",
])("%j is no link", (address) => expect(isWebLink(address)).toBe(false));

test.each([
  ["notes.md", "notes.md"],
  ["./a/b.py:12", "a/b.py"],
  ["a/b.py:12:3", "a/b.py"],
  ["a/../b.md#part", "b.md"],
  ["a%20b.md", "a b.md"],
  ["/data/workspace/a/b.md", "a/b.md"],
  ["file:///data/workspace/a.md", "a.md"],
  ["ملف/صورة.png", "ملف/صورة.png"],
  ["../out.md", null],
  ["/etc/passwd", null],
  ["/data/workspace-of-another/a", null],
  ["/data/workspace/../secret", null],
  ["//evil.example/a", null],
  ["https://evil.example/a", null],
  ["javascript:alert(1)", null],
  ["java%73cript:alert(1)", null],
  ["java&#115;cript:alert(1)", null],
  ["mailto:a@b.example", null],
  ["#part", null],
  ["", null],
])("in the workspace %j is %j", (address, path) => expect(workspacePath(address, "/data/workspace")).toBe(path));

test("a text's links begin where it is", () => {
  expect([workspacePath("b.md", "/w", "a"), workspacePath("../b.md", "/w", "a")]).toEqual(["a/b.md", "b.md"]);
});
