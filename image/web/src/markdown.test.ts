// @vitest-environment jsdom
import { expect, test } from "vitest";
import { blocks, isWebLink, toHtml } from "./markdown";

const HOSTILE = [
  "<script>alert(1)</script>",
  '<img src=x onerror="alert(1)">',
  "[x](javascript:alert(1))",
  "[x](JaVaScRiPt:alert(1))",
  "[x](data:text/html,<script>alert(1)</script>)",
  '<a href="https://ok.example" onclick="alert(1)">x</a>',
  '<iframe src="https://evil.example"></iframe>',
  '<svg onload="alert(1)"></svg>',
  '<form action="https://evil.example"><button>x</button></form>',
  '<p style="position:fixed">x</p>',
  "<math><mtext><script>alert(1)</script></mtext></math>",
];

test.each(HOSTILE)("nothing of %s can run or cover the page", (markdown) => {
  expect(toHtml(markdown)).not.toMatch(/<script|onerror|onclick|onload|javascript:|data:|<iframe|<svg|<form|style=/i);
});

test("no picture is fetched from elsewhere: its address could carry data out", () => {
  expect(toHtml("![x](https://evil.example/?q=secret)")).not.toContain("evil.example");
});

test("links lead to the web, in a tab that knows nothing of this one", () => {
  expect(toHtml("[x](https://ok.example)")).toBe(
    '<p><a href="https://ok.example" target="_blank" rel="noopener noreferrer">x</a></p>\n',
  );
});

test("only web addresses are links", () => {
  expect(["https://a.example", "http://a.example"].every(isWebLink)).toBe(true);
  expect(["javascript:1", "file:///etc/passwd", "vscode://x", "nonsense", ""].some(isWebLink)).toBe(false);
});

test("blocks put together are the whole text", () => {
  const text = "# One\n\ntwo\n\n```py\nthree\n\nfour\n```\n\n- five\n- six\n";
  expect(blocks(text).join("")).toBe(text);
});
