import { expect, test } from "vitest";
import { marked } from "./marked";

test.each([
  ["The red house", "red", ["The ", "red", " house"]],
  ["Red and RED", "red", ["", "Red", " and ", "RED", ""]],
  ["a red house", "house red", ["a ", "red", " ", "house", ""]],
  ["reddish", "red reddish", ["", "reddish", ""]],
  ["what? (a+b)", "? (a+b)", ["what", "?", " ", "(a+b)", ""]],
  ["שלום עולם", "עולם", ["שלום ", "עולם", ""]],
  ["nothing", " ", ["nothing"]],
  ["a/b-c", "b-c", ["a/", "b-c", ""]],
])("%j searched for %j", (text, words, parts) => expect(marked(text, words)).toEqual(parts));
