// The live stream as the desk sees it: starts after sign-in, feeds every state, and says how the link is.
import { Live, browserPlatform } from '../api/live';
import { getMe } from '../api/endpoints';
import type { Event } from '../api/types';
import { clock } from './clock.svelte';
import { session } from './session.svelte';

export type Link = 'off' | 'connecting' | 'ok' | 'lost' | 'catching' | 'restored' | 'reloaded';

const RESTORED_SHOWN_MS = 2_000;
const PROBE_MS = 10_000;
const PROBE_TIMEOUT_MS = 5_000;

export interface LiveListeners {
  /** Load the present: the stream began from now. */
  load(): Promise<void>;
  event(event: Event, replayed: boolean): void;
}

class LiveState {
  link = $state<Link>('off');
  /** When the link was lost, in our own milliseconds. */
  lost_at = $state<number | null>(null);
  /** Events that came late, during or after catching up. */
  replayed = $state(0);
  /** A round trip to the server; null when the last one failed. */
  rtt_ms = $state<number | null>(null);
  #live: Live | null = null;
  #listeners: LiveListeners | null = null;
  #waiting: { event: Event; replayed: boolean }[] | null = null;
  #was_lost = false;
  #probe: ReturnType<typeof setInterval> | undefined;
  #calm: ReturnType<typeof setTimeout> | undefined;

  get is_lost(): boolean {
    return this.link === 'lost';
  }

  start(listeners: LiveListeners): void {
    this.#listeners = listeners;
    if (this.#live) {
      // Signed in again over the page: go on after the last event.
      this.#live.start(this.#live.seq);
      return;
    }
    this.link = 'connecting';
    this.#live = new Live(
      {
        opened: (resumed) => void this.#opened(resumed),
        event: (event, replayed) => this.#event(event, replayed),
        caughtUp: (replayed) => this.#caughtUp(replayed),
        lost: () => this.#lost(),
        signedOut: () => session.expire(),
        expired: () => this.#lost(),
        refused: () => void getMe().catch(() => undefined),
      },
      browserPlatform,
    );
    this.#live.start();
    this.#probe = setInterval(() => void this.#measure(), PROBE_MS);
    void this.#measure();
    addEventListener('online', this.#onOnline);
    addEventListener('offline', this.#onOffline);
  }

  stop(): void {
    this.#live?.stop();
    this.#live = null;
    clearInterval(this.#probe);
    removeEventListener('online', this.#onOnline);
    removeEventListener('offline', this.#onOffline);
    this.link = 'off';
    this.lost_at = null;
    this.#was_lost = false;
  }

  #onOnline = () => this.#live?.reopen();
  #onOffline = () => this.#lost();

  async #opened(resumed: boolean): Promise<void> {
    if (resumed) {
      this.replayed = 0;
      if (this.#was_lost) this.link = 'catching';
      return;
    }
    // From now on events are kept until the present is loaded, then told in their order.
    this.#waiting = [];
    for (let tries = 0; this.#waiting; tries += 1) {
      try {
        await this.#listeners?.load();
        const waiting = this.#waiting;
        this.#waiting = null;
        for (const { event, replayed } of waiting) this.#listeners?.event(event, replayed);
      } catch {
        if (!this.#live || tries > 20) return;
        await new Promise((done) => setTimeout(done, 1_000));
      }
    }
    this.#settle(this.#was_lost ? 'reloaded' : 'ok');
  }

  #event(event: Event, replayed: boolean): void {
    if (!replayed) clock.heard(Date.parse(event.at));
    if (replayed) this.replayed += 1;
    if (this.#waiting) this.#waiting.push({ event, replayed });
    else this.#listeners?.event(event, replayed);
  }

  #caughtUp(replayed: number): void {
    this.replayed = replayed;
    this.#settle(this.#was_lost ? 'restored' : 'ok');
  }

  #lost(): void {
    this.#was_lost = true;
    if (this.link !== 'lost') {
      this.link = 'lost';
      this.lost_at = Date.now();
    }
    this.rtt_ms = null;
  }

  /** Says "back online" for a moment, but only when the loss was long enough to be seen. */
  #settle(link: 'ok' | 'restored' | 'reloaded'): void {
    const was_seen = this.lost_at !== null && Date.now() - this.lost_at >= 1_000;
    this.lost_at = null;
    this.#was_lost = false;
    this.link = was_seen ? link : 'ok';
    clearTimeout(this.#calm);
    if (this.link !== 'ok') this.#calm = setTimeout(() => this.link !== 'lost' && (this.link = 'ok'), RESTORED_SHOWN_MS);
  }

  /** A half-dead socket says nothing for minutes; a small request tells at once, and gives the round trip. */
  async #measure(): Promise<void> {
    const started = performance.now();
    try {
      const response = await fetch('/healthz', { cache: 'no-store', signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) });
      if (!response.ok && response.status >= 500) throw new Error('unhealthy');
      this.rtt_ms = Math.max(1, Math.round(performance.now() - started));
    } catch {
      if (this.#live && this.link !== 'lost') {
        this.#lost();
        this.#live.reopen();
      }
    }
  }
}

export const live = new LiveState();
