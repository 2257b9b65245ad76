// How a call sounded, as something to draw: each leg's two directions as stretches of one grade on the call's time line, and
// the figures of one moment. Pure; the words for it are in the dictionaries.
import type { Call, LegQuality, QualitySeconds } from '../api/types';

export type Grade = 'good' | 'fair' | 'bad' | 'silent';

export interface Stretch {
  from_ms: number;
  to_ms: number;
  grade: Grade;
}

export interface Lane {
  leg: LegQuality;
  /** `from`: what we heard of the leg; `to`: what it heard of us. */
  direction: 'from' | 'to';
  stretches: Stretch[];
  loss_percent: number | null;
  jitter_ms: number | null;
  mos: number | null;
  grade: Grade;
}

/** On the call's time line. */
export interface Moment {
  loss_percent: number;
  remote_loss_percent: number | null;
  jitter_ms: number;
  round_trip_ms: number | null;
  mos: number | null;
}

/** G.107 Annex B: below 3.1 many are dissatisfied, above 3.8 few are. */
export function gradeOfMos(mos: number | null): Grade {
  if (mos === null) return 'silent';
  return mos >= 3.8 ? 'good' : mos >= 3.1 ? 'fair' : 'bad';
}
export function gradeOfLoss(percent: number | null): Grade {
  if (percent === null) return 'silent';
  return percent < 1.5 ? 'good' : percent < 5 ? 'fair' : 'bad';
}

/** From the first media to the end of the call, in server milliseconds. */
export function spanOf(call: Call, legs: readonly LegQuality[]): { from: number; to: number } {
  const begins = legs.map((leg) => beginOf(leg, call));
  const ends = legs.map((leg) => beginOf(leg, call) + leg.lived_ms);
  const from = Math.min(Date.parse(call.started_at), ...begins);
  return { from, to: Math.max(from + 1_000, call.ended_at ? Date.parse(call.ended_at) : from, ...ends) };
}

/** When the leg's media opened. Calls from before the series had a beginning lean on the leg itself. */
function beginOf(leg: LegQuality, call: Call): number {
  const seen = call.legs.find((one) => one.id === leg.leg);
  return Date.parse(leg.started_at ?? seen?.started_at ?? call.started_at);
}

export function lanesOf(call: Call, legs: readonly LegQuality[]): Lane[] {
  const { from } = spanOf(call, legs);
  return legs.flatMap((leg) => {
    const at = beginOf(leg, call) - from;
    const whole = (grade: Grade): Stretch[] => [{ from_ms: at, to_ms: at + leg.lived_ms, grade }];
    const { seconds } = leg;
    const heard = leg.packets_received > 0 ? gradeOfMos(leg.mos) : 'silent';
    const told = leg.remote_packets_lost === null ? null : lossOf(leg);
    const lane = (
      direction: Lane['direction'],
      stretches: Stretch[],
      rest: Pick<Lane, 'loss_percent' | 'jitter_ms' | 'mos' | 'grade'>,
    ) => ({
      ...{ leg, direction, stretches },
      ...rest,
    });
    return [
      lane('from', seconds ? stretch(seconds, at, leg.lived_ms, (n) => gradeOfMos(seconds.mos[n] ?? null)) : whole(heard), {
        loss_percent: leg.packets_received > 0 ? leg.loss_percent : null,
        jitter_ms: leg.packets_received > 0 ? leg.jitter_ms : null,
        mos: leg.mos,
        grade: heard,
      }),
      lane(
        'to',
        seconds && told !== null ? stretch(seconds, at, leg.lived_ms, (n) => carried(seconds, n)) : whole(gradeOfLoss(told)),
        {
          loss_percent: told,
          jitter_ms: leg.remote_jitter_ms,
          mos: leg.remote_mos,
          grade: told === null ? 'silent' : gradeOfMos(leg.remote_mos),
        },
      ),
    ];
  });
}

/** Reports come every few seconds; between two the last one stands. */
function carried(seconds: QualitySeconds, n: number): Grade {
  for (let at = n; at >= 0; at -= 1) {
    const loss = seconds.remote_loss_percent[at];
    if (loss !== null && loss !== undefined) return gradeOfLoss(loss);
  }
  return 'silent';
}

function lossOf(leg: LegQuality): number {
  return leg.packets_sent === 0 ? 0 : Math.min(100, ((leg.remote_packets_lost ?? 0) * 100) / leg.packets_sent);
}

/** Neighbours of one grade become one stretch. */
function stretch(seconds: QualitySeconds, at: number, lived_ms: number, grade: (n: number) => Grade): Stretch[] {
  const list: Stretch[] = [];
  const step = seconds.step_seconds * 1000;
  for (let n = 0; n < seconds.received.length; n += 1) {
    const [from_ms, to_ms] = [at + n * step, at + Math.min(lived_ms, (n + 1) * step)];
    if (to_ms <= from_ms) break;
    const last = list.at(-1);
    const now = grade(n);
    if (last?.grade === now) last.to_ms = to_ms;
    else list.push({ from_ms, to_ms, grade: now });
  }
  return list;
}

/** What one leg's figures were at a moment of the call; null before and after its media. */
export function momentOf(call: Call, legs: readonly LegQuality[], leg: LegQuality, at_ms: number): Moment | null {
  const { seconds } = leg;
  if (!seconds) return null;
  const n = Math.floor((spanOf(call, legs).from + at_ms - beginOf(leg, call)) / (seconds.step_seconds * 1000));
  if (n < 0 || n >= seconds.received.length) return null;
  return {
    loss_percent: seconds.loss_percent[n] ?? 0,
    remote_loss_percent: seconds.remote_loss_percent[n] ?? null,
    jitter_ms: seconds.jitter_ms[n] ?? 0,
    round_trip_ms: seconds.round_trip_ms[n] ?? null,
    mos: seconds.mos[n] ?? null,
  };
}

export interface Worst {
  at_ms: number;
  leg: LegQuality;
  moment: Moment;
}

/** The worst seconds, worst first, for those who read rather than look. */
export function worstOf(call: Call, legs: readonly LegQuality[], most: number): Worst[] {
  const { from } = spanOf(call, legs);
  const all: Worst[] = [];
  for (const leg of legs) {
    const step = (leg.seconds?.step_seconds ?? 1) * 1000;
    for (let n = 0; n < (leg.seconds?.mos.length ?? 0); n += 1) {
      const mos = leg.seconds?.mos[n] ?? null;
      if (mos === null || gradeOfMos(mos) === 'good') continue;
      const at_ms = beginOf(leg, call) - from + n * step;
      const moment = momentOf(call, legs, leg, at_ms);
      if (moment) all.push({ at_ms, leg, moment });
    }
  }
  return all.sort((a, b) => (a.moment.mos ?? 5) - (b.moment.mos ?? 5) || a.at_ms - b.at_ms).slice(0, most);
}

/** A figure by seconds as one SVG path in a box of `width` × `height`; a null breaks the line. */
export function lineOf(values: readonly (number | null)[], top: number, width: number, height: number): string {
  let path = '';
  let is_drawing = false;
  values.forEach((value, n) => {
    if (value === null) {
      is_drawing = false;
      return;
    }
    const x = values.length > 1 ? (n * width) / (values.length - 1) : 0;
    const y = height - (Math.min(value, top) / top) * height;
    path += `${is_drawing ? 'L' : 'M'}${Math.round(x * 10) / 10} ${Math.round(y * 10) / 10}`;
    is_drawing = true;
  });
  return path;
}
