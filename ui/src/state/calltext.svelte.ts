// A call in one line of words: what it was, how long, how it ended.
import type { Call } from '../api/types';
import { fmt, t } from '../i18n/index.svelte';
import { hasFailed, isMissed, talkMs, waitMs, wasAnswered } from '../lib/call';

export function callTitle(call: Call, now: number): string {
  if (call.state !== 'ended') return `${t().call_titles[call.kind]} · ${t().call_states[call.state].toLocaleLowerCase()}`;
  if (isMissed(call)) return `${causeText(call)}, ${fmt.timer(waitMs(call, now))}`;
  if (hasFailed(call)) return `${t().call_titles[call.kind]}: ${causeText(call).toLocaleLowerCase()}`;
  return `${t().call_titles[call.kind]}, ${fmt.timer(talkMs(call, now))}`;
}

export function causeText(call: Call): string {
  return call.cause ? t().causes[call.cause] : t().call_states[call.state];
}

/** How it ended, with the side that ended it where that says more than the cause. */
export function resultText(call: Call): string {
  if (call.cause === 'normal' && call.ended_by) return t().ended_by[call.ended_by];
  return causeText(call).toLocaleLowerCase();
}

export type CallLook = 'in' | 'out' | 'internal' | 'missed';

export function lookOf(call: Call): CallLook {
  if (isMissed(call) || (call.state === 'ended' && !wasAnswered(call))) return 'missed';
  if (call.kind === 'inbound') return 'in';
  return call.kind === 'outbound' ? 'out' : 'internal';
}
