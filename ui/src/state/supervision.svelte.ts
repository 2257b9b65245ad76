// Listening to others' calls: what this supervisor asked for, in which mode they are, and who listens to what. The phone in
// the page answers the call that it asked for by itself; a desk phone does so too.
import { leaveCall, superviseCall } from '../api/endpoints';
import { ApiError } from '../api/http';
import { SvelteMap } from 'svelte/reactivity';
import type { Event, SupervisionMode } from '../api/types';
import { t } from '../i18n/index.svelte';
import type { Line } from '../phone/words';
import { clock } from './clock.svelte';
import { errorText } from './errors';
import { floor } from './floor.svelte';
import { phone } from './phone.svelte';
import { session } from './session.svelte';
import { toasts } from './toasts.svelte';

export interface Listening {
  call_id: string;
  mode: SupervisionMode;
  /** When we came in, in server milliseconds. */
  since: number;
  /** Our phone has answered and the server says that we are in. */
  is_in: boolean;
}

const KEPT = 'perezvon.listening';
/** As long as the server keeps the place of a page that was reloaded. */
const RETURN_MS = 15_000;

class Supervision {
  mine = $state.raw<Listening | null>(null);
  /** The mode that was asked for and is not there yet. */
  asked = $state<SupervisionMode | null>(null);
  /** Who listens, by call. */
  readonly others = new SvelteMap<string, readonly { login: string; mode: SupervisionMode }[]>();
  /** Our own phone's side of it, when the phone is in this page. */
  readonly line: Line | null = $derived(
    this.mine ? (phone.lines.find((line) => line.call_id === this.mine?.call_id) ?? null) : null,
  );

  /** Comes in, or changes the mode. */
  async listen(call_id: string, mode: SupervisionMode): Promise<void> {
    if (this.asked) return;
    const before = this.mine;
    if (before && before.call_id !== call_id) {
      await this.leave();
      if (this.mine) return;
    }
    this.asked = mode;
    // The ring may be faster than the answer to our request.
    if (!this.mine) this.#set({ call_id, mode, since: clock.exact(), is_in: false });
    try {
      await superviseCall(call_id, mode);
      this.#enter(call_id, mode);
    } catch (error) {
      if (this.mine && !this.mine.is_in) this.#set(null);
      toasts.show('error', t().supervise.failed, { text: errorText(error) });
    } finally {
      this.asked = null;
    }
  }

  async leave(): Promise<void> {
    const call_id = this.mine?.call_id;
    if (!call_id) return;
    try {
      await leaveCall(call_id);
    } catch (error) {
      // The server says that we are not in it: then so do we.
      const is_out = error instanceof ApiError && (error.status === 409 || error.status === 404);
      if (!is_out) {
        toasts.show('error', t().supervise.leave_failed, { text: errorText(error) });
        return;
      }
    }
    this.#out(call_id);
  }

  apply(event: Event): void {
    if (event.type === 'call.ended') {
      this.others.delete(event.data.id);
      this.#out(event.data.id);
      return;
    }
    if (event.type !== 'call.supervised' || !event.call_id) return;
    const { supervisor, mode } = event.data;
    const rest = (this.others.get(event.call_id) ?? []).filter((one) => one.login !== supervisor);
    this.others.set(event.call_id, mode ? [...rest, { login: supervisor, mode }] : rest);
    if (supervisor !== session.me?.login) return;
    if (mode) this.#enter(event.call_id, mode, Date.parse(event.at));
    else this.#out(event.call_id);
  }

  /** After the present was loaded: what was listened to before a reload, if it still goes on. */
  recover(): void {
    this.others.clear();
    const kept = this.mine ?? read();
    if (!kept) return;
    if (!floor.calls.has(kept.call_id)) {
      this.#set(null);
      return;
    }
    this.#set(kept);
    setTimeout(() => {
      if (phone.is_on && this.mine?.call_id === kept.call_id && !this.line) this.#out(kept.call_id);
    }, RETURN_MS);
  }

  /** Answers the call that was asked for, and keeps the microphone shut where nobody is to hear it. */
  attend(): void {
    const { line, mine } = this;
    if (!line || !mine) return;
    if (line.phase === 'ringing' && line.is_asked_for) void phone.answer(line);
    if (line.phase === 'talking' && this.#quieted !== `${line.id} ${mine.mode}`) {
      this.#quieted = `${line.id} ${mine.mode}`;
      phone.mute(line, mine.mode === 'listen');
    }
  }
  /** The line and mode that the microphone was last set for; afterwards it is the person's own choice. */
  #quieted = '';

  forget(): void {
    this.others.clear();
    this.#set(null);
  }

  #enter(call_id: string, mode: SupervisionMode, at?: number): void {
    const was = this.mine?.call_id === call_id ? this.mine : null;
    const is_in = at !== undefined || (was?.is_in ?? false);
    const since = was?.is_in ? was.since : (at ?? clock.exact());
    this.#set({ call_id, mode, since, is_in });
  }

  #out(call_id: string): void {
    if (this.mine?.call_id === call_id) this.#set(null);
  }

  #set(mine: Listening | null): void {
    this.mine = mine;
    if (mine) sessionStorage.setItem(KEPT, JSON.stringify(mine));
    else {
      sessionStorage.removeItem(KEPT);
      this.#quieted = '';
    }
  }
}

function read(): Listening | null {
  try {
    return JSON.parse(sessionStorage.getItem(KEPT) ?? 'null') as Listening | null;
  } catch {
    return null;
  }
}

export const supervision = new Supervision();
