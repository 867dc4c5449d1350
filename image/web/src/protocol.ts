// What the server says (docs/protocol.md).

export interface Auth {
  state: "checking" | "signed_out" | "signed_in";
  method: string | null;
  email: string | null;
  organisation: string | null;
  plan: string | null;
  /** Until when the login holds, where Claude knows. */
  expires_at: string | null;
  /** It is signed out because a login came to its end. */
  expired: boolean;
  checked_at: string | null;
}

export interface Settings {
  display_name: string;
  theme: "system" | "light" | "dark";
  text_size: "small" | "medium" | "large";
  enter_sends: boolean;
  detail: "clean" | "detailed";
  permission_mode: Mode;
  model: string;
  effort: string;
  /** That Claude answers in, in words; "": the one that she writes in. */
  language: string;
}

export type Mode = "default" | "acceptEdits" | "plan" | "bypassPermissions";

/** What a conversation may choose for itself; null: as in the settings. */
export interface Options {
  model: string | null;
  effort: string | null;
  permission_mode: Mode | null;
}

export interface Model {
  value: string;
  name: string;
  description: string;
  efforts: string[];
}

export interface Command {
  name: string;
  description: string;
  hint: string;
}

export interface Rule {
  rule: string;
  behavior: string;
}

export interface Attachment {
  id: string;
  name: string;
  type: string;
  size: number;
}

export interface Boot {
  user: { name: string; email: string };
  auth: Auth;
  settings: Settings;
  versions: { app: string; claude: string; sdk: string };
  workspace: string;
}

export type TurnState = "idle" | "running" | "waiting";

export interface Spent {
  cost_usd: number | null;
  input_tokens: number;
  output_tokens: number;
  turns: number;
}

export interface Conversation extends Options {
  id: string;
  title: string;
  updated_at: string;
  turn: TurnState;
  archived: boolean;
  forked_from: string | null;
  usage: Spent;
  /** Where a search found its words, if not in the title alone. */
  snippet?: string;
}

export interface TerminalInfo {
  id: string;
  title: string;
  created_at: string;
  cols: number;
  rows: number;
  offset: number;
  running: boolean;
}

export interface Device {
  id: string;
  name: string;
  since: string;
  last_seen: string;
  current: boolean;
}

export interface Access {
  login: "link" | "password" | "none";
  devices: Device[];
}

export interface Upload {
  id: string;
  path: string | null;
  size: number;
  offset: number;
  entry: { path: string; name: string } | null;
}

export interface Usage {
  parts: Record<"workspace" | "conversations" | "claude" | "home" | "trash" | "other", number>;
  disk: { total: number; free: number };
}

export interface Import {
  state: "none" | "checking" | "ready" | "applying" | "done";
  from?: { name: string; email: string; made_at: string; secrets: boolean };
  files?: number;
  size?: number;
  differ?: { count: number; paths: string[] };
}

interface Base {
  id: string;
  at: string;
}
export type UserItem = Base & { kind: "user"; text: string; queued: boolean; attachments: Attachment[] };
export type AssistantItem = Base & { kind: "assistant"; text: string; done: boolean };
export type ThinkingItem = Base & { kind: "thinking"; text: string; done: boolean };
export type ToolItem = Base & {
  kind: "tool";
  name: string;
  input: Record<string, unknown>;
  title: string;
  status: "running" | "done" | "failed" | "denied";
  output: string;
  parent: string | null;
  patch: Hunk[] | null;
  /** That it brought; absent in what an older server has sent. */
  pictures?: { id: string; type: string }[];
  /** The whole of Claude's plan after a call that is about it; absent in what an older server has sent. */
  todos?: Todo[] | null;
};
export interface Todo {
  text: string;
  status: "pending" | "in_progress" | "completed";
}
export interface Hunk {
  oldStart: number;
  newStart: number;
  lines: string[];
}
export interface Question {
  question: string;
  header: string;
  multiSelect: boolean;
  options: { label: string; description: string }[];
}
export type AskItem = Base & {
  kind: "ask";
  ask: "permission" | "question" | "plan";
  tool: string;
  input: Record<string, unknown>;
  title: string;
  reason: string;
  can_always: boolean;
  state: "open" | "allowed" | "always" | "denied" | "answered" | "cancelled";
  answer: unknown;
};
export type NoticeItem = Base & {
  kind: "notice";
  code:
    "not_connected" | "login_expired" | "refused" | "rate_limited" | "overloaded" | "offline" | "crashed" | "failed";
  text: string;
  until: string | null;
  action: "open_terminal" | "retry" | "wait" | "continue" | "choose_model" | null;
  resolved?: boolean;
};
export type EndItem = Base & {
  kind: "end";
  outcome: "completed" | "stopped" | "failed" | "lost";
  duration_ms: number | null;
  cost_usd: number | null;
  tokens: number | null;
};
export type Item = UserItem | AssistantItem | ThinkingItem | ToolItem | AskItem | NoticeItem | EndItem;

export type Op =
  | { op: "add"; item: Item }
  | { op: "append"; id: string; field: "text" | "output"; text: string }
  | { op: "set"; id: string; patch: Partial<Item> & { dropped?: boolean } }
  | { op: "turn"; turn: TurnState; queued: number };

export type Snapshot = {
  type: "snapshot";
  conversation: string;
  epoch: string;
  seq: number;
  items: Item[];
  more: boolean;
  turn: TurnState;
  queued: number;
};
export type Numbered = { type: "event"; conversation: string; seq: number } & Op;

export interface Refused {
  type: "refused";
  of: string;
  conversation: string;
  code: string;
  message: string;
  /** As in the request, where it named one. */
  message_id?: string;
  ask?: string;
}

export type FromServer =
  | { type: "hello"; boot: Boot }
  | { type: "auth"; auth: Auth }
  | { type: "settings"; settings: Settings }
  | { type: "conversation"; conversation: Conversation }
  | { type: "conversation_gone"; id: string }
  | Snapshot
  | Numbered
  | Refused
  | { type: "import"; import: Import }
  | { type: "files_changed"; paths: string[]; at: number }
  | { type: "trash_changed" }
  | { type: "terminal"; terminal: TerminalInfo }
  | { type: "terminal_gone"; id: string }
  | { type: "pong" };

export type Answer = { decision: "allow" | "always" | "deny"; message?: string; answers?: Record<string, string> };

export interface Said {
  text: string;
  attachments?: string[];
  /** The message that gives way to this one, with all after it. */
  replaces?: string;
  options?: Partial<Options>;
}

export type ToServer =
  | { type: "follow"; conversation: string; epoch: string | null; after: number | null }
  | { type: "unfollow"; conversation: string }
  | ({ type: "send"; conversation: string; message_id: string } & Said)
  | { type: "retry"; conversation: string; message_id: string; of: string }
  | { type: "continue"; conversation: string; message_id: string }
  | { type: "stop"; conversation: string }
  | { type: "take_back"; conversation: string; message_id: string }
  | ({ type: "answer"; conversation: string; ask: string } & Answer)
  | { type: "watch"; paths: string[] }
  | { type: "looking"; is: boolean }
  | { type: "ping" };
