// The phone in this page: whether it is wanted, whether this tab has it, how it stands with the server, and its calls.
// The sound and the SIP are in `phone/`; which call belongs to which contact is told in `talk.svelte.ts`.
import { lendPhone } from '../api/endpoints';
import { ApiError } from '../api/http';
import type { PhoneAccess } from '../api/types';
import { Holder } from '../phone/holder';
import { watchDevices } from '../phone/devices';
import { watchLevel } from '../phone/level';
import { Microphone, NoMicrophone, isPossible, permission } from '../phone/microphone';
import type { Softphone } from '../phone/softphone';
import type { Line, LineTrouble, MicrophoneTrouble, Registration } from '../phone/words';
import { bell } from './ring';
import { prefs } from './prefs.svelte';

/**
 * ```text
 * off ──→ elsewhere ⇄ no_microphone ⇄ connecting ──→ registered ⇄ lost
 *                                         └──→ refused (tries again)
 * ```
 */
export type PhoneState = 'off' | 'elsewhere' | 'no_microphone' | Registration;

export interface PhoneListeners {
  gone(line: Line, was_talking: boolean): void;
  trouble(trouble: LineTrouble | 'microphone'): void;
}

/** Fresh credentials this long before the old ones expire; sooner when they live shorter than that. */
const RENEW_BEFORE_MS = 60_000;
const RETRY_MS = [2_000, 4_000, 8_000, 15_000, 30_000] as const;

class PhoneInPage {
  state = $state<PhoneState>('off');
  /** Why there is no microphone; `ask` when the browser will ask the person. */
  trouble = $state<MicrophoneTrouble | 'ask' | null>(null);
  lines = $state.raw<readonly Line[]>([]);
  /** The browser keeps sound shut until the person touches the page. */
  is_sound_blocked = $state(false);
  /** The microphone went away during a call, and we went on with another. */
  has_switched = $state(false);
  /** Why the server gives no phone, in its own words. */
  refusal = $state<string | null>(null);
  /** The open microphone, for the meter. */
  track = $state.raw<MediaStreamTrack | null>(null);
  /** How loud it is, 0 to 1. */
  level = $state(0);
  #softphone: Softphone | null = null;
  #holder: Holder | null = null;
  #listeners: PhoneListeners | null = null;
  #microphone = new Microphone(() => void this.#unplugged());
  #checks = 0;
  #unmeter: () => void = () => undefined;
  #renewal: ReturnType<typeof setTimeout> | undefined;
  #retries = 0;
  /** Grows with every start and stop: what was begun before is not finished after. */
  #era = 0;
  #unwatch: () => void = () => undefined;

  get is_on(): boolean {
    return this.state !== 'off';
  }
  get is_registered(): boolean {
    return this.state === 'registered';
  }
  /** Calls end, are held and change their sound only over a living connection. */
  get is_linked(): boolean {
    return this.state === 'registered' || this.state === 'connecting';
  }

  start(listeners: PhoneListeners): void {
    this.#listeners = listeners;
    if (this.is_on) return;
    if (!isPossible()) {
      this.#blocked('insecure');
      return;
    }
    this.state = 'connecting';
    this.#unwatch = watchDevices(() => {
      if (this.state === 'no_microphone') void this.begin();
    });
    this.#holder ??= new Holder({ got: () => void this.begin(), elsewhere: () => this.#elsewhere() });
    this.#holder.start();
    addEventListener('online', this.#check);
  }

  stop(): void {
    this.#era += 1;
    removeEventListener('online', this.#check);
    this.#unwatch();
    clearTimeout(this.#renewal);
    this.#softphone?.stop();
    this.#softphone = null;
    this.#holder?.stop();
    this.#holder = null;
    this.#forget();
    this.state = 'off';
  }

  takeOver(): void {
    this.#holder?.takeOver();
  }

  /** Looks for a microphone and registers. Also the answer to "try again". */
  async begin(): Promise<void> {
    if (!this.#holder?.has || this.lines.length > 0) return;
    const era = ++this.#era;
    const trouble = await this.#findMicrophone();
    if (era !== this.#era) return;
    if (trouble) this.#blocked(trouble);
    else await this.#register(era);
  }

  /** Asks the person for the microphone; the browser wants this to come from a press. */
  async allow(): Promise<void> {
    try {
      await this.#open();
      this.#closeIfIdle();
    } catch {
      // `trouble` says why.
      return;
    }
    if (this.state === 'no_microphone') await this.begin();
  }

  async answer(line: Line): Promise<void> {
    if (line.phase !== 'ringing') return;
    this.#softphone?.prepare(line.id, true);
    try {
      this.#softphone?.answer(line.id, await this.#open());
    } catch {
      this.#softphone?.prepare(line.id, false);
      this.#listeners?.trouble('microphone');
    }
  }
  end(line: Line): void {
    this.#softphone?.end(line.id);
  }
  hold(line: Line, on: boolean): boolean {
    return this.#softphone?.hold(line.id, on) ?? false;
  }
  mute(line: Line, on: boolean): void {
    this.#softphone?.mute(line.id, on);
  }
  tones(line: Line, digits: string): boolean {
    return this.#softphone?.tones(line.id, digits) ?? false;
  }

  /** Lets the sound out; called at the first touch of the page. */
  unlock(): void {
    if (!this.is_sound_blocked) return;
    this.is_sound_blocked = false;
    this.#softphone?.play();
  }

  /** The choice of devices has changed. */
  async useDevices(): Promise<void> {
    this.has_switched = false;
    this.#softphone?.speaker(prefs.speaker);
    bell.speakInto(prefs.ringer);
    if (!this.track) return;
    try {
      this.#softphone?.microphone(await this.#open());
    } catch {
      this.#listeners?.trouble('microphone');
    }
  }

  /** Opens the microphone for a look at its level, until the returned function is called. */
  async checkMicrophone(): Promise<() => void> {
    this.#checks += 1;
    try {
      await this.#open();
    } catch (error) {
      this.#checks -= 1;
      throw error;
    }
    return () => {
      this.#checks -= 1;
      this.#closeIfIdle();
    };
  }

  async #findMicrophone(): Promise<MicrophoneTrouble | 'ask' | null> {
    const answer = await permission(() => void this.begin());
    if (answer === 'denied') return 'denied';
    if (answer === 'prompt') return 'ask';
    const devices = await navigator.mediaDevices.enumerateDevices();
    return devices.some((one) => one.kind === 'audioinput') ? null : 'missing';
  }

  /** No call may come that nobody could be heard in. */
  #blocked(trouble: MicrophoneTrouble | 'ask'): void {
    clearTimeout(this.#renewal);
    this.#softphone?.stop();
    this.#softphone = null;
    this.trouble = trouble;
    this.state = 'no_microphone';
  }

  async #register(era: number): Promise<void> {
    if (this.state === 'no_microphone') this.state = 'connecting';
    this.trouble = null;
    try {
      const access = await lendPhone();
      const { Softphone } = await import('../phone/softphone');
      if (era !== this.#era) return;
      this.refusal = null;
      this.#renewAt(access, era);
      if (this.#softphone) this.#softphone.renew(access);
      else this.#connect(new Softphone(access, this.#events()));
    } catch (error) {
      if (era === this.#era) this.#retry(error, era);
    }
  }

  #connect(softphone: Softphone): void {
    this.#softphone = softphone;
    softphone.speaker(prefs.speaker);
    bell.speakInto(prefs.ringer);
    this.is_sound_blocked = bell.is_locked;
    softphone.start();
  }

  #events(): ConstructorParameters<typeof Softphone>[1] {
    return {
      registration: (now) => this.#registration(now),
      lines: (lines) => this.#changed(lines),
      gone: (line, was_talking) => this.#listeners?.gone(line, was_talking),
      trouble: (_, trouble) => this.#listeners?.trouble(trouble),
      soundBlocked: () => (this.is_sound_blocked = true),
    };
  }

  #registration(now: Registration): void {
    // Between two tries of a lost connection the words stay the same.
    if (!(now === 'connecting' && this.state === 'lost')) this.state = now;
    if (now === 'registered') this.#retries = 0;
    if (now === 'refused') this.#retry(null, this.#era);
  }

  #changed(lines: readonly Line[]): void {
    this.lines = lines;
    for (const line of lines) if (line.is_resumed && line.phase === 'ringing') void this.answer(line);
    if (!lines.some((line) => line.phase !== 'ringing')) this.#closeIfIdle();
  }

  #renewAt(access: PhoneAccess, era: number): void {
    clearTimeout(this.#renewal);
    const left = Date.parse(access.expires_at) - Date.now();
    const wait = Math.max(5_000, left - Math.min(RENEW_BEFORE_MS, left / 2));
    this.#renewal = setTimeout(() => void this.#register(era), Math.min(wait, 2 ** 31 - 1));
  }

  #retry(error: unknown, era: number): void {
    if (error instanceof ApiError && !error.is_offline && error.status < 500) this.refusal = error.message;
    if (this.state !== 'registered' && this.state !== 'lost') this.state = 'refused';
    const wait = RETRY_MS[Math.min(this.#retries, RETRY_MS.length - 1)] ?? RETRY_MS[0];
    this.#retries += 1;
    clearTimeout(this.#renewal);
    this.#renewal = setTimeout(() => void this.#register(era), wait);
  }

  #elsewhere(): void {
    this.#era += 1;
    clearTimeout(this.#renewal);
    this.#softphone?.abandon();
    this.#softphone = null;
    this.#forget();
    this.state = 'elsewhere';
  }

  #forget(): void {
    this.lines = [];
    this.#closeMicrophone();
    this.is_sound_blocked = false;
    this.has_switched = false;
    this.refusal = null;
    this.trouble = null;
    this.#retries = 0;
  }

  /** After the network was away: is the connection still what it seems? */
  check(): void {
    this.#softphone?.check();
  }
  #check = () => this.check();

  async #open(): Promise<MediaStreamTrack> {
    try {
      const track = await this.#microphone.open(prefs.microphone);
      if (track !== this.track) this.#meter(track);
      this.track = track;
      this.trouble = null;
      return track;
    } catch (error) {
      this.trouble = error instanceof NoMicrophone ? error.trouble : 'busy';
      throw error;
    }
  }

  #closeIfIdle(): void {
    if (this.#checks === 0 && !this.lines.some((line) => line.phase !== 'ringing')) this.#closeMicrophone();
  }

  #closeMicrophone(): void {
    this.#unmeter();
    this.#microphone.close();
    this.track = null;
    this.level = 0;
  }

  #meter(track: MediaStreamTrack): void {
    this.#unmeter();
    const stop = watchLevel(track, (level) => (this.level = level));
    this.#unmeter = () => {
      stop();
      this.#unmeter = () => undefined;
    };
  }

  async #unplugged(): Promise<void> {
    this.#microphone.close();
    try {
      this.#softphone?.microphone(await this.#open());
      this.has_switched = true;
    } catch {
      this.track = null;
      this.#listeners?.trouble('microphone');
    }
  }
}

export const phone = new PhoneInPage();
