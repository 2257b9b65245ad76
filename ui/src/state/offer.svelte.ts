// How an offer stands in time: how long it stays with this agent, how long the caller has waited.
import { clock } from './clock.svelte';
import type { Contact } from './contacts';
import { floor } from './floor.svelte';

export interface OfferTime {
  left_ms: number;
  whole_ms: number;
}

/** Null when the call does not move on by itself: it came outside a queue, or the queue is not known to us. */
export function offerLeft(queue: string | null): OfferTime | null {
  const mine = floor.mine;
  if (mine?.state !== 'ringing' || !queue) return null;
  const seconds = floor.queues.find((one) => one.name === queue)?.ring_seconds;
  const began = Date.parse(mine.since);
  const until = mine.until ? Date.parse(mine.until) : seconds ? began + seconds * 1000 : null;
  if (until === null) return null;
  return { left_ms: Math.max(0, until - clock.now), whole_ms: Math.max(1_000, until - began) };
}

/** Since the call came to us at all, not since it rings here; null while the call itself is not known. */
export function waitedIn(contact: Contact, now: number): number | null {
  return contact.call ? Math.max(0, now - Date.parse(contact.call.started_at)) : null;
}
