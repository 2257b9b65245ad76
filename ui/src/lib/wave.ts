// A recording's peaks as something to draw: bars for a given width, stretches of hold and pause, shares of speech. Pure.
import type { Gap, Mark, MarkKind, Peaks, Recording } from '../api/types';

export interface Bars {
  left: number[];
  right: number[];
}

/** The loudest peak of each bar, 0 to 1, quiet parts lifted a little, so that a soft voice can be seen. */
export function barsOf(peaks: Peaks, count: number): Bars {
  return { left: resample(peaks.left, count), right: resample(peaks.right, count) };
}

function resample(peaks: readonly number[], count: number): number[] {
  const bars: number[] = [];
  for (let n = 0; n < count; n += 1) {
    const from = Math.floor((n * peaks.length) / count);
    const to = Math.max(from + 1, Math.floor(((n + 1) * peaks.length) / count));
    let loudest = 0;
    for (let at = from; at < to && at < peaks.length; at += 1) loudest = Math.max(loudest, peaks[at] ?? 0);
    bars.push(Math.min(1, loudest / 255) ** 0.75);
  }
  return bars;
}

/** One SVG path of upright strokes around the middle line; `height` in pixels, a bar every `step` pixels. */
export function pathOf(bars: readonly number[], step: number, height: number): string {
  const middle = height / 2;
  const strokes = bars.map((bar, n) => {
    const x = round(n * step + step / 2);
    const half = Math.max(0.5, (bar * (height - 4)) / 2);
    return `M${x} ${round(middle - half)}V${round(middle + half)}`;
  });
  return strokes.join('');
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

export interface Region {
  kind: 'held' | 'paused' | 'music' | 'gap';
  from_ms: number;
  to_ms: number;
  reason: string | null;
}

const PAIRS: readonly (readonly [MarkKind, MarkKind, Region['kind']])[] = [
  ['music_started', 'music_stopped', 'music'],
  ['held', 'resumed', 'held'],
  ['paused', 'unpaused', 'paused'],
  ['masked', 'unmasked', 'paused'],
  ['stopped', 'started', 'paused'],
];

/** Stretches in which nobody was heard, and why. One that never ended lasts to the end. */
export function regionsOf(recording: Pick<Recording, 'marks' | 'gaps' | 'duration_ms'>): Region[] {
  const regions = PAIRS.flatMap(([begins, ends, kind]) => pairUp(recording.marks, begins, ends, kind, recording.duration_ms));
  const gaps = recording.gaps.map((gap: Gap): Region => ({
    kind: 'gap',
    from_ms: gap.from_ms,
    to_ms: gap.to_ms,
    reason: gap.reason,
  }));
  return [...regions, ...gaps].sort((a, b) => a.from_ms - b.from_ms);
}

function pairUp(marks: readonly Mark[], begins: MarkKind, ends: MarkKind, kind: Region['kind'], end_ms: number): Region[] {
  const regions: Region[] = [];
  let from: number | null = null;
  for (const mark of marks) {
    if (mark.kind === begins && from === null) from = mark.at_ms;
    if (mark.kind === ends && from !== null) {
      regions.push({ kind, from_ms: from, to_ms: mark.at_ms, reason: null });
      from = null;
    }
  }
  if (from !== null) regions.push({ kind, from_ms: from, to_ms: end_ms, reason: null });
  return regions;
}

const SPEECH = 20;

/** Which part of the time each side was speaking, in whole per cent. */
export function speechShares(peaks: Peaks): { left: number; right: number } {
  const share = (channel: readonly number[]) =>
    channel.length ? Math.round((channel.filter((peak) => peak >= SPEECH).length * 100) / channel.length) : 0;
  return { left: share(peaks.left), right: share(peaks.right) };
}

const STEPS_S = [5, 10, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600];

/** Round moments for the time line: about one each `every_px`, the end not among them. */
export function ticks(duration_ms: number, width: number, every_px = 80): number[] {
  const want = Math.max(1, Math.floor(width / every_px));
  const step = (STEPS_S.find((s) => duration_ms / 1000 / s <= want) ?? 3600) * 1000;
  const list: number[] = [];
  for (let at = 0; at < duration_ms - step * 0.45; at += step) list.push(at);
  return list;
}
