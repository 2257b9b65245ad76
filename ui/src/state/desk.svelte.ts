// The agent's own calls on the page: contacts moved by the stream, what the agent asks of them, and whose card is shown.
import { getCalls, hangUp, lookUp, patchClient, setMyState, startCall } from '../api/endpoints';
import type { Agent, Call, CardBrief, Event, Lookup, Pop, WantedState } from '../api/types';
import { t } from '../i18n/index.svelte';
import { isMissedBy, otherParty } from '../lib/call';
import { cards } from './card.svelte';
import { clock } from './clock.svelte';
import type { Contact } from './contacts';
import { NOBODY, applyEvent, applySnapshot, contactOf, foremost, setChosen, setPop, sweep } from './contacts';
import { directory } from './directory.svelte';
import { errorText } from './errors';
import { floor } from './floor.svelte';
import { session } from './session.svelte';
import { toasts } from './toasts.svelte';

const RECENT = 60;

class Desk {
  contacts = $state.raw<readonly Contact[]>([]);
  /** The call whose card is shown when the agent picked one by hand. */
  picked = $state<string | null>(null);
  /** Calls whose hang-up is on its way. */
  ending = $state.raw<ReadonlySet<string>>(new Set());
  /** Calls placed from this page. */
  dialed = $state.raw<ReadonlySet<string>>(new Set());
  is_dialing = $state(false);
  is_changing_state = $state(false);
  recent = $state.raw<readonly Call[]>([]);
  recent_error = $state.raw<unknown>(null);
  is_recent_loaded = $state(false);

  /** The contact of the strip. */
  get foremost(): Contact | null {
    return foremost(this.contacts);
  }
  /** The contact of the columns. */
  get shown(): Contact | null {
    const picked = this.contacts.find((contact) => contact.call_id === this.picked && contact.phase !== 'gone');
    const first = picked ?? this.foremost;
    return first?.phase === 'gone' ? null : first;
  }
  /** Calls beside the one in the strip. */
  get others(): readonly Contact[] {
    const first = this.foremost;
    return this.contacts.filter((contact) => contact !== first);
  }
  get is_ringing(): boolean {
    return this.contacts.some((contact) => contact.phase === 'ringing');
  }

  apply(event: Event): void {
    const me = session.me?.login;
    if (!me) return;
    if (event.type === 'pop.shown') this.#learn(event.data);
    this.contacts = applyEvent(this.contacts, event, me);
    if (event.type === 'call.ended') this.#afterEnd(event.data);
    if (event.type === 'recording.ready') cards.refresh(directory.call(event.data.call_id)?.card_id ?? null);
    if (event.type === 'pop.retracted') void this.loadRecent();
    this.#identifyAll();
  }

  /** Takes over the present after loading it. */
  async snapshot(open: readonly Call[]): Promise<void> {
    const me = session.me?.login;
    if (!me) return;
    const mine = floor.mine;
    this.contacts = applySnapshot(this.contacts, open, mine, me, clock.exact());
    this.#identifyAll();
    await this.loadRecent();
    this.#recoverWrapUp(mine);
  }

  sweep(now: number): void {
    this.contacts = sweep(this.contacts, now);
  }

  forget(): void {
    this.contacts = [];
    this.recent = [];
    this.is_recent_loaded = false;
    this.picked = null;
    this.dialed = new Set();
    cards.forget();
  }

  async loadRecent(): Promise<void> {
    const me = session.me;
    if (!me) return;
    try {
      const page = await getCalls({ agent: me.login, active: false, limit: RECENT });
      this.recent = page.items;
      this.recent_error = null;
      this.is_recent_loaded = true;
      for (const call of page.items) directory.learnCall(call);
    } catch (error) {
      this.recent_error = error;
    }
  }

  /** The card of a contact: chosen by hand, else matched, else the call's own. */
  cardId(contact: Contact): string | null {
    if (contact.chosen === NOBODY) return null;
    if (contact.chosen) return contact.chosen;
    if (contact.pop?.match === 'ambiguous') return null;
    return contact.pop?.card?.id ?? contact.call?.card_id ?? null;
  }

  brief(contact: Contact): CardBrief | null {
    const id = this.cardId(contact);
    if (!id) return null;
    if (contact.pop?.card?.id === id) return contact.pop.card;
    return contact.pop?.candidates.find((candidate) => candidate.card.id === id)?.card ?? null;
  }

  choose(contact: Contact, card_id: string | null): void {
    this.contacts = setChosen(this.contacts, contact.call_id, card_id);
  }

  /** The name of an unknown caller, written into the stub card. */
  async nameStub(card_id: string, name: string): Promise<void> {
    try {
      directory.learn(await patchClient(card_id, { name }));
      await cards.of(card_id).load(true);
      toasts.show('done', t().pop.name_saved);
    } catch (error) {
      toasts.show('error', t().clients.save_failed(t().clients.name), { text: errorText(error) });
      throw error;
    }
  }

  async hangUp(call_id: string): Promise<void> {
    if (this.ending.has(call_id)) return;
    this.markEnding(call_id);
    try {
      await hangUp(call_id);
    } catch (error) {
      toasts.show('error', t().calls.hang_up_failed, { text: errorText(error) });
    }
  }

  /** The button says "hanging up" until the stream tells that the call has ended, or for two seconds. */
  markEnding(call_id: string): void {
    this.ending = new Set([...this.ending, call_id]);
    setTimeout(() => (this.ending = new Set([...this.ending].filter((id) => id !== call_id))), 2_000);
  }

  /** Rings our phone, then dials `to`. */
  async call(to: string, name: string): Promise<void> {
    if (this.is_dialing) return;
    this.is_dialing = true;
    try {
      const call = await startCall(to);
      this.dialed = new Set([...this.dialed, call.id]);
      const me = session.me?.login;
      if (me) this.contacts = applySnapshotOne(this.contacts, call, me);
      this.#identifyAll();
    } catch (error) {
      toasts.show('error', t().calls.call_failed, { text: `${name}: ${errorText(error)}` });
    } finally {
      this.is_dialing = false;
    }
  }

  async setState(state: WantedState, reason?: string): Promise<void> {
    if (this.is_changing_state) return;
    this.is_changing_state = true;
    try {
      floor.put(await setMyState(state, reason));
    } catch (error) {
      toasts.show('error', t().state_menu.failed, { text: errorText(error) });
    } finally {
      this.is_changing_state = false;
    }
  }

  #learn(pop: Pop): void {
    if (pop.card) directory.learnBrief(pop.card, pop.caller.number);
    for (const { card } of pop.candidates) directory.learnBrief(card, pop.caller.number);
  }

  #afterEnd(call: Call): void {
    directory.learnCall(call);
    cards.refresh(call.card_id);
    const me = session.me?.login;
    if (me && (call.agent === me || call.legs.some((leg) => leg.agent === me) || isMissedBy(call, me))) void this.loadRecent();
  }

  /** Calls without a pop (after a reload, or dialled by us) and pops that came late are looked up by their number; colleagues are not clients. */
  #identifyAll(): void {
    for (const contact of this.contacts) {
      if (contact.call?.kind === 'internal') continue;
      const needs = contact.pop ? contact.pop.late && !contact.pop.card : contact.call !== null;
      if (needs && contact.phase !== 'gone' && !this.#asked.has(contact.call_id)) void this.#identify(contact);
    }
  }

  #asked = new Set<string>();

  async #identify(contact: Contact): Promise<void> {
    const call = contact.call;
    const number = contact.pop?.caller.number ?? (call ? otherParty(call, session.me?.login).number : null);
    this.#asked.add(contact.call_id);
    if (!number) return;
    try {
      const found = await lookUp(number);
      for (const { card } of found.candidates) directory.learnBrief(card, number);
      if (found.card) directory.learnBrief(found.card, number);
      this.contacts = setPop(this.contacts, contact.call_id, popOf(found, contact, number));
    } catch {
      // The strip still shows the number; the next event tries again.
      this.#asked.delete(contact.call_id);
    }
  }

  /** After a reload in wrap-up the server names no call: it is the last one we talked on. */
  #recoverWrapUp(mine: Agent | null): void {
    if (mine?.state !== 'wrap_up' || this.contacts.length > 0) return;
    const last = this.recent[0];
    if (last) this.contacts = [{ ...contactOf(last.id, 'after', Date.parse(mine.since)), call: last }];
    this.#identifyAll();
  }
}

function popOf(found: Lookup, contact: Contact, number: string): Pop {
  const call = contact.call;
  const caller = contact.pop?.caller ?? { number, display: call?.from.display ?? null };
  return {
    pop_id: contact.pop?.pop_id ?? `lookup:${contact.call_id}`,
    caller,
    called: contact.pop?.called ?? call?.to ?? '',
    queue: contact.pop?.queue ?? call?.queue ?? null,
    match: found.match,
    reason: found.reason,
    card: found.card,
    candidates: found.candidates,
    late: false,
  };
}

function applySnapshotOne(contacts: readonly Contact[], call: Call, me: string): readonly Contact[] {
  const at = new Date().toISOString();
  return applyEvent(contacts, { seq: 0, at, type: 'call.started', call_id: call.id, agent: me, data: call }, me);
}

export const desk = new Desk();
