import { Icon } from "../parts/icon";
import type { AskItem } from "../protocol";
import { Markdown, Rich } from "./markdown";

const OUTCOMES = {
  open: "",
  allowed: "You allowed it.",
  always: "You allowed it, and from now on without asking.",
  denied: "You said no.",
  answered: "",
  cancelled: "No longer needed.",
} as const;

/** What she decided, with her words. */
function outcome({ state, answer }: AskItem): string {
  const words = state === "denied" && typeof answer === "string" ? answer : "";
  return words ? `You said no: “${words}”` : OUTCOMES[state];
}

/** A card that was answered: one line. */
export function Settled({ item }: { item: AskItem }) {
  const answers = item.state === "answered" && isRecord(item.answer) ? Object.entries(item.answer) : [];
  const isYes = item.state === "allowed" || item.state === "always" || item.state === "answered";
  return (
    <div class="item settled">
      <Icon name={isYes ? "check" : "close"} />
      <div dir="auto">
        {answers.length === 0 && (
          <p>
            <Rich text={item.title} /> <strong>{outcome(item)}</strong>
          </p>
        )}
        {answers.map(([question, answer]) => (
          <p key={question}>
            {question} <strong>{String(answer)}</strong>
          </p>
        ))}
        {item.ask === "plan" && typeof item.input.plan === "string" && (
          <details>
            <summary>Show the plan</summary>
            <Markdown text={item.input.plan} />
          </details>
        )}
      </div>
    </div>
  );
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null;
