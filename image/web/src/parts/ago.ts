const UNITS = [
  ["day", 24 * 3600],
  ["hour", 3600],
  ["minute", 60],
] as const;

/** "3 hours ago", "yesterday", "just now". */
export function ago(at: string, now: Date): string {
  const seconds = (now.getTime() - new Date(at).getTime()) / 1000;
  if (Number.isNaN(seconds)) return "";
  const words = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
  const [unit, length] = UNITS.find(([, length]) => seconds >= length) ?? [];
  return unit ? words.format(-Math.floor(seconds / length), unit) : "just now";
}
