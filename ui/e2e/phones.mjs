// Browser telephones for the scenario tests: JsSIP in real Chromium tabs, each saying its own tone and telling what it
// hears. Run by tests/it/support/browser.rs: node e2e/phones.mjs BASE_URL; one JSON command a line on standard input,
// one JSON answer a line on standard output, in order.
/* global JsSIP */
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';
import { openBrowser } from './browser.mjs';

const [base] = process.argv.slice(2);
const JSSIP = await bundled();

// JsSIP as one script that leaves `JsSIP` in the page.
async function bundled() {
  const root = fileURLToPath(new URL('..', import.meta.url));
  const lib = { entry: fileURLToPath(import.meta.resolve('jssip')), formats: ['iife'], name: 'JsSIP' };
  const options = { configFile: false, root, logLevel: 'error', build: { write: false, lib, minify: false } };
  const [{ output }] = [await build({ ...options, define: { 'process.env.NODE_ENV': '"production"' } })].flat();
  return output[0].code;
}

// Runs in the page.
function telephone() {
  const context = new AudioContext();
  const state = { ua: null, session: null, registered: false, log: [], calls: 0, pc: null };
  const analyser = new AnalyserNode(context, { fftSize: 8192, smoothingTimeConstant: 0 });
  let player = null;

  function microphone(hz) {
    const tone = new OscillatorNode(context, { frequency: hz });
    const volume = new GainNode(context, { gain: 0.25 });
    const out = new MediaStreamAudioDestinationNode(context, { channelCount: 1 });
    tone.connect(volume).connect(out);
    tone.start();
    return out.stream;
  }

  function listen(pc) {
    state.pc = pc;
    pc.addEventListener('track', (event) => {
      const stream = new MediaStream([event.track]);
      // Chromium feeds a remote track to WebAudio only while some element plays it.
      player = new Audio();
      player.srcObject = stream;
      player.muted = true;
      void player.play();
      new MediaStreamAudioSourceNode(context, { mediaStream: stream }).connect(analyser);
    });
  }

  function take(session) {
    state.session = session;
    state.calls += 1;
    for (const name of ['progress', 'accepted', 'confirmed', 'hold', 'unhold'])
      session.on(name, (event) => state.log.push(`${name}${event?.originator ? `:${event.originator}` : ''}`));
    for (const name of ['ended', 'failed'])
      session.on(name, (event) => state.log.push(`${name}:${event.originator}:${event.cause}`));
    session.on('newDTMF', (event) => event.originator === 'remote' && state.log.push(`dtmf:${event.dtmf.tone}`));
    session.on('icecandidate', (event) => event.ready());
    session.on('peerconnection', (event) => listen(event.peerconnection));
    if (session.connection) listen(session.connection);
  }

  window.telephone = {
    async register({ credentials, hz, codec }) {
      await context.resume();
      state.stream = microphone(hz);
      state.codec = codec;
      const socket = new JsSIP.WebSocketInterface(credentials.ws_url);
      const { uri, username, password } = credentials;
      const ua = new JsSIP.UA({ sockets: [socket], uri, authorization_user: username, password, session_timers: false });
      state.ua = ua;
      ua.on('registered', () => (state.registered = true));
      ua.on('unregistered', () => (state.registered = false));
      ua.on('registrationFailed', (event) => state.log.push(`registrationFailed:${event.cause}`));
      ua.on('newRTCSession', ({ session, request, originator }) => {
        take(session);
        if (originator === 'remote') {
          state.resume = request.getHeader('X-Perezvon-Resume') ?? null;
          if (state.resume) window.telephone.answer();
        }
      });
      ua.start();
    },
    // Leaves one codec in what we offer or answer.
    only(sdp) {
      if (!state.codec) return sdp;
      const lines = sdp.split('\r\n');
      const keep = lines.flatMap((line) => {
        const match = new RegExp(`^a=rtpmap:(\\d+) (${state.codec}|telephone-event)/`, 'i').exec(line);
        return match ? [match[1]] : [];
      });
      const kept = lines.filter((line) => {
        const match = /^a=(?:rtpmap|fmtp|rtcp-fb):(\d+) /.exec(line);
        return !match || keep.includes(match[1]);
      });
      return kept.map((line) => line.replace(/^(m=audio \d+ \S+ ).*/, (_, head) => head + keep.join(' '))).join('\r\n');
    },
    options() {
      return { mediaStream: state.stream, pcConfig: { iceServers: [] }, rtcOfferConstraints: { offerToReceiveAudio: true } };
    },
    call({ to }) {
      const session = state.ua.call(to, { ...this.options(), mediaConstraints: { audio: true, video: false } });
      session.on('sdp', (event) => event.originator === 'local' && (event.sdp = this.only(event.sdp)));
    },
    answer() {
      state.session.on('sdp', (event) => event.originator === 'local' && (event.sdp = window.telephone.only(event.sdp)));
      state.session.answer(window.telephone.options());
    },
    hang_up: () => state.session.terminate(),
    hold: () => state.session.hold(),
    resume: () => state.session.unhold(),
    press: ({ tones }) => state.session.sendDTMF(tones, { transportType: 'RFC2833', duration: 100, interToneGap: 100 }),
    renew: () => state.session.renegotiate({ rtcOfferConstraints: { iceRestart: true } }),
    drop_line: () => state.ua.transport?.disconnect?.() ?? state.ua._transport.disconnect(),
    state: () => ({
      registered: state.registered,
      calls: state.calls,
      resume: state.resume ?? null,
      ringing: Boolean(state.session?.isInProgress() && state.session.direction === 'incoming'),
      talking: Boolean(state.session?.isEstablished()),
      from: state.session?.remote_identity?.uri?.user ?? null,
      connection: state.pc?.connectionState ?? null,
      log: state.log,
    }),
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
    async stats() {
      const wanted = {};
      for (const report of (await state.pc.getStats()).values()) {
        if (report.type === 'inbound-rtp')
          Object.assign(wanted, {
            received: report.packetsReceived,
            lost: report.packetsLost,
            concealed: report.concealedSamples,
            samples: report.totalSamplesReceived,
          });
        if (report.type === 'outbound-rtp') wanted.sent = report.packetsSent;
        if (report.type === 'remote-inbound-rtp')
          Object.assign(wanted, { rtt: report.roundTripTime, remote_lost: report.packetsLost });
        if (report.type === 'codec') wanted.codec = report.mimeType;
      }
      return wanted;
    },
  };
}

const { browser, close } = await openBrowser({ telephones: true });
const pages = new Map();

async function open(name) {
  const context = await browser.newContext({ bypassCSP: true, permissions: ['microphone'] });
  const page = await context.newPage();
  page.on('pageerror', (error) => process.stderr.write(`${name}: ${error.message}\n`));
  await page.goto(`${base}/healthz`);
  await page.addScriptTag({ content: JSSIP });
  await page.evaluate(telephone);
  pages.set(name, page);
}

async function obey({ page: name, deed, ...rest }) {
  if (deed === 'open') return open(name);
  const page = pages.get(name);
  if (deed === 'reload') {
    await page.reload();
    await page.addScriptTag({ content: JSSIP });
    return page.evaluate(telephone);
  }
  if (deed === 'close') {
    pages.delete(name);
    return page.context().close();
  }
  return page.evaluate(([deed, rest]) => window.telephone[deed](rest), [deed, rest]);
}

for await (const line of createInterface({ input: process.stdin })) {
  let answer;
  try {
    answer = { ok: (await obey(JSON.parse(line))) ?? null };
  } catch (error) {
    answer = { error: String(error.message ?? error) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
await close();
