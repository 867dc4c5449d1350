// Cards on which Claude waits: for a permission, for an answer, for a plan to be approved.

import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { live } from "../live";
import { Icon, type IconName } from "../parts/icon";
import type { Answer, AskItem, Question } from "../protocol";
import { answerTo, noAnswer, type Picked, picked, withOther } from "./answers";
import { answered, reply } from "./chat";
import { composerIsEmpty, focusComposer } from "./composer";
import { Markdown, Rich } from "./markdown";
import { Settled } from "./settled";
import { ToolInput } from "./tool";

export function Ask({ item }: { item: AskItem }) {
  if (item.state !== "open") return <Settled item={item} />;
  if (item.ask === "question") return <Questions item={item} />;
  return <Permission item={item} />;
}

/** Has the focus when it appears, unless she is writing; no key can answer it by accident. */
function Card({ item, icon, children }: { item: AskItem; icon: IconName; children: ComponentChildren }) {
  const card = useRef<HTMLElement>(null);
  useEffect(() => {
    if (composerIsEmpty()) card.current?.focus({ preventScroll: true });
  }, []);
  return (
    <section class={`item card ask ${item.ask}`} aria-label={item.title} tabIndex={-1} ref={card} data-role="ask">
      <header>
        <Icon name={icon} />
        <h2 dir="auto">
          <Rich text={item.title} />
        </h2>
      </header>
      {item.reason && <p dir="auto">{item.reason}</p>}
      {children}
      {answered.value.has(item.id) && live.state.value !== "open" && (
        <small class="message-note" role="status">
          Your answer is kept, and sent once you are connected again
        </small>
      )}
    </section>
  );
}

/** Answers once; the card stays as it is until the server says what holds. */
function useReply(item: AskItem): [isSent: boolean, send: (answer: Answer) => void] {
  return [
    answered.value.has(item.id),
    (answer) => {
      reply(item.id, answer);
      focusComposer();
    },
  ];
}

function Permission({ item }: { item: AskItem }) {
  const [refusing, setRefusing] = useState(false);
  const [isSent, send] = useReply(item);
  const isPlan = item.ask === "plan";
  const plan = typeof item.input.plan === "string" ? item.input.plan : "";
  return (
    <Card item={item} icon={isPlan ? "list" : "shield"}>
      {isPlan ? <Markdown text={plan} /> : <ToolInput name={item.tool} input={item.input} />}
      {refusing ? (
        <Refusal isPlan={isPlan} isSent={isSent} send={send} back={() => setRefusing(false)} />
      ) : (
        <div class="actions">
          <button type="button" class="primary" disabled={isSent} onClick={() => send({ decision: "allow" })}>
            {isPlan ? "Go ahead" : "Allow once"}
          </button>
          {item.can_always && !isPlan && (
            <button type="button" disabled={isSent} onClick={() => send({ decision: "always" })}>
              Always allow
            </button>
          )}
          <button type="button" class="plain" disabled={isSent} onClick={() => setRefusing(true)}>
            {isPlan ? "Change the plan" : "Don’t allow"}
          </button>
        </div>
      )}
    </Card>
  );
}

interface RefusalProps {
  isPlan: boolean;
  isSent: boolean;
  send: (answer: Answer) => void;
  back: () => void;
}

function Refusal({ isPlan, isSent, send, back }: RefusalProps) {
  const [words, setWords] = useState("");
  const field = useRef<HTMLInputElement>(null);
  useLayoutEffect(() => field.current?.focus(), []);
  const asks = isPlan ? "What should be different?" : "What should Claude do instead?";
  return (
    <form
      class="refusal"
      onSubmit={(event) => {
        event.preventDefault();
        send({ decision: "deny", message: words.trim() });
      }}
    >
      <input
        aria-label={asks}
        placeholder={isPlan ? asks : `${asks} (optional)`}
        dir="auto"
        value={words}
        ref={field}
        onInput={(event) => setWords(event.currentTarget.value)}
      />
      <div class="actions">
        <button type="submit" class="primary" disabled={isSent}>
          {isPlan ? "Send back" : "Don’t allow"}
        </button>
        <button type="button" class="plain" disabled={isSent} onClick={back}>
          Back
        </button>
      </div>
    </form>
  );
}

function Questions({ item }: { item: AskItem }) {
  const questions = Array.isArray(item.input.questions) ? (item.input.questions as Question[]) : [];
  const [given, setGiven] = useState<Record<string, Picked>>({});
  const [isSent, send] = useReply(item);
  const of = (question: Question) => given[question.question] ?? noAnswer;
  const answers = Object.fromEntries(questions.map((one) => [one.question, answerTo(one, of(one))]));
  const isComplete = Object.values(answers).every(Boolean);
  return (
    <Card item={item} icon="question">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (isComplete) send({ decision: "allow", answers });
        }}
      >
        {questions.map((question) => (
          <OneQuestion
            key={question.question}
            question={question}
            given={of(question)}
            change={(next) => setGiven({ ...given, [question.question]: next })}
          />
        ))}
        <div class="actions">
          <button type="submit" class="primary" disabled={!isComplete || isSent}>
            Answer
          </button>
          <button
            type="button"
            class="plain"
            disabled={isSent}
            onClick={() => send({ decision: "deny", message: "I would rather not answer this. Decide yourself." })}
          >
            Let Claude decide
          </button>
        </div>
      </form>
    </Card>
  );
}

interface OneQuestionProps {
  question: Question;
  given: Picked;
  change: (given: Picked) => void;
}

function OneQuestion({ question, given, change }: OneQuestionProps) {
  return (
    <fieldset>
      <legend dir="auto">{question.question}</legend>
      {question.options.map((option) => (
        <label class="option" key={option.label}>
          <input
            type={question.multiSelect ? "checkbox" : "radio"}
            name={question.question}
            checked={given.labels.includes(option.label)}
            onChange={() => change(picked(question, given, option.label))}
          />
          <span dir="auto">
            <strong>{option.label}</strong>
            {option.description && <small>{option.description}</small>}
          </span>
        </label>
      ))}
      <input
        class="other"
        dir="auto"
        aria-label={`Another answer to: ${question.question}`}
        placeholder="Something else …"
        value={given.other}
        onInput={(event) => change(withOther(question, given, event.currentTarget.value))}
      />
    </fieldset>
  );
}
