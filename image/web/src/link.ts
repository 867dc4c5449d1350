/** True for an address that a link may lead to: the web, and nothing that runs or opens programs. */
export function isWebLink(address: string): boolean {
  try {
    return ["http:", "https:"].includes(new URL(address).protocol);
  } catch {
    return false;
  }
}

/** What every link out of this page carries. */
export const OUTSIDE = { target: "_blank", rel: "noopener noreferrer" } as const;

const SCHEME = /^[a-z][a-z\d+.-]*:|^\/\//i;
const LINE = /:\d+(?::\d+)?$/;

/**
 * The path in the workspace that an address leads to, as texts there name files: `notes.md`, `./a/b.py:12`, or absolute below
 * `root`; null where it leads elsewhere. `folder` is where the text itself is.
 */
export function workspacePath(address: string, root: string, folder = ""): string | null {
  const bare = decoded(address.replace(/^file:\/\//, "").replace(LINE, ""));
  const [path = ""] = bare.split(/[?#]/);
  if (!path || SCHEME.test(bare) || /[\0-\x1f:]/.test(bare)) return null;
  if (path.startsWith("/")) return root && path.startsWith(`${root}/`) ? walked(path.slice(root.length)) : null;
  return walked(`${folder}/${path}`);
}

function decoded(address: string): string {
  try {
    return decodeURIComponent(address);
  } catch {
    return address;
  }
}

/** Without `.` and `..`; null where it leads out, or to the workspace itself. */
function walked(path: string): string | null {
  const names: string[] = [];
  for (const name of path.split("/")) {
    if (name === ".." && !names.pop()) return null;
    if (name && name !== "." && name !== "..") names.push(name);
  }
  return names.length ? names.join("/") : null;
}
