// The language in use and the words in it: `t().desk.title`. Changing `i18n.lang` redraws everything at once.
import type { Lang } from './format';
import * as format from './format';
import { en } from './en';
import type { Dictionary } from './ru';
import { ru } from './ru';

const DICTIONARIES: Record<Lang, Dictionary> = { ru, en };

class I18n {
  lang = $state<Lang>('ru');
}

export const i18n = new I18n();

export function t(): Dictionary {
  return DICTIONARIES[i18n.lang];
}

/** The dictionaries' words for a set of codes; a code that is not in it is shown as it is. */
export function word(set: Readonly<Record<string, string>>, code: string): string {
  return set[code] ?? code;
}

export const fmt = {
  number: (value: number) => format.number(value, i18n.lang),
  moment: (at: Date, now: Date) => format.moment(at, now, i18n.lang),
  day: (at: Date, now: Date) => format.day(at, now, i18n.lang),
  exact: (at: Date) => format.exact(at, i18n.lang),
  speed: (rate: number) => format.speed(rate, i18n.lang),
  timer: format.timer,
  clock: format.clock,
};
