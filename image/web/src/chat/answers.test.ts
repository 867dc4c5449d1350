import { expect, test } from "vitest";
import type { Question } from "../protocol";
import { answerTo, noAnswer, picked, withOther } from "./answers";

const options = ["red, dark", "blue"].map((label) => ({ label, description: "" }));
const one: Question = { question: "?", header: "", multiSelect: false, options };
const many: Question = { ...one, multiSelect: true };

test("of one, the last pick counts", () => {
  expect(answerTo(one, picked(one, picked(one, noAnswer, "blue"), "red, dark"))).toBe("red, dark");
});

test("of many, picks are joined in the order of the options, and can be taken back", () => {
  const both = picked(many, picked(many, noAnswer, "blue"), "red, dark");
  expect(answerTo(many, both)).toBe("red, dark, blue");
  expect(answerTo(many, picked(many, both, "red, dark"))).toBe("blue");
});

test("her own words take the place of the one, and join the many", () => {
  expect(answerTo(one, withOther(one, picked(one, noAnswer, "blue"), " green "))).toBe("green");
  expect(answerTo(many, withOther(many, picked(many, noAnswer, "blue"), "green"))).toBe("blue, green");
});

test("nothing is no answer", () => {
  expect(answerTo(one, withOther(one, noAnswer, "  "))).toBe("");
});
