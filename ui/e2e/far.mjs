// The other side of a call in the browser's phone: a peer connection in a page of its own, which the mock server asks for its
// SDP. It sends a steady 440 Hz and tells what it hears.
export async function farEnd(context) {
  const page = await context.newPage();
  await page.goto('about:blank');
  await page.evaluate(() => {
    window.peers = new Map();
    const complete = (pc) =>
      new Promise((done) => {
        if (pc.iceGatheringState === 'complete') done();
        pc.addEventListener('icegatheringstatechange', () => pc.iceGatheringState === 'complete' && done());
      });
    const newest = () => [...window.peers.values()].at(-1);
    window.offer = async (call) => {
      const pc = new RTCPeerConnection();
      const sound = new AudioContext();
      const out = sound.createMediaStreamDestination();
      const tone = new OscillatorNode(sound, { frequency: 440 });
      const quiet = new GainNode(sound, { gain: 0.3 });
      tone.connect(quiet).connect(out);
      tone.start();
      pc.addTrack(out.stream.getAudioTracks()[0], out.stream);
      const heard = new AnalyserNode(sound, { fftSize: 2048 });
      pc.addEventListener('track', ({ streams: [stream] }) => {
        // Chromium lets a remote stream into Web Audio only when an element plays it.
        const element = new Audio();
        element.srcObject = stream;
        element.muted = true;
        void element.play();
        sound.createMediaStreamSource(stream).connect(heard);
        pc.element = element;
      });
      pc.heard = heard;
      window.peers.set(call, pc);
      await pc.setLocalDescription(await pc.createOffer());
      await complete(pc);
      return pc.localDescription.sdp;
    };
    window.answer = (call, sdp) => window.peers.get(call).setRemoteDescription({ type: 'answer', sdp });
    window.negotiate = async (call, sdp) => {
      const pc = window.peers.get(call);
      await pc.setRemoteDescription({ type: 'offer', sdp });
      await pc.setLocalDescription(await pc.createAnswer());
      await complete(pc);
      return pc.localDescription.sdp;
    };
    /** The loudest sample of the last moments, 0 to 1. */
    window.loudness = async (ms) => {
      const { heard } = newest();
      const samples = new Float32Array(heard.fftSize);
      let top = 0;
      for (const until = performance.now() + ms; performance.now() < until;) {
        heard.getFloatTimeDomainData(samples);
        for (const sample of samples) top = Math.max(top, Math.abs(sample));
        await new Promise((done) => setTimeout(done, 20));
      }
      return top;
    };
    window.state = () => newest()?.connectionState;
    window.codec = () => /a=rtpmap:(\d+) (\S+)/.exec(newest().remoteDescription.sdp)?.[2];
  });
  return {
    page,
    offer: (call) => page.evaluate((id) => window.offer(id), call),
    answer: (call, sdp) => page.evaluate(([id, text]) => window.answer(id, text), [call, sdp]),
    negotiate: (call, sdp) => page.evaluate(([id, text]) => window.negotiate(id, text), [call, sdp]),
    loudness: (ms = 1_500) => page.evaluate((span) => window.loudness(span), ms),
    state: () => page.evaluate(() => window.state()),
    codec: () => page.evaluate(() => window.codec()),
    close: () => page.close(),
  };
}
