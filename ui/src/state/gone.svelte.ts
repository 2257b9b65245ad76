// What became of an offer, in words.
import { t } from '../i18n/index.svelte';
import type { Gone } from './contacts';
import { floor } from './floor.svelte';

export function goneText(gone: Gone): string {
  if (gone.by) return t().gone.answered_by(floor.nameOf(gone.by));
  if (gone.reason === 'ended' && gone.cause) return t().causes[gone.cause].toLocaleLowerCase();
  return t().gone[gone.reason];
}
