import { expect, test } from "vitest";
import { isWebLink } from "./link";

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
