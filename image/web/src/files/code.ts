// CodeMirror, as this page uses it. A chunk of its own.

import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { bracketMatching, HighlightStyle, indentOnInput, indentUnit, syntaxHighlighting } from "@codemirror/language";
import { highlightSelectionMatches, openSearchPanel, search, searchKeymap } from "@codemirror/search";
import { Compartment, EditorState, type Extension, Text } from "@codemirror/state";
import {
  drawSelection,
  EditorView,
  highlightActiveLine,
  highlightActiveLineGutter,
  highlightSpecialChars,
  keymap,
  lineNumbers,
} from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { withAdoptedStyles } from "../styles";
import { indentOf } from "./indent";
import { languageSupport } from "./languages";

const COLOURS = HighlightStyle.define([
  { tag: [tags.keyword, tags.operatorKeyword, tags.modifier, tags.controlKeyword], color: "var(--hl-a)" },
  { tag: [tags.string, tags.special(tags.string), tags.regexp, tags.inserted], color: "var(--hl-b)" },
  { tag: [tags.number, tags.bool, tags.null, tags.atom, tags.attributeName, tags.meta], color: "var(--hl-c)" },
  { tag: [tags.function(tags.variableName), tags.typeName, tags.className, tags.tagName], color: "var(--hl-d)" },
  { tag: [tags.comment, tags.quote], color: "var(--soft)", fontStyle: "italic" },
  { tag: tags.heading, color: "var(--hl-d)", fontWeight: "600" },
  { tag: tags.strong, fontWeight: "600" },
  { tag: tags.emphasis, fontStyle: "italic" },
  { tag: [tags.link, tags.url], color: "var(--accent)", textDecoration: "underline" },
  { tag: tags.deleted, color: "var(--bad)" },
  { tag: tags.invalid, color: "var(--bad)" },
]);

export interface CodeOptions {
  text: string;
  /** What a screen reader calls it. */
  label: string;
  /** As `languageOf` says; "" for what people write to each other. */
  language: string;
  isWritable: boolean;
  /** Told at each change whether the text differs from the one that `rebase` was last given. */
  changed: (isChanged: boolean) => void;
  save: () => void;
}

export class Code {
  private readonly view: EditorView;
  private base: Text;

  constructor(parent: HTMLElement, options: CodeOptions) {
    const language = new Compartment();
    const state = EditorState.create({
      doc: options.text,
      extensions: [
        isProse(options.language) ? forProse() : forPrograms(),
        language.of([]),
        basics(),
        indentUnit.of(indentOf(options.text)),
        // A lone \r is a part of its line: what she does not touch is saved as it was.
        EditorState.lineSeparator.of("\n"),
        EditorState.readOnly.of(!options.isWritable),
        EditorView.contentAttributes.of({ "aria-label": options.label, tabindex: "0" }),
        keymap.of([{ key: "Mod-s", preventDefault: true, run: () => (options.save(), true) }]),
        EditorView.updateListener.of((update) => {
          if (update.docChanged) options.changed(!update.state.doc.eq(this.base));
        }),
      ],
    });
    this.base = state.doc;
    this.view = withAdoptedStyles(() => new EditorView({ state, parent }));
    void languageSupport(options.language)
      .then((support) => support && this.view.dispatch({ effects: language.reconfigure(support) }))
      .catch(() => undefined); // without colours it is the same text
  }

  get text(): string {
    return this.view.state.doc.toString();
  }

  get isChanged(): boolean {
    return !this.view.state.doc.eq(this.base);
  }

  /** From here on, what differs from this text is a change. */
  rebase(text: string): void {
    this.base = Text.of(text.split("\n"));
  }

  /** Puts this text there, and leaves alone what is the same at both ends: where she was, she stays. */
  replace(text: string): void {
    const now = this.text;
    let from = 0;
    const shortest = Math.min(now.length, text.length);
    while (from < shortest && now[from] === text[from]) from++;
    let end = 0;
    while (end < shortest - from && now.at(-1 - end) === text.at(-1 - end)) end++;
    this.view.dispatch({ changes: { from, to: now.length - end, insert: text.slice(from, text.length - end) } });
  }

  search(): void {
    openSearchPanel(this.view);
  }

  focus(): void {
    this.view.focus();
  }

  dispose(): void {
    this.view.destroy();
  }
}

const isProse = (language: string) => !language || language === "markdown";

function basics(): Extension {
  return [
    history(),
    drawSelection(),
    highlightSpecialChars(),
    highlightSelectionMatches(),
    search({ top: true }),
    syntaxHighlighting(COLOURS),
    EditorView.perLineTextDirection.of(true),
    keymap.of([...searchKeymap, ...historyKeymap, ...defaultKeymap]),
  ];
}

/** Tab indents; after Esc it leaves, for those who have only a keyboard. */
function forPrograms(): Extension {
  return [
    lineNumbers(),
    highlightActiveLine(),
    highlightActiveLineGutter(),
    bracketMatching(),
    indentOnInput(),
    keymap.of([indentWithTab]),
  ];
}

function forProse(): Extension {
  return [
    EditorView.lineWrapping,
    EditorView.contentAttributes.of({ spellcheck: "true", autocorrect: "on", autocapitalize: "sentences" }),
    EditorView.editorAttributes.of({ class: "prose-editor" }),
  ];
}
