const UNITS = ["KB", "MB", "GB", "TB"] as const;

/** "820 bytes", "1.4 MB", "12 GB". */
export function bytes(count: number): string {
  if (count < 1000) return count === 1 ? "1 byte" : `${count} bytes`;
  const power = Math.min(UNITS.length, Math.floor(Math.log10(count) / 3));
  const value = count / 1000 ** power;
  return `${value < 9.95 ? value.toFixed(1) : Math.round(value)} ${UNITS[power - 1]}`;
}
