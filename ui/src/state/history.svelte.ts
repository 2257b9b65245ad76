// Past calls for the calls page: pages from the server, kept fresh as calls end.
import { getCalls } from '../api/endpoints';
import type { Call, Event } from '../api/types';
import { hasFailed, isMissed } from '../lib/call';
import { directory } from './directory.svelte';
import { Paged } from './paged.svelte';

export type HistoryView = 'all' | 'missed' | 'in' | 'out';

const PAGE = 100;
const REFRESH_AFTER_MS = 600;

class History {
  view = $state<HistoryView>('all');
  queue = $state<string | null>(null);
  agent = $state<string | null>(null);
  list = new Paged<Call>(async (cursor, signal) => {
    const filter = {
      active: false,
      cursor,
      limit: PAGE,
      ...(this.queue && { queue: this.queue }),
      ...(this.agent && { agent: this.agent }),
    };
    const page = await getCalls(filter, { signal });
    for (const call of page.items) directory.learnCall(call);
    return page;
  });
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** The rows of the view; missed, incoming and outgoing are picked among the loaded ones. */
  get rows(): readonly Call[] {
    switch (this.view) {
      case 'all':
        return this.list.items;
      case 'missed':
        return this.list.items.filter((call) => isMissed(call) || hasFailed(call));
      case 'in':
        return this.list.items.filter((call) => call.kind === 'inbound');
      case 'out':
        return this.list.items.filter((call) => call.kind === 'outbound');
    }
  }

  filter(change: { queue?: string | null; agent?: string | null }): void {
    if (change.queue !== undefined) this.queue = change.queue;
    if (change.agent !== undefined) this.agent = change.agent;
    void this.list.load();
  }

  apply(event: Event): void {
    if (event.type !== 'call.ended' && event.type !== 'recording.ready') return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.list.refresh(), REFRESH_AFTER_MS);
  }
}

export const past_calls = new History();
