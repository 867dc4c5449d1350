// @vitest-environment jsdom
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { enclose, enclosedIn, takeOut } from "./attachments";

const SIZE = 300_000;

let asked: string[];
/** What no answer comes to, as often as it says. */
let lost: Record<string, number>;
let held: number;

/** A server that takes a file in, behind a network that loses some answers. */
async function serve(
  path: string,
  { method = "", body }: { method?: string; body?: Blob | string },
): Promise<Response> {
  const what = `${method} ${path.replace(/\?.*/, "")}`;
  asked.push(what);
  if (method === "PUT") held += (body as Blob).size;
  if ((lost[what] ?? 0) > 0) {
    lost[what]!--;
    throw new TypeError("network");
  }
  const upload = { id: "u1", path: null, size: SIZE, offset: held, entry: null };
  const attachment = { id: "a_u1", name: "a.txt", type: "text/plain", size: SIZE };
  return new Response(JSON.stringify(path === "/api/attachments" ? attachment : upload));
}

const only = () => enclosedIn("c")[0]!;
const pass = () => vi.advanceTimersByTimeAsync(300_000);

beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(Math, "random").mockReturnValue(0);
  [asked, lost, held] = [[], {}, 0];
  vi.stubGlobal("fetch", serve);
});
afterEach(() => {
  for (const { key } of enclosedIn("c")) takeOut("c", key);
  vi.useRealTimers();
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

function begin(): void {
  enclose("c", [new File([new Uint8Array(SIZE)], "a.txt", { type: "text/plain" })]);
}

test("a file that the network took goes on where it stood, until it has arrived", async () => {
  lost = { "PUT /api/uploads/u1": 1, "GET /api/uploads/u1": 40 };
  begin();
  await vi.advanceTimersByTimeAsync(20_000);
  expect(only()).toMatchObject({ id: null, isWaiting: true, fault: "" });
  await pass();
  expect(only()).toMatchObject({ id: "a_u1", isWaiting: false, share: 1, fault: "" });
  expect(held).toBe(SIZE);
});

test("where only the last answer is lost, nothing is sent again but the question", async () => {
  lost = { "POST /api/attachments": 2 };
  begin();
  await pass();
  expect(only().id).toBe("a_u1");
  expect(held).toBe(SIZE);
  expect(asked.filter((one) => one === "POST /api/attachments")).toHaveLength(3);
});

test("what she left out meanwhile is not sent again, and the server forgets it", async () => {
  lost = { "GET /api/uploads/u1": 1000, "PUT /api/uploads/u1": 1 };
  begin();
  await vi.advanceTimersByTimeAsync(100);
  takeOut("c", only().key);
  await pass();
  expect(asked.at(-1)).toBe("DELETE /api/uploads/u1");
  const before = asked.length;
  await pass();
  expect(asked).toHaveLength(before);
});
