// Made-up conversations as sound: two voices that take turns, silence on hold, one mono channel each in a stereo WAV.
// The same recording always sounds the same, and its peaks are of the very same sound.
import { random } from './data.mjs';

const RATE = 8000;
export const PEAKS_PER_SECOND = 20;

function seedOf(text) {
  let seed = 2166136261;
  for (const char of text) seed = Math.imul(seed ^ char.charCodeAt(0), 16777619);
  return seed >>> 0;
}

/** Who speaks when: alternating phrases of words, none during hold or a pause. */
function loudness(recording) {
  const rand = random(seedOf(recording.id));
  const slots = Math.ceil((recording.duration_ms / 1000) * PEAKS_PER_SECOND);
  const channels = [new Float32Array(slots), new Float32Array(slots)];
  const joined = recording.marks.find((mark) => mark.kind === 'agent_joined')?.at_ms ?? 0;
  let at = Math.floor((joined / 1000) * PEAKS_PER_SECOND) + 8;
  let speaker = 1;
  while (at < slots) {
    const phrase = Math.floor((1.2 + rand() * 6) * PEAKS_PER_SECOND);
    let word = 0;
    let length = 1;
    let height = 0.6;
    for (let n = at; n < Math.min(slots, at + phrase); n += 1) {
      if (word <= 0) {
        word = length = 3 + Math.floor(rand() * 7);
        height = rand() < 0.2 ? 0.03 : 0.25 + rand() * 0.7;
      }
      // A word swells and fades; a phrase falls towards its end.
      const swell = Math.sin((Math.PI * (length - word + 0.5)) / length);
      channels[speaker][n] = height * (0.3 + 0.7 * swell) * (1 - (0.35 * (n - at)) / phrase) * (0.8 + rand() * 0.2);
      word -= 1;
    }
    at += phrase + Math.floor(rand() * 0.9 * PEAKS_PER_SECOND);
    if (rand() < 0.82) speaker = 1 - speaker;
  }
  for (const [from, to] of silences(recording)) {
    for (const channel of channels)
      channel.fill(0, Math.floor((from / 1000) * PEAKS_PER_SECOND), Math.ceil((to / 1000) * PEAKS_PER_SECOND));
  }
  return channels;
}

function silences(recording) {
  const spans = recording.gaps.map((gap) => [gap.from_ms, gap.to_ms]);
  for (const [begin, end] of [
    ['held', 'resumed'],
    ['paused', 'unpaused'],
  ]) {
    const from = recording.marks.find((mark) => mark.kind === begin);
    const to = recording.marks.find((mark) => mark.kind === end);
    if (from) spans.push([from.at_ms, to?.at_ms ?? recording.duration_ms]);
  }
  return spans;
}

export function peaksOf(recording) {
  const [left, right] = loudness(recording).map((channel) => Array.from(channel, (value) => Math.round(value * 255)));
  return { per_second: PEAKS_PER_SECOND, left, right };
}

export function wavOf(recording) {
  const [left, right] = loudness(recording);
  const frames = Math.round((recording.duration_ms / 1000) * RATE);
  const wav = Buffer.alloc(44 + frames * 4);
  wav.write('RIFF', 0);
  wav.writeUInt32LE(36 + frames * 4, 4);
  wav.write('WAVEfmt ', 8);
  wav.writeUInt32LE(16, 16);
  wav.writeUInt16LE(1, 20);
  wav.writeUInt16LE(2, 22);
  wav.writeUInt32LE(RATE, 24);
  wav.writeUInt32LE(RATE * 4, 28);
  wav.writeUInt16LE(4, 32);
  wav.writeUInt16LE(16, 34);
  wav.write('data', 36);
  wav.writeUInt32LE(frames * 4, 40);
  for (let n = 0; n < frames; n += 1) {
    const slot = Math.floor((n / RATE) * PEAKS_PER_SECOND);
    const t = n / RATE;
    wav.writeInt16LE(voice(t, 205, left[slot] ?? 0), 44 + n * 4);
    wav.writeInt16LE(voice(t, 128, right[slot] ?? 0), 46 + n * 4);
  }
  return wav;
}

function voice(t, hertz, level) {
  const wobble = hertz * (1 + 0.03 * Math.sin(t * 9));
  const tone =
    Math.sin(2 * Math.PI * wobble * t) + 0.5 * Math.sin(4 * Math.PI * wobble * t) + 0.25 * Math.sin(7.1 * Math.PI * wobble * t);
  return Math.round(tone * level * 11000);
}
