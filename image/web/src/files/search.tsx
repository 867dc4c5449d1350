// Names and words, found anywhere in the workspace.

import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { ask, Refusal } from "../http";
import { Icon } from "../parts/icon";
import { pathOf, toFiles } from "../place";
import { type Match, parentOf } from "./entry";
import { iconOf } from "./list";

const TYPING_MS = 250;

export const query = signal("");
const found = signal<{ matches: readonly Match[]; more: boolean } | null>(null);
const fault = signal("");

export function SearchField() {
  return (
    <label class="search files-search">
      <Icon name="search" />
      <input
        type="search"
        placeholder="Search"
        aria-label="Search files"
        value={query.value}
        onInput={(event) => {
          query.value = event.currentTarget.value;
        }}
        onKeyDown={(event) => {
          if (event.key === "Escape") query.value = "";
        }}
      />
    </label>
  );
}

export function Found() {
  const latest = useRef(0);
  const words = query.value.trim();
  useEffect(() => {
    const mine = ++latest.current;
    const timer = setTimeout(() => {
      ask<{ matches: Match[]; more: boolean }>("GET", `/api/files/search?${new URLSearchParams({ q: words })}`).then(
        (answer) => {
          if (mine !== latest.current) return;
          fault.value = "";
          found.value = answer;
        },
        (error: unknown) => {
          if (!(error instanceof Refusal)) throw error;
          if (mine === latest.current) fault.value = error.message;
        },
      );
    }, TYPING_MS);
    return () => clearTimeout(timer);
  }, [words]);
  useEffect(
    () => () => {
      found.value = null;
      fault.value = "";
    },
    [],
  );
  if (fault.value) return <p class="nothing">{fault.value}</p>;
  if (!found.value)
    return (
      <p class="nothing" aria-busy="true">
        <span class="spinner" aria-hidden="true" />
      </p>
    );
  const { matches, more } = found.value;
  return (
    <>
      <p class="unseen" role="status">
        {matches.length} found
      </p>
      {matches.length === 0 && <p class="nothing">Nothing found for “{words}”.</p>}
      <ul class="entries found">
        {matches.map((match) => (
          <li key={match.path} class="entry">
            <a
              class="entry-name"
              href={pathOf({ page: "files", path: match.path })}
              onClick={(event) => {
                event.preventDefault();
                query.value = "";
                toFiles(match.path);
              }}
            >
              <Icon name={iconOf(match)} />
              <span class="entry-words">
                <span class="entry-label" dir="auto">
                  {match.name}
                </span>
                <small dir="auto">{parentOf(match.path) || "Files"}</small>
                {match.lines.slice(0, 3).map((line) => (
                  <Line key={line.number} {...line} />
                ))}
              </span>
            </a>
          </li>
        ))}
      </ul>
      {more && <p class="settings-text cut">There is more: search for longer words.</p>}
    </>
  );
}

function Line({ number, text, at }: Match["lines"][number]) {
  const [from, to] = at[0] ?? [0, 0];
  return (
    <small class="found-line">
      <span class="unseen">Line </span>
      <b>{number}</b>{" "}
      <code dir="auto">
        {[...text].slice(Math.max(0, from - 30), from).join("")}
        <mark>{[...text].slice(from, to).join("")}</mark>
        {[...text].slice(to, to + 60).join("")}
      </code>
    </small>
  );
}
