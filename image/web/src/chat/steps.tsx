import { useState } from "preact/hooks";
import { Icon, type IconName } from "../parts/icon";
import type { ThinkingItem, ToolItem } from "../protocol";
import { settings } from "../workspace";
import { plan, timeline } from "./chat";
import { Rich } from "./markdown";
import { brief, gist, now, type Step } from "./passages";
import { Settled } from "./settled";
import { Todos, ToolBody } from "./tool";

/** What Claude does between what it says; its plan stays in sight where it has changed last. */
export function Steps({ steps }: { steps: Step[] }) {
  const { step, todos = [] } = plan.value ?? {};
  return (
    <>
      <Deeds steps={steps} />
      {steps.some(({ item }) => item.id === step) && (
        <section class="item card plan-now" aria-label="Claude’s steps">
          <p>{`${todos.filter(({ status }) => status === "completed").length} of ${todos.length} steps done`}</p>
          <Todos todos={todos} />
        </section>
      )}
    </>
  );
}

/** One line, which opens. */
function Deeds({ steps: all }: { steps: Step[] }) {
  const isDetailed = settings.value.detail === "detailed";
  const steps = isDetailed ? all : brief(all);
  const [first] = steps;
  if (isDetailed || steps.length === 1)
    return (
      <div class="item steps">
        {steps.map((step) => (
          <OneStep key={step.item.id} step={step} />
        ))}
      </div>
    );
  const doing = now(steps);
  const failed = steps.some(({ item }) => item.kind === "tool" && item.status === "failed");
  return (
    <Fold
      key={first?.item.id}
      class="item steps gathered"
      icon={<Sign name="list" isBusy={Boolean(doing)} />}
      title={doing || gist(steps)}
      note={doing || !failed ? `${steps.length} steps` : `${steps.length} steps, one had trouble`}
    >
      {() => steps.map((step) => <OneStep key={step.item.id} step={step} />)}
    </Fold>
  );
}

function OneStep({ step }: { step: Step }) {
  const { item, inner } = step;
  if (item.kind === "ask") return <Settled item={item} />;
  return item.kind === "thinking" ? <Thinking item={item} /> : <Tool item={item} inner={inner} />;
}

function Thinking({ item }: { item: ThinkingItem }) {
  return (
    <Fold
      class="step thinking"
      icon={<Sign name="thought" isBusy={!item.done} />}
      title={item.done ? "Thought about it" : "Thinking …"}
    >
      {() => (
        <p class="thoughts" dir="auto">
          {item.text}
        </p>
      )}
    </Fold>
  );
}

const NOTES = { running: "", done: "", failed: "did not work", denied: "not allowed" } as const;
const SIGNS: ReadonlyMap<string, IconName> = new Map([
  ["Bash", "terminal"],
  ["Read", "file"],
  ["Write", "file"],
  ["Edit", "pencil"],
  ["MultiEdit", "pencil"],
  ["NotebookEdit", "pencil"],
  ["Grep", "search"],
  ["Glob", "search"],
  ["LS", "search"],
  ["WebFetch", "globe"],
  ["WebSearch", "globe"],
  ["Task", "people"],
  ["Agent", "people"],
  ["TodoWrite", "list"],
  ["TaskCreate", "list"],
  ["TaskUpdate", "list"],
  ["TaskList", "list"],
  ["TaskGet", "list"],
]);

function Tool({ item, inner }: { item: ToolItem; inner: Step[] }) {
  const isDetailed = settings.value.detail === "detailed";
  return (
    <Fold
      key={String(isDetailed)}
      class={`step tool ${item.status}`}
      icon={<Sign name={SIGNS.get(item.name) ?? "spark"} isBusy={item.status === "running"} />}
      title={item.title || item.name}
      note={NOTES[item.status]}
      isOpen={isDetailed && !inner.length}
    >
      {() => (
        <ToolBody item={item}>
          {inner.length > 0 && (
            <div class="inner">
              {inner.map((step) => (
                <OneStep key={step.item.id} step={step} />
              ))}
            </div>
          )}
        </ToolBody>
      )}
    </Fold>
  );
}

function Sign({ name, isBusy }: { name: IconName; isBusy: boolean }) {
  return isBusy && timeline.value.turn !== "waiting" ? (
    <span class="spinner" role="img" aria-label="Working" />
  ) : (
    <Icon name={name} />
  );
}

interface FoldProps {
  class: string;
  icon: preact.ComponentChildren;
  title: string;
  note?: string;
  isOpen?: boolean;
  children: () => preact.ComponentChildren;
}

/** A line that opens; what is inside is made only then. */
function Fold({ class: name, icon, title, note, isOpen = false, children }: FoldProps) {
  const [open, setOpen] = useState(isOpen);
  return (
    <details class={name} open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>
        {icon}
        <span class="fold-title" dir="auto">
          <Rich text={title} />
        </span>
        {note && <span class="fold-note">{note}</span>}
        <Icon name="chevron" />
      </summary>
      <div class="fold-body">{open && children()}</div>
    </details>
  );
}
