// What a tool was given and what it brought, for each kind of tool in its own way.

import type { ComponentChildren } from "preact";
import { CopyButton } from "../parts/copy";
import { current, linkTo } from "../place";
import type { Todo, ToolItem } from "../protocol";
import { boot } from "../workspace";
import { diff, fromPatch, type Line } from "./diff";
import { Markdown, OutsideLink } from "./markdown";

type Input = Record<string, unknown>;

export function ToolBody({ item, children }: { item: ToolItem; children?: ComponentChildren }) {
  if (item.todos)
    return (
      <div class="tool-body">
        <Todos todos={item.todos} />
      </div>
    );
  return (
    <div class="tool-body">
      {item.patch?.length ? (
        <Patch path={text(item.input, "file_path")} lines={fromPatch(item.patch)} isThere />
      ) : (
        <ToolInput name={item.name} input={item.input} isStep isDone={item.status === "done"} />
      )}
      {children}
      <Output item={item} />
      <Pictures item={item} />
    </div>
  );
}

const text = (input: Input, name: string) => (typeof input[name] === "string" ? input[name] : "");

interface ToolInputProps {
  name: string;
  input: Input;
  /** What a command is for is a step's title already. */
  isStep?: boolean;
  /** A file that is still to be written may not be there yet: only what is done leads to it. */
  isDone?: boolean;
}

export function ToolInput({ name, input, isStep = false, isDone = false }: ToolInputProps) {
  switch (name) {
    case "Bash":
      return <Command command={text(input, "command")} about={isStep ? "" : text(input, "description")} />;
    case "Edit":
    case "MultiEdit":
      return <Edits input={input} />;
    case "Write":
      return <Change path={text(input, "file_path")} before="" after={text(input, "content")} isThere={isDone} />;
    case "NotebookEdit":
      return <Change path={text(input, "notebook_path")} before="" after={text(input, "new_source")} isThere />;
    case "Read":
      return <Path path={text(input, "file_path")} isThere />;
    case "WebFetch":
      return (
        <p class="tool-line">
          <OutsideLink address={text(input, "url")}>{text(input, "url")}</OutsideLink>
        </p>
      );
    case "Task":
    case "Agent":
      return text(input, "prompt") ? <Markdown text={text(input, "prompt")} /> : null;
    default:
      return <Fields input={input} />;
  }
}

function Command({ command, about }: { command: string; about: string }) {
  return (
    <>
      {about && (
        <p class="tool-line" dir="auto">
          {about}
        </p>
      )}
      <Plain text={command} kind="command" />
    </>
  );
}

/** Text as it is, which can be copied. */
function Plain({ text: shown, kind }: { text: string; kind: "command" | "output" }) {
  return (
    <div class={`plain-text ${kind}`}>
      <pre dir="ltr" tabIndex={0}>
        {shown}
      </pre>
      <CopyButton text={() => shown} label={kind === "command" ? "Copy command" : "Copy output"} />
    </div>
  );
}

function Edits({ input }: { input: Input }) {
  const edits = Array.isArray(input.edits) ? (input.edits as Input[]) : [input];
  return (
    <>
      {edits.map((edit, index) => (
        <Change
          key={index}
          path={index === 0 ? text(input, "file_path") : ""}
          before={text(edit, "old_string")}
          after={text(edit, "new_string")}
          isThere
        />
      ))}
    </>
  );
}

const SIGNS = { same: " ", added: "+", removed: "−", gap: "⋯" } as const;

interface FileProps {
  path: string;
  isThere: boolean;
}

const Change = ({ before, after, ...file }: FileProps & { before: string; after: string }) => (
  <Patch {...file} lines={diff(before, after)} />
);

function Patch({ path, lines, isThere }: FileProps & { lines: readonly Line[] }) {
  return (
    <>
      <Path path={path} isThere={isThere} />
      <pre class="diff" dir="ltr" tabIndex={0} aria-label={path ? `Changes in ${path}` : "Changes"}>
        {lines.map((line, index) => (
          <span key={index} class={line.kind}>
            {line.number !== undefined && <span class="diff-number">{line.number}</span>}
            <span class="diff-sign">{SIGNS[line.kind]}</span>
            {`${line.text}\n`}
          </span>
        ))}
      </pre>
    </>
  );
}

/** A file of the workspace opens where files are. */
function Path({ path, isThere }: FileProps) {
  const root = `${boot.value?.workspace ?? ""}/`;
  if (!path) return null;
  if (root === "/" || !path.startsWith(root)) return <p class="tool-path">{path}</p>;
  const inside = path.slice(root.length);
  return <p class="tool-path">{isThere ? <a {...linkTo({ page: "files", path: inside })}>{inside}</a> : inside}</p>;
}

const BOXES = {
  pending: { look: "box", label: "To do" },
  in_progress: { look: "box begun", label: "Being done" },
  completed: { look: "box checked", label: "Done" },
} as const;

/** Claude's plan, step by step. */
export const Todos = ({ todos }: { todos: readonly Todo[] }) => (
  <ul class="todos">
    {todos.map((todo, index) => {
      const { look, label } = BOXES[todo.status] ?? BOXES.pending;
      return (
        <li key={index} class={todo.status} dir="auto">
          <span class={look} role="img" aria-label={label} />
          {todo.text}
        </li>
      );
    })}
  </ul>
);

function Fields({ input }: { input: Input }) {
  const fields = Object.entries(input);
  if (!fields.length) return null;
  return (
    <dl class="fields">
      {fields.map(([name, value]) => (
        <div key={name}>
          <dt>{name.replaceAll("_", " ")}</dt>
          <dd dir="auto">{typeof value === "string" ? value : JSON.stringify(value, null, 2)}</dd>
        </div>
      ))}
    </dl>
  );
}
const COLOURS = /\u001b\[[\d;?]*[A-Za-z]|\u001b\][^\u0007\u001b]*(?:\u0007|\u001b\\)/g;
/** Tools whose success says nothing that their input has not said, or speaks to Claude alone. */
const MUTE = new Set(["Edit", "MultiEdit", "Write", "NotebookEdit", "EnterPlanMode"]);

function Output({ item }: { item: ToolItem }) {
  if (!item.output || (MUTE.has(item.name) && item.status === "done")) return null;
  if (item.name === "Task" || item.name === "Agent") return <Markdown text={item.output} />;
  return <Plain text={item.output.replace(COLOURS, "")} kind="output" />;
}

/** What it brought to look at: small, and whole in a tab of its own. */
function Pictures({ item }: { item: ToolItem }) {
  if (!item.pictures?.length || !current.value) return null;
  const folder = `/api/conversations/${current.value}/pictures/`;
  return (
    <ul class="attachments pictures" aria-label="Pictures">
      {item.pictures.map(({ id }, index) => (
        <li key={id}>
          <a href={folder + encodeURIComponent(id)} target="_blank" rel="noopener">
            <img src={folder + encodeURIComponent(id)} alt={`Picture ${index + 1}`} loading="lazy" />
          </a>
        </li>
      ))}
    </ul>
  );
}
