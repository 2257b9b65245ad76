// What a person chose on this machine: theme, language, ring volume, player's speed. Kept in the browser, never on the server.
import { speak } from '../api/http';
import { i18n } from '../i18n/index.svelte';
import type { Lang } from '../i18n/format';

export type Theme = 'system' | 'light' | 'dark';
/** Where a person takes calls: in this page, or on a phone that stands on the desk. */
export type PhonePlace = 'browser' | 'desk';

const KEY = 'perezvon.prefs';

interface Kept {
  theme: Theme;
  lang: Lang;
  ring: boolean;
  volume: number;
  speed: number;
  /** By login: people share machines. */
  phones: Record<string, PhonePlace>;
  /** Devices by the browser's ids; empty for the machine's own choice. */
  microphone: string;
  speaker: string;
  ringer: string;
}

function browserLang(): Lang {
  return navigator.languages.some((tag) => /^(ru|be|uk|kk)\b/i.test(tag)) ? 'ru' : 'en';
}

const NO_PHONE = { phones: {}, microphone: '', speaker: '', ringer: '' };

function read(): Kept {
  const fallback: Kept = { theme: 'system', lang: browserLang(), ring: true, volume: 0.7, speed: 1, ...NO_PHONE };
  try {
    const kept = JSON.parse(localStorage.getItem(KEY) ?? '{}') as Partial<Kept>;
    return { ...fallback, ...kept };
  } catch {
    // Storage is closed to us (private window) or holds nonsense: the defaults are good.
    return fallback;
  }
}

class Prefs {
  #kept = $state<Kept>(read());

  get theme(): Theme {
    return this.#kept.theme;
  }
  get lang(): Lang {
    return this.#kept.lang;
  }
  get is_ring_on(): boolean {
    return this.#kept.ring;
  }
  /** 0 to 1. */
  get volume(): number {
    return this.#kept.volume;
  }
  get speed(): number {
    return this.#kept.speed;
  }
  get microphone(): string {
    return this.#kept.microphone;
  }
  get speaker(): string {
    return this.#kept.speaker;
  }
  get ringer(): string {
    return this.#kept.ringer;
  }
  phoneOf(login: string): PhonePlace {
    return this.#kept.phones[login] ?? 'desk';
  }
  choosePhone(login: string, place: PhonePlace): void {
    this.set({ phones: { ...this.#kept.phones, [login]: place } });
  }

  set(change: Partial<Kept>): void {
    this.#kept = { ...this.#kept, ...change };
    this.apply();
    try {
      localStorage.setItem(KEY, JSON.stringify(this.#kept));
    } catch {
      // The choice lasts for this page only.
    }
  }

  /** Puts theme and language on the page. Called once before the first draw and after each change. */
  apply(): void {
    const root = document.documentElement;
    if (this.#kept.theme === 'system') delete root.dataset['theme'];
    else root.dataset['theme'] = this.#kept.theme;
    root.lang = this.#kept.lang;
    i18n.lang = this.#kept.lang;
    speak(this.#kept.lang);
  }
}

export const prefs = new Prefs();
