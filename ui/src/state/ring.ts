// The ring in the browser: two soft bell tones every three seconds, rising over the first two. Sound only, decides nothing.

const EVERY_MS = 3_000;
const RISE_S = 2;
/** A bell is a few partials that die away at different speeds. */
const PARTIALS = [
  { ratio: 1, gain: 1, seconds: 1.5 },
  { ratio: 2.0, gain: 0.45, seconds: 0.9 },
  { ratio: 3.01, gain: 0.18, seconds: 0.5 },
];

class Bell {
  #context: AudioContext | null = null;
  #master: GainNode | null = null;
  #timer: ReturnType<typeof setInterval> | undefined;
  #tones: readonly number[] = [];
  #device = '';
  /** Carries the sound where the browser cannot send a whole context to a device. */
  #carrier: HTMLAudioElement | null = null;

  get is_on(): boolean {
    return this.#timer !== undefined;
  }

  /** Rings until `stop`. A third tone for a VIP. */
  start(volume: number, is_vip = false): void {
    if (this.is_on) return;
    this.#tones = is_vip ? [659.3, 784, 987.8] : [659.3, 784];
    const { context, master } = this.#ready();
    master.gain.cancelScheduledValues(context.currentTime);
    master.gain.setValueAtTime(volume * 0.15, context.currentTime);
    master.gain.linearRampToValueAtTime(volume * 0.5, context.currentTime + RISE_S);
    this.#strike();
    this.#timer = setInterval(() => this.#strike(), EVERY_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    if (this.#context && this.#master) this.#master.gain.setTargetAtTime(0, this.#context.currentTime, 0.04);
  }

  /** One strike, to try the volume. */
  test(volume: number): void {
    if (this.is_on) return;
    this.#tones = [659.3, 784];
    const { context, master } = this.#ready();
    master.gain.cancelScheduledValues(context.currentTime);
    master.gain.setValueAtTime(volume * 0.5, context.currentTime);
    this.#strike();
  }

  /** Rings on this device from now on; empty for the machine's own choice. */
  speakInto(device: string): void {
    this.#device = device;
    if (this.#context && this.#master) this.#route(this.#context, this.#master);
  }

  /** Whether the browser would keep the ring silent now. */
  get is_locked(): boolean {
    return this.#ready().context.state === 'suspended';
  }

  /** Browsers keep sound shut until the person touches the page: call on the first touch. */
  unlock(): void {
    if (this.#context?.state === 'suspended') void this.#context.resume();
  }

  #ready(): { context: AudioContext; master: GainNode } {
    const context = this.#context ?? new AudioContext();
    const master = this.#master ?? context.createGain();
    if (!this.#master) this.#route(context, master);
    this.#context = context;
    this.#master = master;
    if (context.state === 'suspended') void context.resume();
    return { context, master };
  }

  #route(context: AudioContext, master: GainNode): void {
    const nowhere = () => undefined;
    master.disconnect();
    if (canChoose(context)) {
      master.connect(context.destination);
      // The device may be gone: it rings where it did.
      void context.setSinkId(this.#device).catch(nowhere);
      return;
    }
    if (this.#device === '' || !('setSinkId' in HTMLAudioElement.prototype)) {
      master.connect(context.destination);
      return;
    }
    const out = context.createMediaStreamDestination();
    master.connect(out);
    this.#carrier ??= new Audio();
    this.#carrier.srcObject = out.stream;
    void this.#carrier.setSinkId(this.#device).catch(nowhere);
    void this.#carrier.play().catch(nowhere);
  }

  #strike(): void {
    this.#tones.forEach((hertz, index) => this.#tone(hertz, index * 0.32));
  }

  #tone(hertz: number, delay_s: number): void {
    if (!this.#context || !this.#master) return;
    const at = this.#context.currentTime + delay_s;
    for (const { ratio, gain, seconds } of PARTIALS) {
      const oscillator = new OscillatorNode(this.#context, { type: 'sine', frequency: hertz * ratio });
      const envelope = new GainNode(this.#context, { gain: 0 });
      envelope.gain.setValueAtTime(0, at);
      envelope.gain.linearRampToValueAtTime(gain * 0.4, at + 0.012);
      envelope.gain.exponentialRampToValueAtTime(0.0001, at + seconds);
      oscillator.connect(envelope).connect(this.#master);
      oscillator.start(at);
      oscillator.stop(at + seconds + 0.05);
    }
  }
}

/** Not in TypeScript's own list yet. */
interface Choosing {
  setSinkId(device: string): Promise<void>;
}
function canChoose(context: AudioContext): context is AudioContext & Choosing {
  return 'setSinkId' in context;
}

export const bell = new Bell();
/** The same sound where calls are heard, to try that device. */
export const earpiece = new Bell();
