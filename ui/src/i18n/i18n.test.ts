import { describe, expect, test } from 'vitest';
import * as format from './format';
import { en } from './en';
import { ru } from './ru';

type Node = string | ((...args: never[]) => string) | { [key: string]: Node };

function leaves(node: Node, path = ''): [string, string | ((...args: never[]) => string)][] {
  if (typeof node === 'string' || typeof node === 'function') return [[path, node]];
  return Object.entries(node).flatMap(([key, inner]) => leaves(inner, path ? `${path}.${key}` : key));
}

/** Calls a phrase with arguments of every kind it may take. */
function spoken(phrase: string | ((...args: never[]) => string)): string[] {
  if (typeof phrase === 'string') return [phrase];
  const say = phrase as (...args: unknown[]) => string;
  return [1, 2, 5, 21, 'Анна'].map((value) => say(value, 'Продажи'));
}

/** The same word in both languages: names, signs, codes. */
const SAME = new Set(['toasts.times', 'notice.tab']);

describe('the dictionaries', () => {
  test('hold the same phrases', () => {
    expect(leaves(en).map(([path]) => path)).toEqual(leaves(ru).map(([path]) => path));
  });

  test('have no empty phrase, and none with a hole in it', () => {
    for (const [path, phrase] of [...leaves(ru), ...leaves(en)]) {
      for (const text of spoken(phrase)) {
        expect(text.trim(), path).not.toBe('');
        expect(text, path).not.toMatch(/undefined|null|\[object/);
      }
    }
  });

  test('are translated: no phrase is the same in both', () => {
    const english = new Map(leaves(en));
    const untranslated = leaves(ru).filter(([path, phrase]) => {
      const other = english.get(path);
      return !SAME.has(path) && other !== undefined && typeof phrase === 'string' && phrase === other;
    });
    expect(untranslated.map(([path]) => path)).toEqual([]);
  });

  test('English has no Cyrillic and Russian phrases have some', () => {
    for (const [path, phrase] of leaves(en))
      if (typeof phrase === 'string') expect(phrase, path).not.toMatch(/\p{Script=Cyrillic}/u);
    for (const [path, phrase] of leaves(ru)) {
      if (typeof phrase === 'string' && !SAME.has(path)) expect(phrase, path).toMatch(/\p{Script=Cyrillic}/u);
    }
  });

  test('keep the tone: no exclamations, no "please", no "oops"', () => {
    for (const [path, phrase] of [...leaves(ru), ...leaves(en)]) {
      for (const text of spoken(phrase)) expect(text, path).not.toMatch(/!|пожалуйста|упс|please|oops/iu);
    }
  });

  test('count as the languages do', () => {
    expect([1, 2, 5, 11, 21].map((n) => ru.calls.live_count(n))).toEqual([
      '1 звонок сейчас',
      '2 звонка сейчас',
      '5 звонков сейчас',
      '11 звонков сейчас',
      '21 звонок сейчас',
    ]);
    expect([1, 2].map((n) => en.calls.live_count(n))).toEqual(['1 call now', '2 calls now']);
    expect(ru.link.catching(14)).toBe('Догоняем: 14 событий');
  });
});

describe('times and numbers', () => {
  const now = new Date(2026, 10, 23, 14, 32);

  test('timers grow from minutes to hours and never go below zero', () => {
    expect([38_000, 725_000, 3_760_000, -5].map((ms) => format.timer(ms))).toEqual(['0:38', '12:05', '1:02:40', '0:00']);
  });

  test('a moment is as short as it can be', () => {
    expect(format.moment(new Date(2026, 10, 23, 11, 20), now, 'ru')).toBe('11:20');
    expect(format.moment(new Date(2026, 10, 20, 15, 3), now, 'ru')).toBe('20 ноя 15:03');
    expect(format.moment(new Date(2026, 10, 20, 15, 3), now, 'en')).toBe('20 Nov 15:03');
    expect(format.moment(new Date(2025, 2, 4, 9, 0), now, 'ru')).toBe('04.03.2025');
    expect(format.moment(new Date(2025, 2, 4, 9, 0), now, 'en')).toBe('4 Mar 2025');
  });

  test('minutes ago are said only under an hour', () => {
    expect(format.minutesAgo(new Date(now.getTime() - 8 * 60_000), now)).toBe(8);
    expect(format.minutesAgo(new Date(now.getTime() - 61 * 60_000), now)).toBeNull();
    expect(format.minutesAgo(new Date(now.getTime() + 5_000), now)).toBeNull();
  });

  test('numbers group by a narrow space in Russian and a comma in English', () => {
    expect(format.number(186_400, 'ru')).toBe('186\u202f400');
    expect(format.number(186_400, 'en')).toBe('186,400');
    expect(format.number(3.1, 'ru')).toBe('3,1');
    expect(format.speed(1.5, 'ru')).toBe('1,5×');
  });
});
