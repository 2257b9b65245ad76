// One client's card with its timeline, wherever it is shown: the desk, the client's page. Edits are shown at once and put
// back when the server refuses; a note that could not be saved stays in its field and is sent again.
import { getClient, getTimeline, patchClient } from '../api/endpoints';
import type { Client, ClientPatch, FieldValue, TimelineEntry } from '../api/types';
import { t } from '../i18n/index.svelte';
import { directory } from './directory.svelte';
import { errorText } from './errors';
import { toasts } from './toasts.svelte';

const MOST_KEPT = 40;
const NOTE_SAVED_AFTER_MS = 900;
const PAGE = 50;
export const NOTE_FIELD = 'note';

type Saving = 'rest' | 'saving' | 'saved' | 'failed';

export class CardState {
  client = $state.raw<Client | null>(null);
  error = $state.raw<unknown>(null);
  timeline = $state.raw<readonly TimelineEntry[]>([]);
  timeline_error = $state.raw<unknown>(null);
  is_timeline_loaded = $state(false);
  /** The cursor of the next page; null when everything is here. */
  next = $state<string | null>(null);
  /** Text of the note as it stands in the field; null until somebody types. */
  draft = $state<string | null>(null);
  note = $state<Saving>('rest');
  note_saved_at = $state<number | null>(null);
  #timer: ReturnType<typeof setTimeout> | undefined;
  #is_loading = false;

  constructor(readonly id: string) {}

  get note_text(): string {
    const kept = this.client?.fields[NOTE_FIELD];
    return this.draft ?? (typeof kept === 'string' ? kept : '');
  }

  /** Reads card and timeline, once; `again` reads them anew. */
  async load(again = false): Promise<void> {
    if (this.#is_loading || (this.client && !again)) return;
    this.#is_loading = true;
    try {
      await Promise.all([this.#loadClient(), this.loadTimeline()]);
    } finally {
      this.#is_loading = false;
    }
  }

  async #loadClient(): Promise<void> {
    try {
      this.#take(await getClient(this.id));
      this.error = null;
    } catch (error) {
      this.error = error;
    }
  }

  async loadTimeline(): Promise<void> {
    try {
      const page = await getTimeline(this.id, null, PAGE);
      this.timeline = page.items;
      this.next = page.next;
      this.timeline_error = null;
      this.is_timeline_loaded = true;
    } catch (error) {
      this.timeline_error = error;
    }
  }

  async loadMore(): Promise<void> {
    if (!this.next) return;
    try {
      const page = await getTimeline(this.id, this.next, PAGE);
      this.timeline = [...this.timeline, ...page.items];
      this.next = page.next;
    } catch (error) {
      toasts.show('error', t().clients.timeline_failed, { text: errorText(error) });
    }
  }

  /** Shows the change at once, then asks the server; puts it back when refused. `label` names the field for people. */
  async edit(patch: ClientPatch, label: string): Promise<boolean> {
    const before = this.client;
    if (!before) return false;
    this.client = merged(before, patch);
    try {
      this.#take(await patchClient(this.id, patch));
      return true;
    } catch (error) {
      this.client = putBack(this.client, before, patch);
      toasts.show('error', t().clients.save_failed(label), {
        text: errorText(error),
        action: { label: t().retry, act: () => void this.edit(patch, label) },
      });
      return false;
    }
  }

  /** The note is being typed: saved when the typing rests. */
  typeNote(text: string): void {
    this.draft = text;
    this.note = 'rest';
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.saveNote(), NOTE_SAVED_AFTER_MS);
  }

  async saveNote(): Promise<void> {
    clearTimeout(this.#timer);
    const text = this.draft;
    if (text === null || this.note === 'saving') return;
    const value: FieldValue = text.trim() ? text : null;
    this.note = 'saving';
    try {
      const client = await patchClient(this.id, { fields: { [NOTE_FIELD]: value } });
      this.#take(client);
      this.note = 'saved';
      this.note_saved_at = Date.parse(client.updated_at);
      if (this.draft === text) this.draft = null;
      else this.#timer = setTimeout(() => void this.saveNote(), NOTE_SAVED_AFTER_MS);
    } catch {
      // The text stays in the field; the next pause in typing or the link's return sends it again.
      this.note = 'failed';
    }
  }

  #take(client: Client): void {
    this.client = client;
    directory.learn(client);
  }
}

function merged(client: Client, patch: ClientPatch): Client {
  const { fields, ...rest } = patch;
  const next = { ...client, ...rest, fields: { ...client.fields } };
  for (const [key, value] of Object.entries(fields ?? {})) {
    if (value === null) Reflect.deleteProperty(next.fields, key);
    else next.fields[key] = value;
  }
  return next;
}

/** Only what this edit changed goes back; a later edit of another field stays. */
function putBack(now: Client, before: Client, patch: ClientPatch): Client {
  const { fields, ...rest } = patch;
  const back = { ...now };
  for (const key of Object.keys(rest) as (keyof typeof rest)[]) Object.assign(back, { [key]: before[key] });
  if (fields) {
    back.fields = { ...now.fields };
    for (const key of Object.keys(fields)) {
      const old = before.fields[key];
      if (old === undefined) Reflect.deleteProperty(back.fields, key);
      else back.fields[key] = old;
    }
  }
  return back;
}

class Cards {
  #kept = new Map<string, CardState>();

  /** The card's state, made on the first call; the least used one is let go when there are too many. */
  of(id: string): CardState {
    const card = this.#kept.get(id) ?? new CardState(id);
    this.#kept.delete(id);
    this.#kept.set(id, card);
    if (this.#kept.size > MOST_KEPT) {
      const oldest = [...this.#kept.values()].find((one) => one.draft === null);
      if (oldest) this.#kept.delete(oldest.id);
    }
    return card;
  }

  /** A call of this card changed: the timeline is read anew when somebody has looked at it. */
  refresh(id: string | null): void {
    const card = id ? this.#kept.get(id) : undefined;
    if (card?.is_timeline_loaded) void card.loadTimeline();
  }

  /** The link is back: notes that could not be saved are sent again, open cards are read anew. */
  resend(): void {
    for (const card of this.#kept.values()) if (card.note === 'failed') void card.saveNote();
  }

  forget(): void {
    this.#kept.clear();
  }
}

export const cards = new Cards();
