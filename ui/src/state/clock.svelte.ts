// The server's time, once a second: every timer on the page reads `clock.now`, so that they all step together.

class Clock {
  /** Server milliseconds, stepping on whole seconds. */
  now = $state(Date.now());
  /** How far the server's clock is ahead of ours; the largest sample had the least delay on its way. */
  #skew_ms: number | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** Something the server said it was `server_ms` just before we heard it. */
  heard(server_ms: number): void {
    const sample = server_ms - Date.now();
    if (this.#skew_ms === null || sample > this.#skew_ms) this.#skew_ms = sample;
  }

  /** Server milliseconds, exact. */
  exact(): number {
    const skew = this.#skew_ms ?? 0;
    // Within a second and a half the clocks agree: `Date` headers are cut to whole seconds.
    return Date.now() + (Math.abs(skew) < 1_500 ? 0 : skew);
  }

  start(): void {
    clearTimeout(this.#timer);
    const tick = () => {
      this.now = this.exact();
      this.#timer = setTimeout(tick, 1000 - (this.now % 1000) + 5);
    };
    tick();
  }
}

export const clock = new Clock();
