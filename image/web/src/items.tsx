import { useState } from "preact/hooks";
import { Icon } from "./icons";
import { Prose } from "./prose";
import type { AskItem, EndItem, Item, NoticeItem, Question, ToolItem } from "./protocol";
import { go, reply, say, settings } from "./store";

export function ItemView({ item }: { item: Item }) {
  switch (item.kind) {
    case "user":
      return (
        <article class="item user" data-role="user" dir="auto">
          <p>{item.text}</p>
          {item.queued && <small>Waiting for Claude to finish</small>}
        </article>
      );
    case "assistant":
      return (
        <article class="item assistant" data-role="assistant" aria-busy={!item.done}>
          <Prose text={item.text} />
        </article>
      );
    case "thinking":
      return (
        <details class="item thinking">
          <summary>{item.done ? "Thought about it" : "Thinking …"}</summary>
          <p dir="auto">{item.text}</p>
        </details>
      );
    case "tool":
      return <Tool item={item} />;
    case "ask":
      return <Ask item={item} />;
    case "notice":
      return <Notice item={item} />;
    case "end":
      return <End item={item} />;
  }
}

const STATUS = { running: "Working", done: "Done", failed: "Failed", denied: "Not allowed" } as const;

function Tool({ item }: { item: ToolItem }) {
  const open = settings.value.detail === "detailed" || item.status === "failed";
  return (
    <details class={`item tool ${item.status}`} open={open} data-nested={item.parent ? "" : undefined}>
      <summary>
        <span class="tool-dot" aria-hidden="true" />
        <span class="tool-title">{item.title || item.name}</span>
        <span class="tool-status">{STATUS[item.status]}</span>
      </summary>
      <div class="tool-body">
        <ToolInput item={item} />
        {item.output && <pre class="output">{item.output}</pre>}
      </div>
    </details>
  );
}

function ToolInput({ item }: { item: ToolItem }) {
  const { input } = item;
  if (typeof input.command === "string") return <pre class="command">{input.command}</pre>;
  if (typeof input.old_string === "string" && typeof input.new_string === "string")
    return <Diff before={input.old_string} after={input.new_string} />;
  if (typeof input.content === "string") return <pre>{input.content}</pre>;
  return Object.keys(input).length ? <pre>{JSON.stringify(input, null, 2)}</pre> : null;
}

function Diff({ before, after }: { before: string; after: string }) {
  return (
    <pre class="diff">
      {before && <del>{before}</del>}
      {after && <ins>{after}</ins>}
    </pre>
  );
}

const ANSWERED = {
  open: "",
  allowed: "You allowed this.",
  always: "You allowed this, from now on without asking.",
  denied: "You did not allow this.",
  answered: "You answered.",
  cancelled: "No longer needed.",
} as const;

function Ask({ item }: { item: AskItem }) {
  if (item.state !== "open")
    return (
      <p class="item settled">
        <strong>{item.title}</strong> {ANSWERED[item.state]}
      </p>
    );
  if (item.ask === "question") return <Questions item={item} />;
  return <Permission item={item} />;
}

function Permission({ item }: { item: AskItem }) {
  const [words, setWords] = useState<string | null>(null);
  const isPlan = item.ask === "plan";
  const plan = typeof item.input.plan === "string" ? item.input.plan : "";
  return (
    <section class="item card ask" aria-label={item.title}>
      <h3>{item.title}</h3>
      {item.reason && <p>{item.reason}</p>}
      {plan ? (
        <Prose text={plan} />
      ) : (
        <ToolInput item={{ ...item, kind: "tool", name: item.tool, status: "running", output: "", parent: null }} />
      )}
      {words === null ? (
        <div class="actions">
          <button type="button" class="primary" onClick={() => reply(item.id, { decision: "allow" })}>
            {isPlan ? "Go ahead" : "Allow once"}
          </button>
          {item.can_always && !isPlan && (
            <button type="button" onClick={() => reply(item.id, { decision: "always" })}>
              Always allow
            </button>
          )}
          <button type="button" onClick={() => setWords("")}>
            {isPlan ? "Change the plan" : "Don’t allow"}
          </button>
        </div>
      ) : (
        <form
          class="actions"
          onSubmit={(event) => {
            event.preventDefault();
            reply(item.id, { decision: "deny", message: words });
          }}
        >
          <input
            aria-label="What should Claude do instead?"
            placeholder="What should Claude do instead? (optional)"
            value={words}
            ref={(element) => element?.focus()}
            onInput={(event) => setWords(event.currentTarget.value)}
          />
          <button type="submit" class="primary">
            Tell Claude
          </button>
        </form>
      )}
    </section>
  );
}

function Questions({ item }: { item: AskItem }) {
  const questions = (item.input.questions ?? []) as Question[];
  const [answers, setAnswers] = useState<Record<string, string>>({});
  const pick = (question: Question, label: string) => {
    const before = answers[question.question]?.split(", ").filter(Boolean) ?? [];
    const many = before.includes(label) ? before.filter((one) => one !== label) : [...before, label];
    setAnswers({ ...answers, [question.question]: question.multiSelect ? many.join(", ") : label });
  };
  const complete = questions.every((question) => answers[question.question]);
  return (
    <section class="item card ask" aria-label={item.title}>
      {questions.map((question) => (
        <fieldset key={question.question}>
          <legend>{question.question}</legend>
          {question.options.map((option) => {
            const picked = (answers[question.question] ?? "").split(", ").includes(option.label);
            return (
              <button
                type="button"
                class="option"
                key={option.label}
                aria-pressed={picked}
                onClick={() => pick(question, option.label)}
              >
                <strong>{option.label}</strong>
                {option.description && <small>{option.description}</small>}
              </button>
            );
          })}
          <input
            aria-label={`Another answer to: ${question.question}`}
            placeholder="Something else …"
            onInput={(event) => setAnswers({ ...answers, [question.question]: event.currentTarget.value })}
          />
        </fieldset>
      ))}
      <div class="actions">
        <button
          type="button"
          class="primary"
          disabled={!complete}
          onClick={() => reply(item.id, { decision: "allow", answers })}
        >
          Answer
        </button>
      </div>
    </section>
  );
}

function Notice({ item }: { item: NoticeItem }) {
  if (item.resolved) return null;
  const login = item.code === "not_connected" || item.code === "login_expired";
  return (
    <section class={`item card notice ${item.code}`} role="note">
      <p>{item.text}</p>
      {login && (
        <div class="actions">
          <button type="button" class="primary" onClick={() => go("/settings/authentication")}>
            Open the terminal to connect
          </button>
        </div>
      )}
    </section>
  );
}

function End({ item }: { item: EndItem }) {
  if (item.outcome === "completed")
    return settings.value.detail === "detailed" && item.cost_usd !== null ? (
      <p class="end">${item.cost_usd.toFixed(3)}</p>
    ) : null;
  const words = {
    stopped: "You stopped Claude.",
    failed: "This answer ended early.",
    lost: "This answer was cut off.",
  }[item.outcome];
  return (
    <p class="item end">
      <span>{words}</span>
      {item.outcome === "lost" && (
        <button type="button" class="quiet" onClick={() => say("Please continue.")}>
          <Icon name="chevron" /> Continue
        </button>
      )}
    </p>
  );
}
