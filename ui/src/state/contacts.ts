// What the phone strip and the desk know of this agent's calls: a list of contacts, moved by events. Pure: the same list
// and the same event give the same list, so a resent pop or a replayed event changes nothing twice.
import type { Agent, Call, EndCause, Event, Pop, RetractReason } from '../api/types';
import { assertNever } from '../lib/assert';
import { talkBegan } from '../lib/call';

/**
 * ```text
 * ringing ──→ talking ⇄ held ──→ after ──→ (the agent is ready again)
 *    │           ↑                 ↑
 *    │        dialing ─────────────┘ not answered: gone
 *    └──→ gone ──→ (three seconds)
 * ```
 */
export type Phase = 'ringing' | 'dialing' | 'talking' | 'held' | 'after' | 'gone';

export interface Gone {
  reason: RetractReason | 'ended';
  cause: EndCause | null;
  /** Login of the agent who answered instead. */
  by: string | null;
}

export interface Contact {
  call_id: string;
  phase: Phase;
  /** When the phase began, in server milliseconds. */
  since: number;
  pop: Pop | null;
  call: Call | null;
  gone: Gone | null;
  /** The card that the agent chose among the candidates; `none` when none of them fits. */
  chosen: string | null;
}

export const NOBODY = 'none';
export const GONE_FOR_MS = 3_000;

export function contactOf(call_id: string, phase: Phase, since: number): Contact {
  return { call_id, phase, since, pop: null, call: null, gone: null, chosen: null };
}

/** The contacts after one event of the stream. Events of other people's calls leave the list as it is. */
export function applyEvent(contacts: readonly Contact[], event: Event, me: string): readonly Contact[] {
  switch (event.type) {
    case 'pop.shown':
      return event.agent === me && event.call_id ? shown(contacts, event.call_id, event.data, ms(event.at)) : contacts;
    case 'pop.retracted':
      return retracted(contacts, event.data.pop_id, event.data.reason, ms(event.at));
    case 'call.started':
    case 'call.queued':
    case 'call.offered':
    case 'call.answered':
    case 'call.held':
    case 'call.resumed':
    case 'call.transferred':
    case 'call.merged':
    case 'call.parked':
    case 'call.ended':
      return called(contacts, event.data, ms(event.at), me);
    case 'agent.state_changed':
      return event.data.login === me ? stated(contacts, event.data) : contacts;
    case 'call.leg_lost':
    case 'call.leg_returned':
    case 'call.supervised':
      // Nobody's part in a call changes by these.
      return contacts;
    case 'recording.started':
    case 'recording.paused':
    case 'recording.resumed':
    case 'recording.ready':
    case 'recording.failed':
      return recorded(contacts, event.data.call_id, event.data.id);
    default:
      assertNever(event);
      return contacts;
  }
}

/** The contacts after loading the present: open calls are taken over, the ones that ended unseen are let go. */
export function applySnapshot(contacts: readonly Contact[], open: readonly Call[], mine: Agent | null, me: string, now: number) {
  const open_ids = new Set(open.map((call) => call.id));
  const in_wrap_up = mine?.state === 'wrap_up';
  let list: readonly Contact[] = contacts.filter(
    (contact) => open_ids.has(contact.call_id) || (contact.phase === 'after' && in_wrap_up),
  );
  for (const call of open) list = called(list, call, now, me);
  return list;
}

/** Drops what has faded: rows that are gone for three seconds. */
export function sweep(contacts: readonly Contact[], now: number): readonly Contact[] {
  const stays = (contact: Contact) => contact.phase !== 'gone' || now - contact.since < GONE_FOR_MS;
  return contacts.every(stays) ? contacts : contacts.filter(stays);
}

/** The contact the strip speaks of: a talk before a ring, a ring before a wrap-up. */
export function foremost(contacts: readonly Contact[]): Contact | null {
  const order: Phase[] = ['talking', 'held', 'ringing', 'dialing', 'after', 'gone'];
  for (const phase of order) {
    const found = contacts.find((contact) => contact.phase === phase);
    if (found) return found;
  }
  return null;
}

export function setChosen(contacts: readonly Contact[], call_id: string, chosen: string | null): readonly Contact[] {
  return replace(contacts, call_id, (contact) => ({ ...contact, chosen }));
}

/** The pop found by a look-up: only where none has come, or the one that came had no card yet. */
export function setPop(contacts: readonly Contact[], call_id: string, pop: Pop): readonly Contact[] {
  return replace(contacts, call_id, (contact) =>
    contact.pop && !(contact.pop.late && !contact.pop.card) ? contact : { ...contact, pop },
  );
}

function shown(contacts: readonly Contact[], call_id: string, pop: Pop, at: number): readonly Contact[] {
  const known = contacts.find((contact) => contact.call_id === call_id);
  if (!known) return [...contacts, { ...contactOf(call_id, 'ringing', at), pop }];
  // A new pop for a call that had gone: it is offered again.
  const again = known.phase === 'gone' && known.pop?.pop_id !== pop.pop_id;
  if (known.phase === 'gone' && !again) return contacts;
  return replace(contacts, call_id, (contact) =>
    again ? { ...contactOf(call_id, 'ringing', at), call: contact.call, pop } : { ...contact, pop },
  );
}

function retracted(contacts: readonly Contact[], pop_id: string, reason: RetractReason, at: number): readonly Contact[] {
  const contact = contacts.find((one) => one.pop?.pop_id === pop_id);
  if (contact?.phase !== 'ringing') return contacts;
  return replace(contacts, contact.call_id, (one) => ({
    ...one,
    phase: 'gone',
    since: at,
    gone: { reason, cause: null, by: null },
  }));
}

function called(contacts: readonly Contact[], call: Call, at: number, me: string): readonly Contact[] {
  const known = contacts.find((contact) => contact.call_id === call.id);
  if (known && call.merged_into) return mergedInto(contacts, known, call.merged_into);
  const phase = phaseOf(call, me);
  if (!known) {
    if (phase === null || phase === 'after' || phase === 'gone') return contacts;
    return [...contacts, { ...contactOf(call.id, phase, sinceOf(call, phase, at)), call }];
  }
  return replace(contacts, call.id, (contact) => moved(contact, call, phase, at, me));
}

function moved(contact: Contact, call: Call, phase: Phase | null, at: number, me: string): Contact {
  if (call.state === 'ended') return ended(contact, call, at);
  if (contact.phase === 'gone') {
    const by = contact.gone?.reason === 'answered_elsewhere' && call.agent !== me ? call.agent : null;
    return by && contact.gone ? { ...contact, call, gone: { ...contact.gone, by } } : { ...contact, call };
  }
  if (contact.phase === 'ringing' && call.state === 'talking' && phase === null) {
    return { ...contact, call, phase: 'gone', since: at, gone: { reason: 'answered_elsewhere', cause: null, by: call.agent } };
  }
  if (phase === null || phase === contact.phase) return { ...contact, call };
  return { ...contact, call, phase, since: sinceOf(call, phase, at) };
}

function ended(contact: Contact, call: Call, at: number): Contact {
  if (contact.phase === 'gone' || contact.phase === 'after') return { ...contact, call };
  if (contact.phase === 'talking' || contact.phase === 'held') return { ...contact, call, phase: 'after', since: at };
  const reason = contact.phase === 'ringing' ? 'abandoned' : 'ended';
  return { ...contact, call, phase: 'gone', since: at, gone: { reason, cause: call.cause, by: null } };
}

function mergedInto(contacts: readonly Contact[], from: Contact, into: string): readonly Contact[] {
  const stays = contacts.some((contact) => contact.call_id === into);
  const rest = contacts.filter((contact) => contact.call_id !== from.call_id);
  return stays ? rest : [...rest, { ...contactOf(into, from.phase, from.since), pop: from.pop, chosen: from.chosen }];
}

/** The agent's own state settles what no call event told: wrap-up is over, or it has begun. */
function stated(contacts: readonly Contact[], mine: Agent): readonly Contact[] {
  if (mine.state === 'wrap_up') {
    return contacts.map((contact) =>
      contact.phase === 'talking' || contact.phase === 'held' ? { ...contact, phase: 'after', since: ms(mine.since) } : contact,
    );
  }
  const free = mine.state === 'ready' || mine.state === 'break' || mine.state === 'offline' || mine.state === 'not_answering';
  return free && contacts.some((contact) => contact.phase === 'after')
    ? contacts.filter((contact) => contact.phase !== 'after')
    : contacts;
}

function recorded(contacts: readonly Contact[], call_id: string, recording_id: string): readonly Contact[] {
  return replace(contacts, call_id, (contact) =>
    contact.call && contact.call.recording_id !== recording_id
      ? { ...contact, call: { ...contact.call, recording_id } }
      : contact,
  );
}

/** This agent's part in a call, or null when it is not theirs (any more). */
export function phaseOf(call: Call, me: string): Phase | null {
  const legs = call.legs.filter((leg) => leg.agent === me);
  const is_mine = call.agent === me || legs.length > 0;
  if (!is_mine) return null;
  if (call.state === 'ended') return 'after';
  const on_it = legs.length ? legs.some((leg) => leg.state !== 'ended') : call.agent === me;
  if (!on_it) return null;
  const has_answered = legs.some((leg) => leg.state === 'answered');
  if (call.state === 'held') return 'held';
  if (call.state === 'talking') return call.agent === me || has_answered ? 'talking' : 'ringing';
  return isMadeBy(call, me) ? 'dialing' : 'ringing';
}

/** Whether this agent placed the call (from their phone or by a click), rather than being called. */
export function isMadeBy(call: Call, me: string): boolean {
  if (call.kind === 'inbound') return false;
  if (call.legs.some((leg) => leg.agent === me && leg.role === 'caller')) return true;
  return call.kind === 'outbound' && (call.agent === me || call.legs[0]?.agent === me);
}

function sinceOf(call: Call, phase: Phase, at: number): number {
  return phase === 'talking' ? (talkBegan(call) ?? at) : at;
}

function replace(contacts: readonly Contact[], call_id: string, change: (contact: Contact) => Contact): readonly Contact[] {
  const list = contacts.map((contact) => (contact.call_id === call_id ? change(contact) : contact));
  return list.some((contact, n) => contact !== contacts[n]) ? list : contacts;
}

function ms(at: string): number {
  return Date.parse(at);
}
