import { describe, expect, test } from 'vitest';
import type { Call, Leg, Peaks } from '../api/types';
import { agentLeg, hasFailed, isMissed, isMissedBy, otherParty, stepsOf, talkMs, waitMs } from './call';
import { dialable, formatPhone, looksLikePhone } from './phone';
import { initials, outside } from './text';
import { barsOf, regionsOf, speechShares, ticks } from './wave';

describe('phone numbers', () => {
  test('are grouped as people read them', () => {
    expect(formatPhone('+79215550187')).toBe('+7 921 555-01-87');
    expect(formatPhone('+12125550187')).toBe('+1 212 555-0187');
    expect(formatPhone('+375291234567')).toBe('+375 29 123-45-67');
    expect(formatPhone('+442079460958')).toBe('+44 20 7946-0958');
    expect(formatPhone('+447700900108')).toBe('+44 7700 900-108');
    expect(formatPhone('+7911·····64')).toBe('+7 911 ···-··-64');
  });

  test('that are not E.164 stay as they came', () => {
    for (const text of ['101', 'anna', '8 (495) 123-45-67', '', '+12']) expect(formatPhone(text)).toBe(text);
  });

  test('lose no digit in any country', () => {
    for (let length = 5; length <= 15; length += 1) {
      const number = `+${'352146879012345'.slice(0, length)}`;
      expect(formatPhone(number).replace(/[^+\d]/g, '')).toBe(number);
    }
  });

  test('are told from names when typed', () => {
    for (const text of ['8 (495) 123-45-67', '+7 921 555-01-87', '101', '112']) expect(looksLikePhone(text), text).toBe(true);
    for (const text of ['Иванов', '12', 'sip:101', '7-я школа', '']) expect(looksLikePhone(text), text).toBe(false);
    expect(dialable('8 (495) 123-45-67')).toBe('84951234567');
    expect(dialable(' +7 495')).toBe('+7495');
  });
});

describe('text from outside', () => {
  test('is cut to 64 characters and cleaned of controls and turns', () => {
    expect(outside('а'.repeat(80))).toHaveLength(64);
    expect(outside('Анна\u202e\u0007\u200f Иванова')).toBe('Анна Иванова');
    expect(outside(null)).toBe('');
    expect(outside('<b>x</b>')).toBe('<b>x</b>');
  });

  test('gives initials of people and companies', () => {
    expect(initials('Ольга Тимофеева')).toBe('ОТ');
    expect(initials('ООО «Полярис»')).toBe('П');
    expect(initials('+7 921 555-01-87')).toBe('');
  });
});

const AT = (s: number) => new Date(Date.UTC(2026, 10, 23, 11, 0, s)).toISOString();

function leg(change: Partial<Leg>): Leg {
  const party = { number: null, display: null };
  return {
    id: '1',
    role: 'agent',
    state: 'ended',
    party,
    agent: null,
    trunk: null,
    started_at: AT(0),
    answered_at: null,
    ended_at: null,
    ...change,
  };
}

function call(change: Partial<Call> = {}): Call {
  return {
    ...{
      id: 'c',
      kind: 'inbound',
      state: 'ended',
      from: { number: '+79215550187', display: null },
      to: '+74951234567',
      trunk: null,
    },
    ...{ queue: 'sales', agent: 'anna', card_id: null, source: null, started_at: AT(0), answered_at: AT(1), ended_at: AT(50) },
    ...{ cause: 'normal', ended_by: 'caller', recording_id: null, consult_of: null, merged_into: null },
    legs: [
      leg({ role: 'caller', answered_at: AT(1) }),
      leg({ agent: 'anna', started_at: AT(14), answered_at: AT(20), ended_at: AT(50) }),
    ],
    ...change,
  };
}

describe('a call', () => {
  test('counts the wait to the first word of a person, not to the queue that picked up', () => {
    expect(waitMs(call(), 0)).toBe(20_000);
    expect(talkMs(call(), 0)).toBe(30_000);
  });

  test('that nobody took is missed, though the queue answered it', () => {
    const lost = call({
      cause: 'abandoned',
      legs: [leg({ role: 'caller', answered_at: AT(1) }), leg({ agent: 'anna', ended_at: AT(40) })],
    });
    expect(isMissed(lost)).toBe(true);
    expect(isMissedBy(lost, 'anna')).toBe(true);
    expect(waitMs(lost, 0)).toBe(50_000);
    expect(talkMs(lost, 0)).toBe(0);
  });

  test('taken by a colleague is missed by me and not missed at all', () => {
    const theirs = call({
      agent: 'boris',
      legs: [leg({ agent: 'anna', ended_at: AT(18) }), leg({ agent: 'boris', answered_at: AT(20) })],
    });
    expect(isMissed(theirs)).toBe(false);
    expect(isMissedBy(theirs, 'anna')).toBe(true);
    expect(isMissedBy(theirs, 'boris')).toBe(false);
    expect(agentLeg(theirs)?.agent).toBe('boris');
  });

  test('made by us has failed when the far side never answered', () => {
    const busy = call({
      kind: 'outbound',
      to: '+79125550731',
      cause: 'busy',
      legs: [leg({ agent: 'anna', answered_at: AT(3) }), leg({ role: 'external' })],
    });
    expect(hasFailed(busy)).toBe(true);
    expect(otherParty(busy).number).toBe('+79125550731');
  });

  test('inside the house shows the one who called, and to the caller the one called', () => {
    const caller = leg({ role: 'caller', agent: 'anna', answered_at: AT(1) });
    const inside = call({
      kind: 'internal',
      from: { number: '101', display: 'Анна' },
      to: 'user:boris',
      legs: [caller, leg({ agent: 'boris' })],
    });
    expect(otherParty(inside, 'anna')).toMatchObject({ number: null, target: { kind: 'user', name: 'boris' } });
    expect(otherParty(inside, 'boris')).toMatchObject({ number: '101', target: null });
    expect(otherParty(call({ kind: 'outbound', to: 'external:+79125550731', legs: [caller] }), 'anna').number).toBe(
      '+79125550731',
    );
  });

  test('tells its way in order', () => {
    const way = stepsOf(
      call({
        legs: [
          leg({ agent: 'boris', started_at: AT(4), ended_at: AT(14) }),
          leg({ agent: 'anna', started_at: AT(14), answered_at: AT(20) }),
        ],
      }),
    );
    expect(way.map((step) => `${step.kind} ${step.agent ?? ''}`.trim())).toEqual([
      'arrived',
      'agent_rang boris',
      'agent_missed boris',
      'agent_rang anna',
      'agent_answered anna',
      'ended',
    ]);
  });
});

describe('the waveform', () => {
  const peaks: Peaks = { per_second: 2, left: [0, 255, 0, 0], right: [0, 0, 0, 128] };

  test('keeps the loudest peak of each bar', () => {
    expect(barsOf(peaks, 2).left).toEqual([1, 0]);
    expect(barsOf({ per_second: 1, left: [], right: [] }, 3).left).toEqual([0, 0, 0]);
    expect(barsOf(peaks, 8).left.filter((bar) => bar === 1)).toHaveLength(2);
  });

  test('shows hold and pauses as stretches, the unfinished one to the end', () => {
    const regions = regionsOf({
      duration_ms: 60_000,
      gaps: [{ from_ms: 5_000, to_ms: 6_000, reason: 'disk_full' }],
      marks: [
        { at_ms: 10_000, kind: 'held', label: null },
        { at_ms: 20_000, kind: 'resumed', label: null },
        { at_ms: 50_000, kind: 'paused', label: null },
      ],
    });
    expect(regions.map(({ kind, from_ms, to_ms }) => [kind, from_ms, to_ms])).toEqual([
      ['gap', 5_000, 6_000],
      ['held', 10_000, 20_000],
      ['paused', 50_000, 60_000],
    ]);
  });

  test('measures who speaks, and marks round moments', () => {
    expect(speechShares(peaks)).toEqual({ left: 25, right: 25 });
    expect(ticks(402_000, 640)).toEqual([0, 60_000, 120_000, 180_000, 240_000, 300_000, 360_000]);
    expect(ticks(0, 640)).toEqual([]);
  });
});
