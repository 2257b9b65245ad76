import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Client } from '../api/types';
import { i18n } from '../i18n/index.svelte';
import { CardState } from './card.svelte';
import { keys } from './keys.svelte';
import { Paged } from './paged.svelte';
import { parseRoute } from './router.svelte';
import { toasts } from './toasts.svelte';

const CLIENT: Client = {
  ...{ id: 'k1', name: 'Ольга', company: 'ООО «Полярис»', numbers: [], emails: [], source: null, owner: 'anna', tags: ['VIP'] },
  ...{
    fields: { city: 'Мурманск', note: 'старая' },
    language: 'ru',
    is_stub: false,
    created_at: '2026-01-01T00:00:00Z',
    updated_at: '2026-11-23T11:00:00Z',
  },
};

/** Answers each request in turn; a status is a refusal. */
function serve(...answers: (object | number)[]) {
  const asked: { method: string; body: unknown }[] = [];
  vi.stubGlobal('fetch', (_url: string, init: RequestInit) => {
    asked.push({ method: init.method ?? 'GET', body: typeof init.body === 'string' ? JSON.parse(init.body) : null });
    const answer = answers.shift() ?? 500;
    const refused = { error: { code: 'unavailable', message: 'Хранилище не отвечает' } };
    const response =
      typeof answer === 'number'
        ? new Response(JSON.stringify(refused), { status: answer })
        : new Response(JSON.stringify(answer));
    return Promise.resolve(response);
  });
  return asked;
}

beforeEach(() => {
  i18n.lang = 'ru';
  toasts.list = [];
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe('a card being edited', () => {
  async function loaded(...answers: (object | number)[]) {
    const asked = serve(CLIENT, { items: [], next: null }, ...answers);
    const card = new CardState('k1');
    await card.load();
    return { card, asked };
  }

  test('shows the change before the server has answered', async () => {
    const { card } = await loaded({ ...CLIENT, name: 'Ольга Сергеевна' });
    const saving = card.edit({ name: 'Ольга Сергеевна' }, 'Имя');
    expect(card.client?.name).toBe('Ольга Сергеевна');
    expect(await saving).toBe(true);
  });

  test('puts back only what was refused, and says so', async () => {
    const { card } = await loaded(503);
    const saving = card.edit({ company: null, fields: { city: 'Вологда' } }, 'Компания');
    expect(card.client?.company).toBeNull();
    expect(await saving).toBe(false);
    expect(card.client).toMatchObject({ company: 'ООО «Полярис»', fields: { city: 'Мурманск', note: 'старая' } });
    expect(toasts.list[0]).toMatchObject({ kind: 'error', title: 'Компания: не сохранилось', text: 'Хранилище не отвечает' });
  });

  test('keeps a note that could not be saved in its field, and sends it again', async () => {
    const { card, asked } = await loaded(503, { ...CLIENT, fields: { note: 'новая' } });
    card.typeNote('новая');
    await card.saveNote();
    expect(card.note).toBe('failed');
    expect(card.note_text).toBe('новая');
    await card.saveNote();
    expect(card.note).toBe('saved');
    expect(card.note_text).toBe('новая');
    expect(asked.at(-1)).toEqual({ method: 'PATCH', body: { fields: { note: 'новая' } } });
  });

  test('an emptied note is removed, not stored empty', async () => {
    const { card, asked } = await loaded({ ...CLIENT, fields: {} });
    card.typeNote('  ');
    await card.saveNote();
    expect(asked.at(-1)?.body).toEqual({ fields: { note: null } });
  });
});

describe('pages of a list', () => {
  const page = (ids: string[], next: string | null) => ({ items: ids.map((id) => ({ id })), next });

  test('come one after another, and no row comes twice', async () => {
    const pages = [page(['a', 'b'], '2'), page(['b', 'c'], null)];
    const list = new Paged<{ id: string }>(() => Promise.resolve(pages.shift() ?? page([], null)));
    await list.load();
    await list.more();
    expect(list.items.map((item) => item.id)).toEqual(['a', 'b', 'c']);
    expect(list.next).toBeNull();
  });

  test('an answer overtaken by a newer question is dropped', async () => {
    const answers: ((value: ReturnType<typeof page>) => void)[] = [];
    const list = new Paged<{ id: string }>(() => new Promise((resolve) => answers.push(resolve)));
    const first = list.load();
    const second = list.load();
    answers[1]?.(page(['new'], null));
    answers[0]?.(page(['old'], null));
    await Promise.all([first, second]);
    expect(list.items.map((item) => item.id)).toEqual(['new']);
  });

  test('a refresh puts new rows first and keeps the old ones', async () => {
    const pages = [page(['b', 'a'], '2'), page(['c', 'b'], '2')];
    const list = new Paged<{ id: string }>(() => Promise.resolve(pages.shift() ?? page([], null)));
    await list.load();
    await list.refresh();
    expect(list.items.map((item) => item.id)).toEqual(['c', 'b', 'a']);
  });

  test('a page that does not come leaves the rows and the reason', async () => {
    let is_broken = false;
    const list = new Paged<{ id: string }>(() =>
      is_broken ? Promise.reject(new Error('x')) : Promise.resolve(page(['a'], '2')),
    );
    await list.load();
    is_broken = true;
    await list.more();
    expect(list.items).toHaveLength(1);
    expect(list.error).toBeInstanceOf(Error);
  });
});

describe('toasts', () => {
  test('the same ones fold, at most three stand, errors stay', () => {
    vi.useFakeTimers();
    for (let n = 0; n < 4; n += 1) toasts.show('error', 'SMS не ушло');
    toasts.show('done', 'один');
    toasts.show('done', 'два');
    toasts.show('done', 'три');
    expect(toasts.list.map((toast) => `${toast.title} ${toast.times}`)).toEqual(['один 1', 'два 1', 'три 1']);
    toasts.show('error', 'SMS не ушло');
    vi.advanceTimersByTime(7_000);
    expect(toasts.list.map((toast) => toast.title)).toEqual(['SMS не ушло']);
  });
});

describe('keys', () => {
  const press = (code: string, change: KeyboardEventInit = {}, target: EventTarget = document.body) => {
    const event = new KeyboardEvent('keydown', { code, bubbles: true, cancelable: true, ...change });
    target.dispatchEvent(event);
    keys.handle(event);
  };

  test('are physical: a Cyrillic layout changes nothing', () => {
    const act = vi.fn();
    const stop = keys.register([{ code: 'KeyJ', act }]);
    press('KeyJ', { key: 'о' });
    press('KeyJ', { key: 'о', ctrlKey: true });
    stop();
    press('KeyJ', { key: 'j' });
    expect(act).toHaveBeenCalledOnce();
  });

  test('letters stay with a field that is being typed in, calls do not', () => {
    const input = document.body.appendChild(document.createElement('input'));
    const letter = vi.fn();
    const hang_up = vi.fn();
    const stop = keys.register([
      { code: 'KeyJ', act: letter },
      { code: 'F2', shift: true, typing: true, act: hang_up },
    ]);
    press('KeyJ', {}, input);
    press('F2', { shiftKey: true }, input);
    stop();
    input.remove();
    expect(letter).not.toHaveBeenCalled();
    expect(hang_up).toHaveBeenCalledOnce();
  });

  test('the newest screen wins', () => {
    const older = vi.fn();
    const newer = vi.fn();
    const stops = [keys.register([{ code: 'Enter', act: older }]), keys.register([{ code: 'Enter', act: newer }])];
    press('Enter');
    for (const stop of stops) stop();
    expect(older).not.toHaveBeenCalled();
    expect(newer).toHaveBeenCalledOnce();
  });
});

describe('addresses', () => {
  test('lead to sections, and unknown ones nowhere', () => {
    expect(parseRoute('/')).toEqual({ section: 'desk', id: null });
    expect(parseRoute('/clients/0193a/')).toEqual({ section: 'clients', id: '0193a' });
    expect(parseRoute('/floor')).toEqual({ section: 'floor', id: null });
    expect(parseRoute('/nothing')).toMatchObject({ section: 'nowhere' });
    expect(parseRoute('/clients/a/b')).toMatchObject({ section: 'nowhere' });
  });
});
