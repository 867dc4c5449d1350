// @vitest-environment jsdom
import { expect, test } from "vitest";
import { spent } from "./actions";

const nothing = { turns: 1, input_tokens: 0, output_tokens: 0, cost_usd: null };

test.each([
  [nothing, "1 question"],
  [{ ...nothing, turns: 3, input_tokens: 1200, output_tokens: 340 }, "3 questions · 1,540 tokens"],
  [{ ...nothing, cost_usd: 0.0003 }, "1 question · under $0.01"],
  [{ ...nothing, cost_usd: 1.234 }, "1 question · $1.23"],
])("%o", (usage, words) => {
  expect(spent(usage)).toBe(words);
});
