// The parties of one call by name, for its own page.
import type { Call } from '../api/types';
import { t } from '../i18n/index.svelte';
import { otherParty } from '../lib/call';
import { formatPhone } from '../lib/phone';
import { floor } from './floor.svelte';
import { whoOf } from './naming.svelte';

/** Whose leg it is; a supervisor's is not among the call's legs. */
export function partyOf(call: Call, leg_id: string): string {
  const leg = call.legs.find((one) => one.id === leg_id);
  if (!leg) return t().quality.listener;
  if (leg.agent) return floor.nameOf(leg.agent);
  if (leg.party.number !== null && leg.party.number === otherParty(call).number) return whoOf(call).name;
  return leg.party.display ?? (leg.party.number ? formatPhone(leg.party.number) : t().phone.withheld);
}
