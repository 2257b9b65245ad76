// Who sits here. Signing in starts the live stream, losing the session puts the sign-in over the page and keeps what is on it.
import { getMe, signIn, signOut } from '../api/endpoints';
import { ApiError, whenServerDate, whenSignedOut } from '../api/http';
import type { Me } from '../api/types';
import { clock } from './clock.svelte';

type Phase = 'starting' | 'signed_out' | 'signed_in';

const RETRY_MS = 2_000;

class Session {
  phase = $state<Phase>('starting');
  me = $state.raw<Me | null>(null);
  /** The session ended while the desk was open: sign in over the page. */
  is_expired = $state(false);
  /** The server could not be asked who we are. */
  is_unreachable = $state(false);
  #onSignedIn: () => void = () => undefined;
  #onSignedOut: () => void = () => undefined;

  /** Asks the server who we are; retries until it answers. */
  async start(on_signed_in: () => void, on_signed_out: () => void): Promise<void> {
    this.#onSignedIn = on_signed_in;
    this.#onSignedOut = on_signed_out;
    whenServerDate((ms) => clock.heard(ms));
    whenSignedOut(() => this.expire());
    await this.#ask();
  }

  async #ask(): Promise<void> {
    try {
      this.#enter(await getMe());
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) {
        this.phase = 'signed_out';
        this.is_unreachable = false;
        return;
      }
      this.is_unreachable = true;
      setTimeout(() => void this.#ask(), RETRY_MS);
    }
  }

  async signIn(login: string, password: string): Promise<void> {
    await signIn(login, password);
    const me = await getMe();
    // Another person at the same browser: nothing of the first one's page may stay.
    if (this.me && this.me.login !== me.login) {
      location.reload();
      return;
    }
    this.#enter(me);
  }

  async signOut(): Promise<void> {
    try {
      await signOut();
    } finally {
      // A cookie that the server could not be told to forget ends with the page's memory of it.
      this.#onSignedOut();
      this.me = null;
      this.is_expired = false;
      this.phase = 'signed_out';
    }
  }

  expire(): void {
    if (this.phase === 'signed_in') this.is_expired = true;
    else if (this.phase === 'starting') this.phase = 'signed_out';
  }

  /** Sees the floor, changes others' states, ends others' calls; the server checks each deed again. */
  get leads(): boolean {
    return this.me !== null && this.me.role !== 'agent';
  }

  #enter(me: Me): void {
    this.me = me;
    this.is_expired = false;
    this.is_unreachable = false;
    this.phase = 'signed_in';
    this.#onSignedIn();
  }
}

export const session = new Session();
