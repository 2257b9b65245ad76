// What an INVITE of our server says beyond SIP: which call it is, and whether to answer without asking. Pure.
import type { Party } from '../api/types';

/** What is read of a request; JsSIP's IncomingRequest fits. */
export interface Invitation {
  hasHeader(name: string): boolean;
  getHeader(name: string): string | undefined;
  from: { display_name?: string; uri: { user?: string } };
}

export interface Offer {
  call_id: string | null;
  caller: Party;
  is_resumed: boolean;
  /** Resumed, and on hold when it was left. */
  is_held: boolean;
  is_asked_for: boolean;
}

const RESUME = 'X-Perezvon-Resume';
const HELD = 'X-Perezvon-Held';
const CALL = 'X-Perezvon-Call';
/** RFC 7433's and the field's own ways of asking a phone to answer by itself. */
const AUTO_ANSWER: readonly [header: string, sign: RegExp][] = [
  ['Alert-Info', /info\s*=\s*alert-autoanswer/i],
  ['Call-Info', /answer-after\s*=\s*0/i],
];

export function readInvite(request: Invitation): Offer {
  const header = (name: string) => (request.hasHeader(name) ? (request.getHeader(name)?.trim() ?? '') : '');
  const resumed = header(RESUME);
  const user = request.from.uri.user ?? '';
  return {
    call_id: resumed || header(CALL) || null,
    caller: {
      number: user === '' || user === 'anonymous' ? null : user,
      display: request.from.display_name?.trim() || null,
    },
    is_resumed: resumed !== '',
    is_held: resumed !== '' && header(HELD) === 'true',
    is_asked_for: AUTO_ANSWER.some(([name, sign]) => sign.test(header(name))),
  };
}
