// Markdown as elements. Nothing that Claude writes is ever read as HTML: the words become text nodes, the structure
// becomes the few elements named here, so there is nothing to sanitise and nothing that could run. Pictures of the web are
// shown as links, since fetching one would tell its address to somebody; those of the workspace are shown.

import "../style/prose.css";
import { Lexer, type MarkedToken, type Token, type Tokens } from "marked";
import { Component, type ComponentChildren, createContext, h } from "preact";
import { useContext, useMemo, useRef, useState } from "preact/hooks";
import { isWebLink, OUTSIDE, workspacePath } from "../link";
import { linkTo } from "../place";
import { boot } from "../workspace";
import { CodeBlock } from "./code";
import { touched } from "./touched";

const OPTIONS = { gfm: true, breaks: true };
const PLAIN_TAG = /^<(\/?)(b|i|em|strong|u|s|del|ins|sub|sup|kbd|mark|small|code|q)>$/i;
const LINE_BREAK = /^<br\s*\/?>$/i;
const COMMENT = /^\s*<!--[\s\S]*-->\s*$/;
const ENTITY = /&(#\d+|#x[\da-f]+|[a-z][a-z\d]*);/gi;

/** The folder that a text is in: its links begin there. */
const Folder = createContext("");

interface MarkdownProps {
  text: string;
  done?: boolean;
  folder?: string;
}

/** Claude's words. While they stream in, blocks that are finished stay as they are. */
export function Markdown({ text, done = true, folder = "" }: MarkdownProps) {
  const reader = useRef(new Reader()).current;
  const blocks = useMemo(() => reader.read(text, done), [text, done]);
  return (
    <Folder.Provider value={folder}>
      <div class="prose">
        {blocks.map((block, index) => (
          <Block key={index} token={block} done={done} />
        ))}
      </div>
    </Folder.Provider>
  );
}

/** Cuts a text that grows into its blocks, reading only its last block again. */
export class Reader {
  private blocks: Token[] = [];
  private text = "";
  /** Where the last block begins; what stands before it does not change any more. */
  private settled = 0;

  read(text: string, done: boolean): Token[] {
    const grew = !done && this.settled > 0 && text.startsWith(this.text);
    const kept = grew ? this.blocks.slice(0, -1) : [];
    const rest = Lexer.lex(text.slice(grew ? this.settled : 0), OPTIONS).filter((token) => token.type !== "space");
    this.blocks = [...kept, ...rest];
    this.text = text;
    this.settled = Math.max(0, text.lastIndexOf(this.blocks.at(-1)?.raw ?? text));
    return this.blocks;
  }
}

class Block extends Component<{ token: Token; done: boolean }> {
  override shouldComponentUpdate(next: { token: Token; done: boolean }): boolean {
    return next.token.raw !== this.props.token.raw || next.done !== this.props.done;
  }
  override render() {
    return block(this.props.token as MarkedToken, this.props.done);
  }
}

function blocks(tokens: readonly Token[] | undefined, done = true): ComponentChildren[] {
  return (tokens ?? []).map((token) => block(token as MarkedToken, done));
}

function block(token: MarkedToken, done: boolean): ComponentChildren {
  switch (token.type) {
    case "paragraph":
      return <p dir="auto">{inline(token.tokens)}</p>;
    case "heading":
      // The page has headings of its own: Claude's stand below them.
      return h(`h${Math.min(6, token.depth + 1)}`, { class: `h${token.depth}`, dir: "auto" }, inline(token.tokens));
    case "code":
      return <CodeBlock text={token.text} language={token.lang?.split(/\s/)[0] ?? ""} done={done} />;
    case "blockquote":
      return <blockquote dir="auto">{blocks(token.tokens)}</blockquote>;
    case "list":
      return list(token);
    case "table":
      return table(token);
    case "hr":
      return <hr />;
    case "html":
      return COMMENT.test(token.text) ? null : <p dir="auto">{token.text}</p>;
    case "space":
    case "def":
      return null;
    default:
      return inline([token]);
  }
}

const FROM_RIGHT = /[\p{Script=Hebrew}\p{Script=Arabic}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}]/u;

/** Where its first letter is read from; `dir="auto"` would not look into parts that have a direction of their own. */
function directionOf(text: string): "ltr" | "rtl" {
  return FROM_RIGHT.test(/\p{L}/u.exec(text)?.[0] ?? "") ? "rtl" : "ltr";
}

function list(token: Tokens.List): ComponentChildren {
  const items = token.items.map((item, index) => (
    <li key={index} dir="auto" class={item.task ? "task" : undefined}>
      {blocks(item.tokens)}
    </li>
  ));
  const dir = directionOf(token.raw);
  if (!token.ordered) return <ul dir={dir}>{items}</ul>;
  return (
    <ol dir={dir} start={token.start === "" ? 1 : token.start}>
      {items}
    </ol>
  );
}

function table(token: Tokens.Table): ComponentChildren {
  const cell = (tag: "th" | "td") => (one: Tokens.TableCell, index: number) =>
    h(tag, { key: index, dir: "auto", class: one.align ? `to-${one.align}` : undefined }, inline(one.tokens));
  return (
    <div class="table" tabIndex={0}>
      <table dir={directionOf(token.raw)}>
        <thead>
          <tr>{token.header.map(cell("th"))}</tr>
        </thead>
        <tbody>
          {token.rows.map((row, index) => (
            <tr key={index}>{row.map(cell("td"))}</tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** Plain tags that Claude likes (`<kbd>`, `<sub>`, …) work where they are closed; all other HTML is shown as text. */
function inline(tokens: readonly Token[] | undefined): ComponentChildren[] {
  const given = tokens ?? [];
  const shown: ComponentChildren[] = [];
  for (let index = 0; index < given.length; index++) {
    const token = given[index] as MarkedToken;
    const tag = token.type === "html" ? PLAIN_TAG.exec(token.text) : null;
    const end = tag && !tag[1] ? closing(given, index, tag[2] ?? "") : -1;
    if (end < 0) shown.push(span(token));
    else {
      shown.push(h(tag?.[2]?.toLowerCase() ?? "span", null, inline(given.slice(index + 1, end))));
      index = end;
    }
  }
  return shown;
}

function closing(tokens: readonly Token[], from: number, tag: string): number {
  const wanted = `</${tag}>`.toLowerCase();
  return tokens.findIndex(
    (token, index) => index > from && token.type === "html" && token.raw.toLowerCase() === wanted,
  );
}

function span(token: MarkedToken): ComponentChildren {
  switch (token.type) {
    case "strong":
      return <strong>{inline(token.tokens)}</strong>;
    case "em":
      return <em>{inline(token.tokens)}</em>;
    case "del":
      return <del>{inline(token.tokens)}</del>;
    case "codespan":
      return <Code text={token.text} />;
    case "br":
      return <br />;
    case "link":
      return <Link address={token.href}>{inline(token.tokens)}</Link>;
    case "image":
      return <Picture address={token.href} text={token.text} />;
    case "checkbox":
      return (
        <span class={token.checked ? "box checked" : "box"} role="img" aria-label={token.checked ? "Done" : "To do"} />
      );
    case "html":
      if (LINE_BREAK.test(token.text)) return <br />;
      return COMMENT.test(token.text) ? null : token.text;
    case "text":
      return token.tokens ? inline(token.tokens) : decoded(token.text);
    case "escape":
      return token.text;
    default:
      return block(token, true);
  }
}

/** To the web, or to a file of the workspace. */
function Link({ address, children }: { address: string; children: ComponentChildren }) {
  const path = workspacePath(address, boot.value?.workspace ?? "", useContext(Folder));
  if (path === null) return <OutsideLink address={address}>{children}</OutsideLink>;
  return (
    <a {...linkTo({ page: "files", path })} title={path}>
      {children}
    </a>
  );
}

const PICTURE = /\.(png|jpe?g|gif|webp|avif|bmp|svg)$/i;

function Picture({ address, text }: { address: string; text: string }) {
  const path = workspacePath(address, boot.value?.workspace ?? "", useContext(Folder));
  const [isBroken, setBroken] = useState(false);
  if (path === null || isBroken || !PICTURE.test(path)) return <Link address={address}>{text || address}</Link>;
  return (
    <a {...linkTo({ page: "files", path })} title={path}>
      <img
        src={`/api/files/view?${new URLSearchParams({ path })}`}
        alt={text || path}
        loading="lazy"
        onError={() => setBroken(true)}
      />
    </a>
  );
}

/** Where it is the name of a file that Claude has had in hand in this conversation, it leads there. */
function Code({ text }: { text: string }) {
  const path = touched.value.get(text) ?? touched.value.get(workspacePath(text, boot.value?.workspace ?? "") ?? "");
  const code = <code dir="ltr">{text}</code>;
  return path === undefined ? code : <a {...linkTo({ page: "files", path })}>{code}</a>;
}

export function OutsideLink({ address, children }: { address: string; children: ComponentChildren }) {
  if (!isWebLink(address)) return <>{children}</>;
  return (
    <a href={address} title={address} {...OUTSIDE}>
      {children}
    </a>
  );
}

/** `&lt;` and its kind as the characters that they stand for; what a text area holds is never markup. */
function decoded(text: string): string {
  return text.replace(ENTITY, (entity) => {
    const area = document.createElement("textarea");
    area.innerHTML = entity;
    return area.value;
  });
}

/** A title with `code` in it. */
export function Rich({ text }: { text: string }) {
  return (
    <>
      {text.split(/`([^`]+)`/).map((part, index) =>
        index % 2 ? (
          <code key={index} dir="ltr">
            {part}
          </code>
        ) : (
          part
        ),
      )}
    </>
  );
}
