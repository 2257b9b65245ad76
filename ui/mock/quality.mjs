// How the made-up calls sounded: good mostly, a bad stretch in the middle of some, and one-way audio where a test asks for it.
import { random } from './data.mjs';

const round = (value, digits = 1) => Math.round(value * 10 ** digits) / 10 ** digits;
const mean = (values) => {
  const known = values.filter((value) => value !== null);
  return known.length ? known.reduce((sum, value) => sum + value, 0) / known.length : null;
};

export function qualityOf(call, troubles) {
  if (call.state !== 'ended' || !call.answered_at) return [];
  const seed = [...call.id].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) >>> 0, 7);
  return call.legs
    .filter((leg) => leg.answered_at)
    .map((leg, index) => legOf(leg, call, random(seed + index), troubles.get(`${call.id} ${leg.role}`) ?? null));
}

function legOf(leg, call, next, trouble) {
  const lived_ms = Math.max(1_000, Date.parse(leg.ended_at ?? call.ended_at) - Date.parse(leg.answered_at));
  const points = Math.min(1800, Math.ceil(lived_ms / 1000));
  const is_deaf = trouble !== null && trouble !== 'nothing_sent' && trouble !== 'not_delivered';
  const storm_at = Math.floor(points * (0.25 + next() * 0.4));
  const storm_long = next() < 0.6 ? Math.max(3, Math.floor(points * 0.06)) : 0;
  const hold_at = Math.floor(points * 0.75);
  const columns = {
    received: [],
    loss_percent: [],
    remote_loss_percent: [],
    concealed_percent: [],
    jitter_ms: [],
    round_trip_ms: [],
  };
  const mos = [];
  for (let n = 0; n < points; n += 1) {
    const in_storm = n >= storm_at && n < storm_at + storm_long;
    const is_quiet = is_deaf || (n >= hold_at && n < hold_at + Math.floor(points * 0.08));
    const loss = is_quiet ? 0 : in_storm ? 6 + next() * 16 : next() < 0.05 ? next() * 4 : 0;
    const jitter = is_quiet ? 0 : Math.round(in_storm ? 25 + next() * 40 : 2 + next() * 6);
    columns.received.push(is_quiet ? 0 : Math.round(50 * (1 - loss / 100)));
    columns.loss_percent.push(round(loss));
    columns.remote_loss_percent.push(n % 5 === 4 ? round(in_storm ? next() * 7 : next() * 0.6) : null);
    columns.concealed_percent.push(is_quiet ? null : round(loss * 0.9));
    columns.jitter_ms.push(jitter);
    columns.round_trip_ms.push(n < 5 ? null : Math.round(in_storm ? 140 + next() * 120 : 38 + next() * 14));
    mos.push(is_quiet ? null : round(Math.max(1, 4.38 - loss * 0.17 - jitter * 0.008), 2));
  }
  const received = columns.received.reduce((sum, value) => sum + value, 0);
  const loss_percent = round(mean(columns.loss_percent) ?? 0);
  return {
    ...{ leg: leg.id, codec: leg.role === 'agent' ? 'opus' : 'PCMA', lived_ms, packets_received: received },
    packets_lost: Math.round((received * loss_percent) / 100),
    ...{ loss_percent, jitter_ms: round(mean(columns.jitter_ms) ?? 0), max_jitter_ms: Math.max(...columns.jitter_ms) },
    packets_sent: points * 50,
    remote_packets_lost: Math.round(points * 50 * 0.002),
    ...{ remote_jitter_ms: 4, round_trip_ms: 44, source_changes: 0, strangers_refused: 0 },
    mos: round(mean(mos) ?? 0) || null,
    ...{ remote_mos: 4.3, trouble, concealed_percent: loss_percent, started_at: leg.answered_at },
    seconds: { step_seconds: 1, ...columns, gap: columns.received.map(() => 0), mos },
  };
}
