// Things of one kind that all tabs of this browser share. Each is stored by itself, so that no tab writes over
// what another has put there, and each tab hears of it.

import { computed, signal } from "@preact/signals";
import { device } from "./storage";

type Stored<T> = [at: number, value: T];

export class Shelf<T> {
  private readonly held = signal<ReadonlyMap<string, Stored<T>>>(new Map());
  /** What the browser did not take: it is in this tab's memory alone. */
  private readonly unstored = new Set<string>();
  /** In the order in which they were put there. */
  readonly all = computed(() => this.inOrder().map(([, [, value]]) => value));

  /** `most`: of more than that the oldest go. */
  constructor(
    private readonly name: string,
    private readonly most = Infinity,
  ) {
    const found = device.keys().filter((key) => key.startsWith(this.keyOf("")));
    this.held.value = new Map(found.flatMap((key) => this.stored(key)));
    addEventListener("storage", (event) => this.heard(event));
  }

  get(key: string): T | undefined {
    return this.held.value.get(key)?.[1];
  }

  keys(): string[] {
    return this.inOrder().map(([key]) => key);
  }

  /** False where it will not outlive this page. */
  put(key: string, value: T): boolean {
    const latest = Math.max(0, ...[...this.held.peek().values()].map(([at]) => at));
    const entry: Stored<T> = [Math.max(Date.now(), latest + 1), value];
    this.held.value = new Map([...this.held.peek(), [key, entry]]);
    for (const old of this.keys().slice(0, -this.most)) this.take(old);
    const isStored = device.set(this.keyOf(key), entry);
    if (isStored) this.unstored.delete(key);
    else this.unstored.add(key);
    return isStored;
  }

  /** What stood there; nothing where another tab was quicker. */
  take(key: string): T | undefined {
    const { [0]: entry } = this.stored(this.keyOf(key));
    const value = entry?.[1][1] ?? (this.unstored.has(key) ? this.held.peek().get(key)?.[1] : undefined);
    device.set(this.keyOf(key), undefined);
    this.unstored.delete(key);
    this.forget(key);
    return value;
  }

  private keyOf(key: string): string {
    return `${this.name}:${key}`;
  }

  private stored(key: string): [string, Stored<T>][] {
    const entry = device.get<Stored<T> | null>(key, null);
    return entry ? [[key.slice(this.keyOf("").length), entry]] : [];
  }

  private inOrder(): [string, Stored<T>][] {
    return [...this.held.value].sort(([one, [a]], [other, [b]]) => a - b || (one < other ? -1 : 1));
  }

  private heard({ key, newValue }: StorageEvent): void {
    if (!key?.startsWith(this.keyOf(""))) return;
    const own = key.slice(this.keyOf("").length);
    const [now] = newValue === null ? [] : this.stored(key);
    if (now) this.held.value = new Map([...this.held.peek(), now]);
    else this.forget(own);
  }

  private forget(key: string): void {
    if (this.held.peek().has(key)) this.held.value = new Map([...this.held.peek()].filter(([one]) => one !== key));
  }
}
