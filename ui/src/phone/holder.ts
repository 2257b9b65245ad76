// One tab has the phone. The others wait for it, and may take it over; which one it is, the browser itself decides (Web Locks).

const NAME = 'perezvon-phone';

export interface HolderEvents {
  /** This tab has the phone from now on. */
  got(): void;
  /** Another tab has it. Told once when it is so at the start, and when it was taken from us. */
  elsewhere(): void;
}

export class Holder {
  /** Of the present request; aborted when we no longer want what it asks. */
  #wish: AbortController | null = null;
  #release: (() => void) | null = null;

  constructor(
    private readonly events: HolderEvents,
    private readonly locks: Pick<LockManager, 'request'> = navigator.locks,
  ) {}

  get has(): boolean {
    return this.#release !== null;
  }

  /** Takes the phone if it is free, else waits until it is. */
  start(): void {
    if (!this.#wish) void this.#ask({ ifAvailable: true });
  }

  /** Takes the phone away from the tab that has it. */
  takeOver(): void {
    this.#wish?.abort();
    void this.#ask({ steal: true });
  }

  /** Lets go, and waits no longer. */
  stop(): void {
    this.#wish?.abort();
    this.#wish = null;
    this.#release?.();
    this.#release = null;
  }

  async #ask(how: 'wait' | { ifAvailable: true } | { steal: true }): Promise<void> {
    const wish = new AbortController();
    this.#wish = wish;
    // Only a request that waits can be called off.
    const options: LockOptions = how === 'wait' ? { signal: wish.signal } : how;
    try {
      await this.locks.request(NAME, options, (lock) => this.#granted(lock, wish.signal));
    } catch {
      // Called off by us; or, while we had it, taken by another tab.
      if (wish.signal.aborted) return;
      this.#release = null;
      this.#elsewhere();
    }
  }

  #granted(lock: Lock | null, { aborted }: AbortSignal): Promise<void> | undefined {
    if (aborted) return undefined;
    if (!lock) {
      this.#elsewhere();
      return undefined;
    }
    return new Promise((release) => {
      this.#release = release;
      this.events.got();
    });
  }

  #elsewhere(): void {
    this.events.elsewhere();
    void this.#ask('wait');
  }
}
