import { describe, expect, it } from 'vitest';
import type { Call, LegQuality, QualitySeconds } from '../api/types';
import { gradeOfMos, lanesOf, lineOf, momentOf, spanOf, worstOf } from './quality';

const START = Date.parse('2026-01-02T03:04:05Z');
const at = (ms: number) => new Date(START + ms).toISOString();
const call = {
  ...{ id: 'call', kind: 'inbound', state: 'ended', legs: [] },
  ...{ started_at: at(0), ended_at: at(10_000) },
} as unknown as Call;

function seconds(mos: (number | null)[], step_seconds = 1): QualitySeconds {
  const all = (value: number) => mos.map(() => value);
  return {
    ...{ step_seconds, mos, received: all(50), loss_percent: all(2), jitter_ms: all(5) },
    remote_loss_percent: mos.map((_, n) => (n === 1 ? 8 : null)),
    concealed_percent: mos.map(() => null),
    round_trip_ms: mos.map(() => 40),
  };
}
function leg(more: Partial<LegQuality>): LegQuality {
  return {
    ...{ leg: 'one', codec: 'PCMA', lived_ms: 4_000, packets_received: 200, packets_lost: 4, loss_percent: 2, jitter_ms: 5 },
    ...{
      max_jitter_ms: 9,
      packets_sent: 200,
      remote_packets_lost: 2,
      remote_jitter_ms: 3,
      round_trip_ms: 40,
      mos: 4.2,
      remote_mos: 4.3,
    },
    ...{ trouble: null, started_at: at(6_000), seconds: null },
    ...more,
  };
}

describe('how a call sounded', () => {
  it('joins seconds of one grade and leaves silence out', () => {
    const [from] = lanesOf(call, [leg({ seconds: seconds([4.3, 4.3, null, 2]) })]);
    expect(from?.stretches).toEqual([
      { from_ms: 6_000, to_ms: 8_000, grade: 'good' },
      { from_ms: 8_000, to_ms: 9_000, grade: 'silent' },
      { from_ms: 9_000, to_ms: 10_000, grade: 'bad' },
    ]);
  });

  it('lets a report of the far end stand until the next one', () => {
    const [, to] = lanesOf(call, [leg({ seconds: seconds([4, 4, 4, 4]) })]);
    expect(to?.stretches.map(({ grade }) => grade)).toEqual(['silent', 'bad']);
  });

  it('draws a leg without a series as one stretch', () => {
    const lanes = lanesOf(call, [leg({ packets_received: 0, mos: null, remote_packets_lost: null })]);
    expect(lanes.map(({ grade, loss_percent }) => [grade, loss_percent])).toEqual([
      ['silent', null],
      ['silent', null],
    ]);
  });

  it('knows the moment under the cursor and none outside the leg', () => {
    const one = leg({ seconds: seconds([4.3, 3], 2), lived_ms: 4_000 });
    expect(momentOf(call, [one], one, 8_500)).toMatchObject({ mos: 3, loss_percent: 2 });
    expect(momentOf(call, [one], one, 5_000)).toBeNull();
    expect(momentOf(call, [one], one, 10_500)).toBeNull();
  });

  it('lists the worst seconds first and no good ones', () => {
    const one = leg({ seconds: seconds([4.3, 3.5, 1.2, null]) });
    expect(worstOf(call, [one], 5).map(({ at_ms, moment }) => [at_ms, moment.mos])).toEqual([
      [8_000, 1.2],
      [7_000, 3.5],
    ]);
  });

  it('spans from the first media to the last', () => {
    expect(spanOf(call, [leg({ started_at: at(-500), lived_ms: 12_000 })])).toEqual({ from: START - 500, to: START + 11_500 });
  });

  it('breaks a line where nothing is known', () => {
    expect(lineOf([0, 5, null, 10], 10, 30, 10)).toBe('M0 10L10 5M30 0');
  });

  it('grades by the E-model', () => {
    expect([4.4, 3.5, 2, null].map(gradeOfMos)).toEqual(['good', 'fair', 'bad', 'silent']);
  });
});
