// A card's facts as rows of words: which keys we have words for, how values of any type read, which number is calling.
import type { CardBrief, Client, FieldValue } from '../api/types';
import { fmt, t, word } from '../i18n/index.svelte';
import { NOTE_FIELD } from './card.svelte';
import { floor } from './floor.svelte';
import { session } from './session.svelte';

export interface FactRow {
  label: string;
  value: string;
  strong?: boolean;
}

export function valueText(value: FieldValue): string {
  if (value === null) return '';
  if (typeof value === 'string') return value;
  if (typeof value === 'number') return fmt.number(value);
  if (typeof value === 'boolean') return value ? t().fields.yes : t().fields.no;
  if (Array.isArray(value)) return value.map(valueText).filter(Boolean).join(', ');
  return Object.entries(value)
    .map(([key, inner]) => `${fieldLabel(key)}: ${valueText(inner)}`)
    .join(', ');
}

/** `purchase_sum` → «Purchase sum» when no dictionary knows it. */
export function fieldLabel(key: string): string {
  const known = word(t().fields.names, key);
  if (known !== key) return known;
  const text = key.replaceAll('_', ' ');
  return text.charAt(0).toLocaleUpperCase() + text.slice(1);
}

/** Fields that stand elsewhere than in the list, by any name a set-up may give them. */
const POSITION = /^(position|job|title|должность)$/i;
const DEBT = /^(debt|долг)(\b|$|,)/i;

/** The card's own fields, without the note and the position, which stand elsewhere. */
export function fieldRows(card: Pick<CardBrief, 'fields'>): FactRow[] {
  return Object.entries(card.fields)
    .filter(([key, value]) => key !== NOTE_FIELD && !POSITION.test(key) && valueText(value) !== '')
    .map(([key, value]) => ({ label: fieldLabel(key), value: valueText(value) }));
}

export function positionOf(card: Pick<CardBrief, 'fields'>): string {
  const key = Object.keys(card.fields).find((one) => POSITION.test(one));
  return key ? valueText(card.fields[key] ?? null) : '';
}

/** What an agent must know before the first word. So far: that money is owed. */
export function warningsOf(card: Pick<CardBrief, 'fields'>): string[] {
  const owed = Object.entries(card.fields).filter(([key, value]) => DEBT.test(key) && typeof value === 'number' && value > 0);
  return owed.map(([key, value]) => {
    const [name = '', unit = ''] = fieldLabel(key).split(/,\s*/);
    return `${name} ${valueText(value)}\u202f${unit}`.trim();
  });
}

/** Who leads the client, since when we know them, where they came from, their language. */
export function aboutRows(client: Pick<Client, 'owner' | 'source' | 'language'>): FactRow[] {
  const rows: FactRow[] = [];
  if (client.owner)
    rows.push({ label: t().pop.owner, value: ownerText(client.owner), strong: client.owner === session.me?.login });
  if (client.source) rows.push({ label: t().pop.source, value: client.source });
  if (client.language) rows.push({ label: t().fields.language, value: word(t().fields.languages, client.language) });
  return rows;
}

export function ownerText(login: string): string {
  return login === session.me?.login ? t().pop.owner_you(floor.nameOf(login)) : floor.nameOf(login);
}
