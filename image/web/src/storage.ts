// What this browser remembers. A browser that refuses (private windows, a full disk) costs memory, never a message.

function read<T>(store: () => Storage, key: string, otherwise: T): T {
  try {
    const found = store().getItem(key);
    return found === null ? otherwise : (JSON.parse(found) as T);
  } catch {
    return otherwise;
  }
}

/** False where it stays in memory alone. */
function write(store: () => Storage, key: string, value: unknown): boolean {
  try {
    if (value === undefined) store().removeItem(key);
    else store().setItem(key, JSON.stringify(value));
    return true;
  } catch {
    return false;
  }
}

function keys(store: () => Storage): string[] {
  try {
    return Array.from({ length: store().length }, (_, index) => store().key(index) ?? "");
  } catch {
    return [];
  }
}

function remembering(store: () => Storage) {
  return {
    get: <T>(key: string, otherwise: T) => read(store, key, otherwise),
    set: (key: string, value: unknown) => write(store, key, value),
    keys: () => keys(store),
  };
}

/** Kept until this tab is closed. */
export const tab = remembering(() => sessionStorage);
/** Kept for good. */
export const device = remembering(() => localStorage);
