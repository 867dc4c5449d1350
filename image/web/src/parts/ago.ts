const UNITS = [
  ["day", 24 * 3600],
  ["hour", 3600],
  ["minute", 60],
] as const;
const LONG_AGO_S = 30 * 24 * 3600;

/** "3 hours ago", "yesterday", "just now"; the date, in the browser's language, where that is longer ago than a month; nothing for a time that nobody set. */
export function ago(at: string, now: Date, language?: string): string {
  const then = new Date(at);
  const seconds = (now.getTime() - then.getTime()) / 1000;
  if (!(then.getTime() > 0)) return "";
  if (seconds >= LONG_AGO_S) return then.toLocaleDateString(language, { dateStyle: "medium" });
  const words = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
  const [unit, length] = UNITS.find(([, length]) => seconds >= length) ?? [];
  return unit ? words.format(-Math.floor(seconds / length), unit) : "just now";
}
