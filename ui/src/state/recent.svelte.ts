// The agent's own past calls on the desk: which are shown, which one is open beside the list.
import type { Call } from '../api/types';
import { isMissedBy } from '../lib/call';
import { desk } from './desk.svelte';
import { session } from './session.svelte';

class Recent {
  tab = $state<'all' | 'missed'>('all');
  picked_id = $state<string | null>(null);

  get missed(): readonly Call[] {
    const me = session.me?.login ?? '';
    return desk.recent.filter((call) => isMissedBy(call, me));
  }
  get list(): readonly Call[] {
    return this.tab === 'missed' ? this.missed : desk.recent;
  }
  /** The open one; the first of the list until one is picked. */
  get picked(): Call | null {
    return this.list.find((call) => call.id === this.picked_id) ?? this.list[0] ?? null;
  }
  move(step: 1 | -1): void {
    const at = this.list.findIndex((call) => call.id === this.picked?.id);
    const next = this.list[Math.max(0, Math.min(this.list.length - 1, at + step))];
    if (next) this.picked_id = next.id;
  }
}

export const recent = new Recent();
