// The recordings page: which filters are set, the list they give, which one is open.
import { getRecording, getRecordings } from '../api/endpoints';
import type { Event, Recording } from '../api/types';
import { directory } from './directory.svelte';
import { Paged } from './paged.svelte';

const PAGE = 100;
const REFRESH_AFTER_MS = 600;

class Records {
  agent = $state<string | null>(null);
  queue = $state<string | null>(null);
  /** Only this client's. */
  card_id = $state<string | null>(null);
  opened = $state.raw<Recording | null>(null);
  opened_error = $state.raw<unknown>(null);
  list = new Paged<Recording>(async (cursor, signal) => {
    const filter = { cursor, limit: PAGE, ...(this.agent && { agent: this.agent }), ...(this.queue && { queue: this.queue }) };
    const page = await getRecordings({ ...filter, ...(this.card_id && { card_id: this.card_id }) }, { signal });
    for (const recording of page.items) if (recording.call) directory.learnCall(recording.call);
    return page;
  });
  #timer: ReturnType<typeof setTimeout> | undefined;

  get is_filtered(): boolean {
    return this.agent !== null || this.queue !== null || this.card_id !== null;
  }

  set(filter: { agent?: string | null; queue?: string | null; card_id?: string | null }): void {
    if (filter.agent !== undefined) this.agent = filter.agent;
    if (filter.queue !== undefined) this.queue = filter.queue;
    if (filter.card_id !== undefined) this.card_id = filter.card_id;
    void this.list.load();
  }

  /** Opens a recording by its id: from the list when it is there, else from the server. */
  async open(id: string): Promise<void> {
    const listed = this.list.items.find((recording) => recording.id === id);
    this.opened_error = null;
    if (listed) {
      this.opened = listed;
      return;
    }
    try {
      const recording = await getRecording(id);
      if (recording.call) directory.learnCall(recording.call);
      this.opened = recording;
    } catch (error) {
      this.opened = null;
      this.opened_error = error;
    }
  }

  apply(event: Event): void {
    if (!event.type.startsWith('recording.')) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.list.refresh(), REFRESH_AFTER_MS);
  }
}

export const records = new Records();
