// Which call on the phone belongs to which contact of the desk. Pure. The server marks its INVITEs with the call; a line
// without a mark goes to the only kind of contact it can belong to.
import type { Line } from '../phone/words';
import type { Contact } from './contacts';

export interface Pairs {
  /** By `call_id` of the contact. */
  lines: ReadonlyMap<string, Line>;
  /** Lines that belong to no contact that we know of: the event stream is late, or down. */
  strays: readonly Line[];
}

export function pairUp(lines: readonly Line[], contacts: readonly Contact[]): Pairs {
  const paired = new Map<string, Line>();
  const strays: Line[] = [];
  const open = contacts.filter(({ phase }) => phase !== 'gone' && phase !== 'after');
  for (const line of lines) {
    if (line.call_id !== null && open.some((contact) => contact.call_id === line.call_id)) paired.set(line.call_id, line);
  }
  for (const line of lines) {
    if (line.call_id !== null) {
      if (!paired.has(line.call_id)) strays.push(line);
      continue;
    }
    const contact = open.find((one) => !paired.has(one.call_id) && couldBe(line, one));
    if (contact) paired.set(contact.call_id, line);
    else strays.push(line);
  }
  return { lines: paired, strays };
}

function couldBe(line: Line, contact: Contact): boolean {
  const is_new = contact.phase === 'ringing' || contact.phase === 'dialing';
  // An answered line may be ahead of the event that tells of the answer.
  return line.phase === 'talking' || is_new;
}
