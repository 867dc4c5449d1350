// What she works with just now: keys, or a pointer or finger.

let isKeys = false;

export const usesKeys = () => isKeys;

const LISTENING = { capture: true, passive: true };
addEventListener("keydown", () => (isKeys = true), LISTENING);
addEventListener("pointerdown", () => (isKeys = false), LISTENING);
