import { expect, test } from "vitest";
import { keyOf } from "./key";

const KEY = "Zm9vYmFyYmF6cXV4Zm9vYg-_";

test.each([
  `https://a.example/#key=${KEY}`,
  ` https://a.example/#key=${KEY}\n`,
  `<https://a.example/#key=${KEY}>`,
  `a.example/#key=${KEY}`,
  `#key=${KEY}`,
  KEY,
])("a link or a key is understood: %s", (pasted) => {
  expect(keyOf(pasted, "a.example")).toEqual({ key: KEY });
});

test("a link of another workspace is told apart", () => {
  expect(keyOf(`https://b.example/#key=${KEY}`, "a.example")).toEqual({ elsewhere: "b.example" });
});

test.each(["", "hello", "https://a.example/", "#key=", `#key=${"x".repeat(300)}`, "#key=<script>alert(1)</script>"])(
  "anything else is not: %s",
  (pasted) => {
    expect(keyOf(pasted, "a.example")).toBeNull();
  },
);
