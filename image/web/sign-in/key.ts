/** What somebody pasted or followed, looked at as a welcome link. */
export type Pasted = { key: string } | { elsewhere: string } | null;

/** The key of a welcome link for this host, or a key by itself; the host where the link leads elsewhere. */
export function keyOf(pasted: string, host: string): Pasted {
  const text = pasted.trim().replace(/^<(.*)>$/, "$1");
  const [address = "", key = ""] = text.includes("#") ? text.split("#key=", 2) : ["", text];
  if (!/^[\w-]{16,256}$/.test(key)) return null;
  const named = hostOf(address);
  return named && named !== host ? { elsewhere: named } : { key };
}

function hostOf(address: string): string {
  if (!address) return "";
  try {
    return new URL(address.includes("://") ? address : `https://${address}`).host;
  } catch {
    return "";
  }
}
