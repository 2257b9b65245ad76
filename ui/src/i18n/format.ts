// Numbers, dates and durations as the two languages write them. Pure: the time "now" comes in.

export type Lang = 'ru' | 'en';

const MONTHS: Record<Lang, readonly string[]> = {
  ru: ['янв', 'фев', 'мар', 'апр', 'мая', 'июн', 'июл', 'авг', 'сен', 'окт', 'ноя', 'дек'],
  en: ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'],
};
const FULL_MONTHS: Record<Lang, readonly string[]> = {
  ru: ['января', 'февраля', 'марта', 'апреля', 'мая', 'июня', 'июля', 'августа', 'сентября', 'октября', 'ноября', 'декабря'],
  en: ['January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September', 'October', 'November', 'December'],
};
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

const two = (n: number) => String(n).padStart(2, '0');

/** 0:38, 12:05, 1:02:40. Negative becomes 0:00. */
export function timer(ms: number): string {
  const total = Math.max(0, Math.floor(ms / 1000));
  const hours = Math.floor(total / 3600);
  const minutes = Math.floor((total % 3600) / 60);
  const seconds = total % 60;
  return hours ? `${hours}:${two(minutes)}:${two(seconds)}` : `${minutes}:${two(seconds)}`;
}

export function clock(at: Date): string {
  return `${two(at.getHours())}:${two(at.getMinutes())}`;
}

/** Today 14:32; this year 20 ноя 15:03; older 04.03.2025 or 4 Mar 2025. */
export function moment(at: Date, now: Date, lang: Lang): string {
  if (sameDay(at, now)) return clock(at);
  if (at.getFullYear() === now.getFullYear()) return `${at.getDate()} ${MONTHS[lang][at.getMonth()] ?? ''} ${clock(at)}`;
  return oldDay(at, lang);
}

/** A whole day in words: 20 ноября, 20 November; with its year when that is not this one. */
export function day(at: Date, now: Date, lang: Lang): string {
  const text = `${at.getDate()} ${FULL_MONTHS[lang][at.getMonth()] ?? ''}`;
  return at.getFullYear() === now.getFullYear() ? text : `${text} ${at.getFullYear()}`;
}

/** Whole and exact, for a tooltip: 20 ноября 2026, 15:03:08. */
export function exact(at: Date, lang: Lang): string {
  return `${at.getDate()} ${FULL_MONTHS[lang][at.getMonth()] ?? ''} ${at.getFullYear()}, ${clock(at)}:${two(at.getSeconds())}`;
}

function oldDay(at: Date, lang: Lang): string {
  if (lang === 'ru') return `${two(at.getDate())}.${two(at.getMonth() + 1)}.${at.getFullYear()}`;
  return `${at.getDate()} ${MONTHS.en[at.getMonth()] ?? ''} ${at.getFullYear()}`;
}

export function sameDay(a: Date, b: Date): boolean {
  return a.getFullYear() === b.getFullYear() && a.getMonth() === b.getMonth() && a.getDate() === b.getDate();
}

/** Minutes since, when it is under an hour; null when an exact time says more. */
export function minutesAgo(at: Date, now: Date): number | null {
  const ago = now.getTime() - at.getTime();
  return ago >= 0 && ago < HOUR_MS ? Math.floor(ago / MINUTE_MS) : null;
}

export function number(value: number, lang: Lang): string {
  const text = new Intl.NumberFormat(lang === 'ru' ? 'ru-RU' : 'en-GB', { maximumFractionDigits: 2 }).format(value);
  return lang === 'ru' ? text.replace(/[\u00a0\s]/g, '\u202f') : text;
}

/** 1.5 → 1,5× in Russian. */
export function speed(rate: number, lang: Lang): string {
  return `${number(rate, lang)}×`;
}

type Forms = Partial<Record<Intl.LDMLPluralRule, string>> & { other: string };
const RULES: Record<Lang, Intl.PluralRules> = { ru: new Intl.PluralRules('ru'), en: new Intl.PluralRules('en') };

/** The word that goes with `n`: plural('ru', 5, {one: 'звонок', few: 'звонка', other: 'звонков'}). */
export function plural(lang: Lang, n: number, forms: Forms): string {
  return forms[RULES[lang].select(n)] ?? forms.other;
}
