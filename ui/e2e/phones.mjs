// Browser telephones for the scenario tests: JsSIP, or SIP.js, in real Chromium tabs, each saying its own tone and telling
// what it hears. Run by tests/it/support/browser.rs: node e2e/phones.mjs BASE_URL; one JSON command a line on standard
// input, one JSON answer a line on standard output, in order.
/* global JsSIP */
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';
import { openBrowser } from './browser.mjs';
import { ear } from './ear.mjs';
import { telephone as sipjs } from './sipjs.mjs';

const [base] = process.argv.slice(2);

// What is loaded into a tab, by what the tests call it: a package, the name that it leaves in the page, and the telephone
// that uses it.
const LIBRARIES = {
  jssip: { from: 'jssip', as: 'JsSIP', telephone },
  sipjs: { from: 'sip.js', as: 'SIP', telephone: sipjs },
};
const scripts = {};

// A library as one script that leaves `name` in the page.
async function bundled(library, name) {
  const root = fileURLToPath(new URL('..', import.meta.url));
  const lib = { entry: fileURLToPath(import.meta.resolve(library)), formats: ['iife'], name };
  const options = { configFile: false, root, logLevel: 'error', build: { write: false, lib, minify: false } };
  const [{ output }] = [await build({ ...options, define: { 'process.env.NODE_ENV': '"production"' } })].flat();
  return output[0].code;
}

// Runs in the page.
function telephone() {
  const state = { ua: null, session: null, registered: false, log: [], calls: 0, pc: null };

  function listen(pc) {
    state.pc = pc;
    window.ear.listen(pc);
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

  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

  // A re-INVITE of ours, as soon as no other is under way; over when it is answered.
  async function reinvite(begin) {
    const late = async (what) => {
      await pause(10_000);
      throw new Error(what);
    };
    const answered = async () => {
      for (;;) {
        let done;
        const answer = new Promise((resolve) => (done = resolve));
        if (begin(done)) return answer;
        await pause(50);
      }
    };
    await Promise.race([answered(), late('the re-INVITE was not answered')]);
  }

  const ufrag = () => /a=ice-ufrag:(\S+)/.exec(state.pc.currentLocalDescription.sdp)[1];

  window.telephone = {
    async register({ credentials, hz, codec }) {
      await window.ear.resume();
      state.stream = window.ear.microphone(hz);
      state.codec = codec;
      const socket = new JsSIP.WebSocketInterface(credentials.ws_url);
      state.socket = socket;
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
          state.held = request.getHeader('X-Perezvon-Held') === 'true';
          if (state.resume) window.telephone.answer();
          // As the desk does: who held before the reload holds again.
          if (state.held) session.once('confirmed', () => session.hold());
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
    hold: () => reinvite((done) => state.session.hold({}, done)),
    resume: () => reinvite((done) => state.session.unhold({}, done)),
    press: ({ tones }) => state.session.sendDTMF(tones, { transportType: 'RFC2833', duration: 100, interToneGap: 100 }),
    // Not a packet leaves the tab, not even silence; or they do again.
    mute: ({ muted }) => state.pc.getSenders()[0].replaceTrack(muted ? null : state.stream.getAudioTracks()[0]),
    async recode({ codec }) {
      state.codec = codec;
      await reinvite((done) => state.session.renegotiate({}, done));
      const wanted = `audio/${codec}`.toLowerCase();
      let spoken = null;
      for (let tries = 0; spoken !== wanted; tries += 1) {
        if (tries > 100) throw new Error(`it speaks ${spoken}`);
        await pause(50);
        spoken = (await window.telephone.stats()).codec.toLowerCase();
      }
    },
    async renew() {
      const before = ufrag();
      await reinvite((done) => state.session.renegotiate({ rtcOfferConstraints: { iceRestart: true } }, done));
      if (ufrag() === before) throw new Error('ICE did not begin anew');
    },
    // The websocket breaks, as when the network changes; JsSIP opens another.
    lose_line: () => state.socket._ws.close(4000, 'lost'),
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
    heard: () => window.ear.heard(),
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

async function furnish(page, library) {
  const { from, as, telephone } = LIBRARIES[library];
  scripts[from] ??= await bundled(from, as);
  await page.addScriptTag({ content: scripts[from] });
  await page.evaluate(ear);
  await page.evaluate(telephone);
}

async function open(name, library = 'jssip') {
  const context = await browser.newContext({ bypassCSP: true, permissions: ['microphone'] });
  const page = await context.newPage();
  page.on('pageerror', (error) => process.stderr.write(`${name}: ${error.message}\n`));
  await page.goto(`${base}/healthz`);
  await furnish(page, library);
  pages.set(name, { page, library });
}

async function obey({ page: name, deed, ...rest }) {
  if (deed === 'open') return open(name, rest.library);
  const { page, library } = pages.get(name);
  if (deed === 'reload') {
    await page.reload();
    return furnish(page, library);
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
