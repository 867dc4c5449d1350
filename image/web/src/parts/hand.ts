// What she works with just now: keys, or a pointer or finger.

let isKeys = false;

export const usesKeys = () => isKeys;

export function watchHand(): void {
  const how = { capture: true, passive: true };
  addEventListener("keydown", () => (isKeys = true), how);
  addEventListener("pointerdown", () => (isKeys = false), how);
}
