// How loud a track is, ten times a second, 0 to 1. For a meter on the screen, never for a decision about the call.

const EVERY_MS = 100;
/** Below this all is quiet: -60 dB of full scale; the meter's scale runs from here to 0 dB. */
const FLOOR_DB = 60;

/** Tells `heard` the level until the returned function is called. */
export function watchLevel(track: MediaStreamTrack, heard: (level: number) => void): () => void {
  const context = new AudioContext();
  const analyser = new AnalyserNode(context, { fftSize: 2048 });
  context.createMediaStreamSource(new MediaStream([track])).connect(analyser);
  if (context.state === 'suspended') void context.resume();
  const samples = new Float32Array(analyser.fftSize);
  const timer = setInterval(() => {
    analyser.getFloatTimeDomainData(samples);
    heard(levelOf(samples));
  }, EVERY_MS);
  return () => {
    clearInterval(timer);
    void context.close();
  };
}

/** Root mean square on a scale as the ear has it. */
export function levelOf(samples: Float32Array): number {
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  const rms = Math.sqrt(sum / Math.max(1, samples.length));
  return rms === 0 ? 0 : Math.min(1, Math.max(0, 1 + (20 * Math.log10(rms)) / FLOOR_DB));
}
