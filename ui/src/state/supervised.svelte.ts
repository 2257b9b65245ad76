// Whose call is listened to, and who may listen: names and reasons for the buttons and the strip.
import type { Call, SupervisionMode } from '../api/types';
import { t } from '../i18n/index.svelte';
import { floor } from './floor.svelte';
import { live } from './live.svelte';
import { whoOf } from './naming.svelte';
import { session } from './session.svelte';

/** The two who talk, by name. */
export function supervisedIn(call_id: string): { agent: string; client: string } {
  const call = floor.calls.get(call_id);
  return { agent: call ? floor.nameOf(call.agent) : '', client: call ? whoOf(call).name : '' };
}

/** Whether this person is somebody who listens to such a call at all; the server decides again. */
export function canListen(call: Call): boolean {
  const is_talk = call.state === 'talking' || call.state === 'held';
  const me = session.me?.login;
  const is_party = call.agent === me || call.legs.some((leg) => leg.agent === me && leg.state === 'answered');
  return session.leads && session.me?.extension != null && is_talk && call.agent !== null && !is_party;
}

/** Why they cannot now; undefined when they can. */
export function whyNotListen(): string | undefined {
  if (live.is_lost) return t().link.disabled;
  if (floor.mine && !floor.mine.registered) return t().errors.unreachable;
  return undefined;
}

/** Who hears the supervisor, in words; the strip has no room for whole names. */
export function heardBy(mode: SupervisionMode, agent: string): string {
  const { heard_by } = t().supervise;
  return mode === 'whisper' ? heard_by.whisper(agent.split(' ')[0] ?? agent) : heard_by[mode];
}
