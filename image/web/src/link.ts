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
