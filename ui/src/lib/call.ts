// What a call says about itself: who is on the other side, how long they waited and talked, whether anybody answered.
// Pure; the words for it are in the dictionaries.
import type { Call, Leg, Party } from '../api/types';

/** Where a call was sent when that is not a number: `user:boris`, `queue:sales`. */
export interface Target {
  kind: string;
  name: string;
}

export interface OtherParty extends Party {
  target: Target | null;
}

/** The party that is not us: who called, or whom we called. Of an internal call others see the one who called. */
export function otherParty(call: Call, me: string | null = null): OtherParty {
  const made_by_me = call.legs.some((leg) => leg.agent === me && leg.role === 'caller');
  if (call.kind === 'inbound' || (call.kind === 'internal' && !made_by_me)) return { ...call.from, target: null };
  const display = call.legs.find((leg) => leg.role === 'external')?.party.display ?? null;
  const [, kind, name] = /^(user|extension|queue|ivr|voicemail|trunk|external):(.+)$/.exec(call.to) ?? [];
  if (!kind || !name) return { number: call.to || null, display, target: null };
  return kind === 'external' ? { number: name, display, target: null } : { number: null, display, target: { kind, name } };
}

/** The leg of the person who took (or made) the call on our side. */
export function agentLeg(call: Call): Leg | null {
  const agents = call.legs.filter((leg) => leg.role === 'agent' || leg.agent !== null);
  const answered = agents.filter((leg) => leg.answered_at !== null);
  return answered.find((leg) => leg.agent === call.agent) ?? answered.at(-1) ?? null;
}

/** When two people began to talk; null when they never did. */
export function talkBegan(call: Call): number | null {
  if (call.kind === 'inbound') return time(agentLeg(call)?.answered_at);
  const answerer =
    call.kind === 'outbound' ? call.legs.find((leg) => leg.role === 'external') : call.legs.find((leg) => leg.role === 'agent');
  if (answerer) return time(answerer.answered_at);
  return time(call.answered_at);
}

export function wasAnswered(call: Call): boolean {
  return talkBegan(call) !== null;
}

export function talkMs(call: Call, now: number): number {
  const began = talkBegan(call);
  return began === null ? 0 : Math.max(0, (time(call.ended_at) ?? now) - began);
}

/** From the first ring to the first word, or to the end. */
export function waitMs(call: Call, now: number): number {
  const until = talkBegan(call) ?? time(call.ended_at) ?? now;
  return Math.max(0, until - Date.parse(call.started_at));
}

/** A call to us that nobody answered. */
export function isMissed(call: Call): boolean {
  return call.state === 'ended' && call.kind === 'inbound' && !wasAnswered(call) && call.cause !== 'merged';
}

/** Offered to this agent, but they did not talk. */
export function isMissedBy(call: Call, me: string): boolean {
  if (call.state !== 'ended' || call.kind === 'outbound' || call.cause === 'merged') return false;
  const mine = call.legs.filter((leg) => leg.agent === me && leg.role === 'agent');
  return mine.length > 0 ? mine.every((leg) => leg.answered_at === null) : isMissed(call);
}

/** We called and did not get through. */
export function hasFailed(call: Call): boolean {
  return call.state === 'ended' && call.kind !== 'inbound' && !wasAnswered(call);
}

export interface Step {
  at: string;
  kind: 'arrived' | 'dialled' | 'agent_rang' | 'agent_answered' | 'agent_missed' | 'ended';
  agent: string | null;
}

/** The way of a call in its order: it came, it rang at these agents, one answered, it ended. */
export function stepsOf(call: Call): Step[] {
  const first: Step = { at: call.started_at, kind: call.kind === 'inbound' ? 'arrived' : 'dialled', agent: null };
  const steps = call.legs.filter((leg) => leg.role === 'agent' && leg.agent !== null).flatMap(stepsOfLeg);
  const last: Step[] = call.ended_at ? [{ at: call.ended_at, kind: 'ended', agent: null }] : [];
  return [first, ...steps.sort((a, b) => Date.parse(a.at) - Date.parse(b.at)), ...last];
}

function stepsOfLeg(leg: Leg): Step[] {
  const rang: Step = { at: leg.started_at, kind: 'agent_rang', agent: leg.agent };
  if (leg.answered_at) return [rang, { at: leg.answered_at, kind: 'agent_answered', agent: leg.agent }];
  if (leg.ended_at) return [rang, { at: leg.ended_at, kind: 'agent_missed', agent: leg.agent }];
  return [rang];
}

function time(at: string | null | undefined): number | null {
  return at ? Date.parse(at) : null;
}
