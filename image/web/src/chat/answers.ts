// What she picked on a question's card.

import type { Question } from "../protocol";

export interface Picked {
  labels: readonly string[];
  /** Her own words. */
  other: string;
}

export const noAnswer: Picked = { labels: [], other: "" };

export function picked(question: Question, given: Picked, label: string): Picked {
  if (!question.multiSelect) return { labels: [label], other: "" };
  const isOff = given.labels.includes(label);
  return { ...given, labels: isOff ? given.labels.filter((one) => one !== label) : [...given.labels, label] };
}

/** Her own words take the place of the one label; among many they are one more. */
export function withOther(question: Question, given: Picked, other: string): Picked {
  return { labels: question.multiSelect || !other ? given.labels : [], other };
}

/** The answer as Claude reads it, in the order of the options; "" where there is none. */
export function answerTo(question: Question, { labels, other }: Picked): string {
  const chosen = question.options.map((option) => option.label).filter((label) => labels.includes(label));
  return [...chosen, other.trim()].filter(Boolean).join(", ");
}
