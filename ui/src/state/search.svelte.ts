// Search as one types: waits for a pause, drops the answers that come too late.

const PAUSE_MS = 180;

export class Search<T> {
  items = $state.raw<readonly T[]>([]);
  is_asking = $state(false);
  error = $state.raw<unknown>(null);
  #timer: ReturnType<typeof setTimeout> | undefined;
  #running: AbortController | null = null;

  constructor(private readonly find: (text: string, signal: AbortSignal) => Promise<readonly T[]>) {}

  ask(text: string): void {
    clearTimeout(this.#timer);
    this.#running?.abort();
    this.#running = null;
    const trimmed = text.trim();
    if (!trimmed) {
      this.items = [];
      this.is_asking = false;
      return;
    }
    this.is_asking = true;
    this.#timer = setTimeout(() => void this.#run(trimmed), PAUSE_MS);
  }

  async #run(text: string): Promise<void> {
    const running = new AbortController();
    this.#running = running;
    try {
      const items = await this.find(text, running.signal);
      if (this.#running !== running) return;
      this.items = items;
      this.error = null;
    } catch (error) {
      if (this.#running === running) this.error = error;
    } finally {
      if (this.#running === running) this.is_asking = false;
    }
  }
}
