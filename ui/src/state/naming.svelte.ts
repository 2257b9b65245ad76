// What to call a party on screen: the card's name, else what the phone said, else the number, else that it is withheld.
// The text still comes from outside: components draw it through <Name>.
import type { Agent, Call } from '../api/types';
import { t } from '../i18n/index.svelte';
import { otherParty } from '../lib/call';
import { formatPhone } from '../lib/phone';
import type { Contact } from './contacts';
import { desk } from './desk.svelte';
import { directory } from './directory.svelte';
import { floor } from './floor.svelte';
import { session } from './session.svelte';

export interface Who {
  name: string;
  company: string | null;
  tags: readonly string[];
  number: string | null;
  card_id: string | null;
  /** The name is only a number or a stand-in. */
  is_nameless: boolean;
}

/** The other party of one of the agent's own calls. */
export function whoIn(contact: Contact): Who {
  const card_id = desk.cardId(contact);
  const brief = desk.brief(contact);
  const number = contact.pop?.caller.number ?? numberIn(contact.call);
  const known = card_id ? directory.client(card_id) : undefined;
  const card = known ?? brief;
  if (card && !isNumberName(card.name, number)) return who(card.name, card.company, card.tags, number, card_id);
  const candidates = contact.pop?.match === 'ambiguous' && contact.chosen === null ? contact.pop.candidates : [];
  if (candidates.length)
    return who(sharedCompany(candidates.map(({ card: { company } }) => company)) ?? shown(number), null, [], number, null, true);
  if (contact.call) return { ...nameless(contact.call, number), card_id, tags: card?.tags ?? [] };
  return who(contact.pop?.caller.display ?? shown(number), null, card?.tags ?? [], number, card_id, true);
}

/** The other party of any call in a list. */
export function whoOf(call: Call): Who {
  const party = otherParty(call, session.me?.login);
  const known = directory.client(call.card_id);
  if (known && !isNumberName(known.name, party.number))
    return who(known.name, known.company, known.tags, party.number, call.card_id);
  return { ...nameless(call, party.number), card_id: call.card_id };
}

function nameless(call: Call, number: string | null): Who {
  const { display, target } = otherParty(call, session.me?.login);
  const is_colleague = (agent: Agent) =>
    target?.kind === 'user'
      ? agent.login === target.name
      : agent.extension === (target?.kind === 'extension' ? target.name : number);
  const colleague = (number ?? target) ? [...floor.agents.values()].find(is_colleague) : undefined;
  if (colleague) return who(colleague.name, null, [], colleague.extension, null);
  if (target) return who(target.name, null, [], null, null, true);
  return display ? who(display, null, [], number, null) : who(shown(number), null, [], number, null, true);
}

function who(
  name: string,
  company: string | null,
  tags: readonly string[],
  number: string | null,
  card_id: string | null,
  is_nameless = false,
): Who {
  return { name, company, tags, number, card_id, is_nameless };
}

function numberIn(call: Call | null): string | null {
  return call ? otherParty(call, session.me?.login).number : null;
}

function shown(number: string | null): string {
  return number ? formatPhone(number) : t().phone.withheld;
}

/** A stub card is named after its number until somebody asks. */
function isNumberName(name: string, number: string | null): boolean {
  return name === '' || (number !== null && name.replace(/\D/g, '') === number.replace(/\D/g, '') && !/\p{L}/u.test(name));
}

function sharedCompany(companies: readonly (string | null)[]): string | null {
  const first = companies[0] ?? null;
  return first && companies.every((company) => company === first) ? first : null;
}

/** A card's name; a stub that is still named after its number is written as a number. */
export function cardName(name: string): string {
  return /^\+\d+$/.test(name) ? formatPhone(name) : name;
}

/** "Ольга Тимофеева, ООО «Полярис»". */
export function titleOf({ name, company }: Who): string {
  return company ? `${name}, ${company}` : name;
}

/** A break's reason, or why the floor changed the state, in words. */
export function reasonText(reason: string | null): string {
  if (!reason) return '';
  const words: Record<string, string> = t().reasons;
  return words[reason] ?? reason;
}
