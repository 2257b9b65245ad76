// A list that comes in pages: first page, more pages, and what happened when one did not come. Answers that were
// overtaken by a newer question are dropped.
import type { Page } from '../api/types';

export class Paged<T extends { id: string }> {
  items = $state.raw<readonly T[]>([]);
  next = $state<string | null>(null);
  is_loaded = $state(false);
  is_loading = $state(false);
  error = $state.raw<unknown>(null);
  #running: AbortController | null = null;

  constructor(private readonly fetchPage: (cursor: string | null, signal: AbortSignal) => Promise<Page<T>>) {}

  /** Reads the first page anew. `keep` leaves the old rows on screen until the new ones are here. */
  async load(keep = false): Promise<void> {
    if (!keep) this.is_loaded = false;
    await this.#fetch(null, (page) => page.items);
  }

  async more(): Promise<void> {
    if (!this.next || this.is_loading) return;
    await this.#fetch(this.next, (page) => [
      ...this.items,
      ...page.items.filter((item) => !this.items.some((one) => one.id === item.id)),
    ]);
  }

  /** Reads the first page again and puts what is new before the rows that are here. */
  async refresh(): Promise<void> {
    if (!this.is_loaded || this.is_loading) return;
    const next = this.next;
    const had_more = this.items.length;
    await this.#fetch(null, (page) => {
      return [...page.items, ...this.items.filter((item) => !page.items.some((one) => one.id === item.id))];
    });
    if (had_more > 0 && this.error === null) this.next = next;
  }

  put(item: T): void {
    this.items = this.items.map((one) => (one.id === item.id ? item : one));
  }

  add(item: T): void {
    this.items = [item, ...this.items.filter((one) => one.id !== item.id)];
  }

  async #fetch(cursor: string | null, take: (page: Page<T>) => readonly T[]): Promise<void> {
    this.#running?.abort();
    const running = new AbortController();
    this.#running = running;
    this.is_loading = true;
    try {
      const page = await this.fetchPage(cursor, running.signal);
      if (this.#running !== running) return;
      this.items = take(page);
      this.next = page.next;
      this.error = null;
      this.is_loaded = true;
    } catch (error) {
      if (this.#running === running) this.error = error;
    } finally {
      if (this.#running === running) this.is_loading = false;
    }
  }
}
