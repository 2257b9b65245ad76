// Whether what is said now is recorded, and why not: moved by the stream, changed by the people in the call. What the server
// keeps as marks is read back after a reload.
import { SvelteMap, SvelteSet } from 'svelte/reactivity';
import { getRecording, steerRecording } from '../api/endpoints';
import { ApiError } from '../api/http';
import type { Event, MarkKind, RecordingAction } from '../api/types';
import { t } from '../i18n/index.svelte';
import { clock } from './clock.svelte';
import { errorText } from './errors';
import { toasts } from './toasts.svelte';

export type Why = 'paused' | 'masked' | 'stopped';

export interface Shut {
  why: Why;
  /** In server milliseconds. */
  since: number;
}

const SHUTS: Record<Why, { does: RecordingAction; undoes: RecordingAction; end: MarkKind }> = {
  paused: { does: 'pause', undoes: 'resume', end: 'unpaused' },
  masked: { does: 'mask', undoes: 'unmask', end: 'unmasked' },
  stopped: { does: 'stop', undoes: 'start', end: 'started' },
};
const WHYS = Object.keys(SHUTS) as Why[];

class Taping {
  /** Calls whose recording leaves out what is said, by call. */
  readonly shut = new SvelteMap<string, Shut>();
  /** Calls whose recording the disk refuses at this moment. */
  readonly broken = new SvelteSet<string>();
  /** Calls where an action is on its way. */
  readonly pending = new SvelteSet<string>();
  #read = new Set<string>();

  apply(event: Event): void {
    switch (event.type) {
      case 'recording.paused':
        this.#shut(event.data.call_id, lastWhy(event.data.marks) ?? this.shut.get(event.data.call_id)?.why ?? 'paused', event.at);
        break;
      case 'recording.started':
      case 'recording.resumed':
        this.shut.delete(event.data.call_id);
        this.broken.delete(event.data.call_id);
        break;
      case 'recording.failed':
        this.broken.add(event.data.call_id);
        break;
      case 'call.ended':
        this.shut.delete(event.data.id);
        this.broken.delete(event.data.id);
        break;
      default:
    }
  }

  /** Shuts an open recording for this reason, opens a shut one. */
  async toggle(call_id: string, why: Why = 'paused'): Promise<void> {
    const now = this.shut.get(call_id);
    if (this.pending.has(call_id)) return;
    this.pending.add(call_id);
    try {
      if (now && now.why !== 'stopped' && why === 'stopped') {
        await steerRecording(call_id, 'stop');
        this.#shut(call_id, 'stopped');
      } else if (now) await this.#open(call_id, now.why);
      else {
        await steerRecording(call_id, SHUTS[why].does);
        this.#shut(call_id, why);
      }
    } catch (error) {
      toasts.show('error', t().taping.failed, { text: errorText(error) });
    } finally {
      this.pending.delete(call_id);
    }
  }

  /** A call that was going on before this page: its marks tell. */
  async learn(call_id: string, recording_id: string): Promise<void> {
    if (this.#read.has(recording_id)) return;
    this.#read.add(recording_id);
    try {
      const recording = await getRecording(recording_id);
      if (recording.state === 'failed') this.broken.add(call_id);
      const why = recording.state === 'recording' ? lastWhy(recording.marks) : null;
      if (why && !this.shut.has(call_id)) this.shut.set(call_id, { why, since: clock.exact() });
    } catch {
      // The strip says "recording", which it was when the server last told.
    }
  }

  forget(): void {
    this.shut.clear();
    this.broken.clear();
    this.#read.clear();
  }

  /** Only its own opposite opens a recording; another person may have shut it for another reason than we know. */
  async #open(call_id: string, known: Why): Promise<void> {
    for (const why of [known, ...WHYS.filter((one) => one !== known)]) {
      try {
        await steerRecording(call_id, SHUTS[why].undoes);
        break;
      } catch (error) {
        const is_other = error instanceof ApiError && error.status === 409 && why !== WHYS.at(-1);
        if (!is_other) throw error;
      }
    }
    this.shut.delete(call_id);
  }

  #shut(call_id: string, why: Why, at?: string): void {
    const was = this.shut.get(call_id);
    this.shut.set(call_id, { why, since: was?.since ?? (at ? Date.parse(at) : clock.exact()) });
  }
}

/** The reason that no later mark took back. */
export function lastWhy(marks: readonly { kind: MarkKind }[]): Why | null {
  let why: Why | null = null;
  for (const { kind } of marks) {
    const begun = WHYS.find((one) => one === kind);
    if (begun) why = begun;
    else if (WHYS.some((one) => SHUTS[one].end === kind)) why = null;
  }
  return why;
}

export const taping = new Taping();
