// Is the server there, before anybody has signed in: one small request every five seconds.

const EVERY_MS = 5_000;
const TIMEOUT_MS = 4_000;

class Probe {
  rtt_ms = $state<number | null>(null);
  has_failed = $state(false);

  /** Asks until the returned function is called. */
  watch(): () => void {
    const ask = async () => {
      const began = performance.now();
      try {
        const response = await fetch('/healthz', { cache: 'no-store', signal: AbortSignal.timeout(TIMEOUT_MS) });
        if (!response.ok) throw new Error(String(response.status));
        this.rtt_ms = Math.max(1, Math.round(performance.now() - began));
        this.has_failed = false;
      } catch {
        this.rtt_ms = null;
        this.has_failed = true;
      }
    };
    void ask();
    const timer = setInterval(() => void ask(), EVERY_MS);
    return () => clearInterval(timer);
  }
}

export const probe = new Probe();
