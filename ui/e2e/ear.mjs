// The mouth and ear of a tab's telephone in the scenario tests, whatever signals for it: a tone for a microphone, and the
// tones that are heard. Runs in the page, and leaves `ear` there.
export function ear() {
  const context = new AudioContext();
  const analyser = new AnalyserNode(context, { fftSize: 8192, smoothingTimeConstant: 0 });
  let player = null;

  window.ear = {
    resume: () => context.resume(),
    microphone(hz) {
      const tone = new OscillatorNode(context, { frequency: hz });
      const volume = new GainNode(context, { gain: 0.25 });
      const out = new MediaStreamAudioDestinationNode(context, { channelCount: 1 });
      tone.connect(volume).connect(out);
      tone.start();
      return out.stream;
    },
    listen(pc) {
      pc.addEventListener('track', (event) => {
        const stream = new MediaStream([event.track]);
        // Chromium feeds a remote track to WebAudio only while some element plays it.
        player = new Audio();
        player.srcObject = stream;
        player.muted = true;
        void player.play();
        new MediaStreamAudioSourceNode(context, { mediaStream: stream }).connect(analyser);
      });
    },
    // The tones heard now, loudest first: {hz, db}; those 20 dB below the loudest are left out.
    heard() {
      const bins = new Float32Array(analyser.frequencyBinCount);
      analyser.getFloatFrequencyData(bins);
      const step = context.sampleRate / analyser.fftSize;
      const peaks = [];
      for (let n = 2; n < bins.length - 2; n += 1)
        if (bins[n] > -75 && bins[n] >= bins[n - 1] && bins[n] > bins[n + 1])
          peaks.push({ hz: Math.round(n * step), db: Math.round(bins[n]) });
      peaks.sort((a, b) => b.db - a.db);
      return peaks.filter((peak) => peak.db > (peaks[0]?.db ?? 0) - 20).slice(0, 6);
    },
  };
}
