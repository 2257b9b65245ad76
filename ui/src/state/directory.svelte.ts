// Cards by id, for lists that know only ids: asked for once, a few at a time, kept while the page lives.
import { SvelteMap, SvelteSet } from 'svelte/reactivity';
import { getCall, getClient } from '../api/endpoints';
import type { Call, CardBrief, Client } from '../api/types';

const AT_ONCE = 4;
const MOST_KEPT = 2_000;

/** What a list shows of a client. */
export interface Known {
  id: string;
  name: string;
  company: string | null;
  tags: string[];
  number: string | null;
}

class Directory {
  #clients = new SvelteMap<string, Known>();
  #calls = new SvelteMap<string, Call>();
  #missing = new SvelteSet<string>();
  #wanted: { key: string; load: () => Promise<void> }[] = [];
  #running = 0;
  #asked = new Set<string>();

  /** The client, or undefined until it is known; asks the server the first time. */
  client(id: string | null): Known | undefined {
    if (!id) return undefined;
    const known = this.#clients.get(id);
    if (!known && !this.#missing.has(id)) this.#ask(`client ${id}`, async () => this.learn(await getClient(id)), id);
    return known;
  }

  call(id: string | null): Call | undefined {
    if (!id) return undefined;
    const known = this.#calls.get(id);
    if (!known && !this.#missing.has(id)) this.#ask(`call ${id}`, async () => this.learnCall(await getCall(id)), id);
    return known;
  }

  isMissing(id: string): boolean {
    return this.#missing.has(id);
  }

  learn(client: Client): void {
    const { id, name, company, tags, numbers } = client;
    this.#keep(this.#clients, id, { id, name, company, tags, number: numbers[0]?.e164 ?? null });
  }

  learnBrief(card: CardBrief, number: string | null): void {
    const { id, name, company, tags } = card;
    const known = this.#clients.get(id);
    this.#keep(this.#clients, id, { id, name, company, tags, number: known?.number ?? number });
  }

  learnCall(call: Call): void {
    this.#keep(this.#calls, call.id, call);
  }

  #keep<T>(map: SvelteMap<string, T>, id: string, value: T): void {
    if (map.size >= MOST_KEPT && !map.has(id)) {
      const oldest = map.keys().next().value;
      if (oldest !== undefined) map.delete(oldest);
      this.#asked.clear();
    }
    map.set(id, value);
  }

  #ask(key: string, load: () => Promise<void>, id: string): void {
    if (this.#asked.has(key)) return;
    this.#asked.add(key);
    const guarded = async () => {
      try {
        await load();
      } catch {
        // Not ours to see, or gone: the list shows the number instead.
        this.#missing.add(id);
      }
    };
    this.#wanted.push({ key, load: guarded });
    // Outside the drawing that asked: state may not change while it is read.
    queueMicrotask(() => this.#pump());
  }

  #pump(): void {
    while (this.#running < AT_ONCE) {
      const next = this.#wanted.shift();
      if (!next) return;
      this.#running += 1;
      void next.load().finally(() => {
        this.#running -= 1;
        this.#pump();
      });
    }
  }
}

export const directory = new Directory();
