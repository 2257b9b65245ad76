import { describe, expect, test } from 'vitest';
import type { Agent, Call, Event, Leg, Pop } from '../api/types';
import { applyEvent, applySnapshot, foremost, setChosen, sweep } from './contacts';
import type { Contact } from './contacts';

const ME = 'anna';
const AT = '2026-11-23T11:00:00.000Z';
const NOW = Date.parse(AT);

function leg(agent: string | null, state: Leg['state'], role: Leg['role'] = agent ? 'agent' : 'caller'): Leg {
  const party = { number: null, display: null };
  return {
    id: agent ?? 'caller',
    role,
    state,
    party,
    agent,
    trunk: null,
    started_at: AT,
    answered_at: null,
    ended_at: null,
  };
}

function call(change: Partial<Call> = {}): Call {
  return {
    id: 'c1',
    kind: 'inbound',
    state: 'offered',
    from: { number: '+79215550187', display: null },
    to: '+74951234567',
    trunk: 'carrier',
    queue: 'sales',
    agent: null,
    card_id: 'k1',
    source: 'site',
    started_at: AT,
    answered_at: null,
    ended_at: null,
    cause: null,
    ended_by: null,
    recording_id: null,
    legs: [leg(null, 'answered'), leg(ME, 'ringing')],
    consult_of: null,
    merged_into: null,
    ...change,
  };
}

function pop(pop_id = 'p1'): Pop {
  const caller = { number: '+79215550187', display: null };
  return {
    pop_id,
    caller,
    called: '+74951234567',
    queue: 'sales',
    match: 'known',
    reason: '',
    card: null,
    candidates: [],
    late: false,
  };
}

let seq = 0;
function event(type: Event['type'], data: unknown, agent: string | null = ME, call_id: string | null = 'c1'): Event {
  seq += 1;
  return { seq, at: AT, type, call_id, agent, data } as Event;
}

function after(...events: Event[]): readonly Contact[] {
  return events.reduce<readonly Contact[]>((contacts, one) => applyEvent(contacts, one, ME), []);
}

function state(change: Partial<Agent>): Event {
  const mine = {
    login: ME,
    name: 'Анна',
    team: null,
    extension: '101',
    reason: null,
    since: AT,
    until: null,
    call_id: null,
    queues: [],
  };
  return event('agent.state_changed', { ...mine, state: 'ready', registered: true, ...change }, ME, null);
}

describe('contacts of the desk', () => {
  test('a pop rings, and the same pop sent again changes nothing', () => {
    const once = after(event('pop.shown', pop()));
    expect(once).toMatchObject([{ call_id: 'c1', phase: 'ringing' }]);
    const twice = applyEvent(once, event('pop.shown', pop()), ME);
    expect(twice).toHaveLength(1);
    expect(twice[0]?.phase).toBe('ringing');
  });

  test("a colleague's pop is not ours", () => {
    expect(after(event('pop.shown', pop(), 'boris'))).toEqual([]);
  });

  test('answered, then ended, then ready again', () => {
    const talking = after(
      event('pop.shown', pop()),
      event('call.answered', call({ state: 'talking', agent: ME, answered_at: AT })),
    );
    expect(talking).toMatchObject([{ phase: 'talking', since: NOW }]);
    const ended = applyEvent(talking, event('call.ended', call({ state: 'ended', agent: ME, cause: 'normal' })), ME);
    expect(ended).toMatchObject([{ phase: 'after' }]);
    const wrapping = applyEvent(ended, state({ state: 'wrap_up' }), ME);
    expect(wrapping).toHaveLength(1);
    expect(applyEvent(wrapping, state({ state: 'ready' }), ME)).toEqual([]);
  });

  test('answered elsewhere: the row says by whom and fades after three seconds', () => {
    const gone = after(
      event('pop.shown', pop()),
      event('pop.retracted', { pop_id: 'p1', reason: 'answered_elsewhere' }),
      event('call.answered', call({ state: 'talking', agent: 'boris', legs: [leg(ME, 'ended'), leg('boris', 'answered')] })),
    );
    expect(gone).toMatchObject([{ phase: 'gone', gone: { reason: 'answered_elsewhere', by: 'boris' } }]);
    expect(sweep(gone, NOW + 2_900)).toHaveLength(1);
    expect(sweep(gone, NOW + 3_000)).toEqual([]);
  });

  test('the caller hangs up while it rings: abandoned', () => {
    const gone = after(event('pop.shown', pop()), event('call.ended', call({ state: 'ended', cause: 'abandoned' })));
    expect(gone).toMatchObject([{ phase: 'gone', gone: { reason: 'abandoned' } }]);
  });

  test('a retraction after the answer takes nothing away', () => {
    const talking = after(
      event('pop.shown', pop()),
      event('call.answered', call({ state: 'talking', agent: ME })),
      event('pop.retracted', { pop_id: 'p1', reason: 'withdrawn' }),
    );
    expect(talking).toMatchObject([{ phase: 'talking' }]);
  });

  test('the same call offered again rings again', () => {
    const again = after(
      event('pop.shown', pop()),
      event('pop.retracted', { pop_id: 'p1', reason: 'no_answer' }),
      event('pop.shown', pop('p2')),
    );
    expect(again).toMatchObject([{ phase: 'ringing', gone: null, pop: { pop_id: 'p2' } }]);
  });

  test('a second call stands beside the first, and the talk stays foremost', () => {
    const two = after(event('call.answered', call({ state: 'talking', agent: ME })), event('pop.shown', pop('p2'), ME, 'c2'));
    expect(two.map((contact) => contact.call_id)).toEqual(['c1', 'c2']);
    expect(foremost(two)?.call_id).toBe('c1');
  });

  test('a click to call dials, and a busy line goes away with its cause', () => {
    const made = call({
      kind: 'outbound',
      state: 'ringing',
      agent: ME,
      legs: [leg(ME, 'answered'), leg(null, 'ringing', 'external')],
    });
    const dialing = after(event('call.started', made));
    expect(dialing).toMatchObject([{ phase: 'dialing' }]);
    const gone = applyEvent(dialing, event('call.ended', { ...made, state: 'ended', cause: 'busy' }), ME);
    expect(gone).toMatchObject([{ phase: 'gone', gone: { reason: 'ended', cause: 'busy' } }]);
  });

  test('a call of others, and one that ended before we looked, are not shown', () => {
    const others = call({ state: 'talking', agent: 'boris', legs: [leg('boris', 'answered')] });
    expect(after(event('call.answered', others))).toEqual([]);
    expect(after(event('call.ended', call({ state: 'ended', agent: ME })))).toEqual([]);
  });

  test('the recording that begins during the talk is noted', () => {
    const talking = after(event('call.answered', call({ state: 'talking', agent: ME })));
    const noted = applyEvent(talking, event('recording.started', { id: 'r1', call_id: 'c1' }), ME);
    expect(noted[0]?.call?.recording_id).toBe('r1');
  });

  test('a merged consultation hands its place to the call that lives on', () => {
    const talking = after(event('call.answered', call({ state: 'talking', agent: ME })));
    const merged = applyEvent(talking, event('call.merged', call({ state: 'ended', cause: 'merged', merged_into: 'c9' })), ME);
    expect(merged).toMatchObject([{ call_id: 'c9', phase: 'talking' }]);
  });

  test('the snapshot keeps a talk with its pop, drops what ended unseen, and takes over an open call', () => {
    const before = after(event('pop.shown', pop()), event('pop.shown', pop('p2'), ME, 'c2'));
    const open = [call({ state: 'talking', agent: ME })];
    const loaded = applySnapshot(before, open, null, ME, NOW);
    expect(loaded).toMatchObject([{ call_id: 'c1', phase: 'talking', pop: { pop_id: 'p1' } }]);
    expect(applySnapshot([], open, null, ME, NOW)).toMatchObject([{ call_id: 'c1', phase: 'talking', pop: null }]);
  });

  test('the chosen candidate is kept with its call', () => {
    const chosen = setChosen(after(event('pop.shown', pop())), 'c1', 'k7');
    expect(chosen[0]?.chosen).toBe('k7');
    expect(applyEvent(chosen, event('call.answered', call({ state: 'talking', agent: ME })), ME)[0]?.chosen).toBe('k7');
  });
});
