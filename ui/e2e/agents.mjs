// Agents' pages of the desk in a real Chromium on the real server, each with a tone for a microphone and an ear for what it
// plays. Run by tests/it/support/browser.rs: node e2e/agents.mjs BASE_URL; one JSON command a line on standard input, one
// JSON answer a line on standard output, in order. What is measured is the page's own phone, not one of the tests'.
import assert from 'node:assert/strict';
import { createInterface } from 'node:readline';
import { AxeBuilder } from '@axe-core/playwright';
import { openBrowser } from './browser.mjs';
import { SHOTS } from './desk.mjs';

const [base] = process.argv.slice(2);

// Runs in the page before its own code. Every device has its tone: `hz`, and 200 Hz more for each further microphone.
function ears(hz) {
  const heard = { connections: [], sockets: [], notices: [], stopped: 0, is_cut: false, tones: [] };
  window.ears = heard;
  let context = null;
  const sound = () => (context ??= new AudioContext());

  navigator.mediaDevices.getUserMedia = async ({ audio }) => {
    const wanted = audio?.deviceId?.exact ?? '';
    const all = (await navigator.mediaDevices.enumerateDevices()).filter(
      (one) => one.kind === 'audioinput' && one.deviceId !== 'default',
    );
    const place = Math.max(
      0,
      all.findIndex((one) => one.deviceId === wanted),
    );
    const tone = new OscillatorNode(sound(), { frequency: hz + 200 * place });
    const volume = new GainNode(sound(), { gain: 0.25 });
    const out = new MediaStreamAudioDestinationNode(sound(), { channelCount: 1 });
    tone.connect(volume).connect(out);
    tone.start();
    await sound().resume();
    const [track] = out.stream.getAudioTracks();
    heard.tones.push(track);
    return out.stream;
  };

  const Connection = RTCPeerConnection;
  window.RTCPeerConnection = class extends Connection {
    constructor(...args) {
      super(...args);
      const analyser = new AnalyserNode(sound(), { fftSize: 8192, smoothingTimeConstant: 0 });
      heard.connections.push({ pc: this, analyser });
      this.addEventListener('track', ({ track }) =>
        new MediaStreamAudioSourceNode(sound(), { mediaStream: new MediaStream([track]) }).connect(analyser),
      );
    }
  };

  const Socket = WebSocket;
  window.WebSocket = class extends Socket {
    constructor(url, protocols) {
      const is_sip = [protocols].flat().includes('sip');
      // A network that lets nothing through: a path where no websocket is. The page's policy lets it go to no other server.
      super(is_sip && heard.is_cut ? String(url).replace(/\/sip$/, '/nobody') : url, protocols);
      if (is_sip) heard.sockets.push(this);
    }
  };

  window.Notification = class {
    static permission = 'granted';
    constructor(title, options) {
      heard.notices.push(`${title}. ${options.body}`);
    }
    close() {}
  };
}

const browser = await openBrowser({ telephones: true });
const pages = new Map();
const complaints = [];

async function enter(page, { login, password }) {
  await page.locator('input[name=login]').fill(login);
  await page.locator('input[name=password]').fill(password);
  await page.keyboard.press('Enter');
  await page.locator('nav').waitFor();
}

async function open({ page: name, login, password, hz, ...more }) {
  const { locale = 'en-GB', theme = 'light', width = 1440, height = 900, path = '/' } = more;
  const context = await browser.browser.newContext({
    ...{ viewport: { width, height }, locale, colorScheme: theme },
    permissions: ['microphone'],
  });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  page.on('pageerror', (error) => complaints.push(`${name}: ${error.message}`));
  page.on('console', (message) => {
    if (message.type() === 'error' && !/Failed to load resource|WebSocket connection|audio device/.test(message.text()))
      complaints.push(`${name}: ${message.text()}`);
  });
  await page.addInitScript(ears, hz);
  await page.addInitScript(
    ([who, lang]) => {
      localStorage.getItem('perezvon.prefs') ??
        localStorage.setItem('perezvon.prefs', JSON.stringify({ lang, phones: { [who]: 'browser' } }));
    },
    [login, locale.slice(0, 2)],
  );
  await page.goto(base + path);
  await enter(page, { login, password });
  pages.set(name, page);
}

/** Where a person looks for things. */
const DEEDS = {
  press: (page, { keys }) => page.keyboard.press(keys),
  type: (page, { text }) => page.keyboard.type(text),
  click: (page, { name, role = 'button' }) => page.getByRole(role, { name }).first().click(),
  choose: async (page, { name, index }) => {
    const list = page.getByRole('combobox', { name });
    await list.selectOption(await list.locator('option').nth(index).getAttribute('value'));
  },
  go: async (page, { path }) => {
    await page.goto(base + path);
    await page.locator('nav').waitFor();
  },
  reload: (page) => page.reload({ waitUntil: 'commit' }),
  strip: async (page) => (await page.locator('header').first().innerText()).replaceAll(/\s+/g, ' '),
  page: async (page) => (await page.locator('body').innerText()).replaceAll(/\s+/g, ' '),
  title: (page) => page.title(),
  /** What a screen reader would say now. */
  announced: (page) => page.locator('[aria-live]').allInnerTexts(),
  level: async (page, { name }) =>
    Number(
      await page
        .getByRole('meter', name ? { name } : {})
        .first()
        .getAttribute('aria-valuenow'),
    ),
  focused: (page) =>
    page.evaluate(() => document.activeElement?.getAttribute('aria-label') ?? document.activeElement?.textContent ?? ''),
  notices: (page) => page.evaluate(() => window.ears.notices),
  /** As if the person looked at another tab. */
  look_away: (page, { away }) =>
    page.evaluate((hidden) => {
      Object.defineProperty(document, 'hidden', { configurable: true, get: () => hidden });
      document.dispatchEvent(new Event('visibilitychange'));
    }, away),
  cut_line: (page, { cut }) =>
    page.evaluate((is_cut) => {
      window.ears.is_cut = is_cut;
      if (is_cut) for (const socket of window.ears.sockets) socket.close();
    }, cut),
  /** The headset is pulled out. */
  unplug: (page) =>
    page.evaluate(() => {
      const track = window.ears.tones.at(-1);
      track.stop();
      track.dispatchEvent(new Event('ended'));
    }),
  microphones: (page) => page.evaluate(() => window.ears.tones.filter((track) => track.readyState === 'live').length),
  // The tones of the newest call now, loudest first: {hz, db}; those 20 dB below the loudest are left out.
  heard: (page) =>
    page.evaluate(() => {
      const analyser = window.ears.connections.at(-1)?.analyser;
      if (!analyser) return [];
      const bins = new Float32Array(analyser.frequencyBinCount);
      analyser.getFloatFrequencyData(bins);
      const step = analyser.context.sampleRate / analyser.fftSize;
      const peaks = [];
      for (let n = 2; n < bins.length - 2; n += 1)
        if (bins[n] > -75 && bins[n] >= bins[n - 1] && bins[n] > bins[n + 1])
          peaks.push({ hz: Math.round(n * step), db: Math.round(bins[n]) });
      peaks.sort((a, b) => b.db - a.db);
      return peaks.filter((peak) => peak.db > (peaks[0]?.db ?? 0) - 20).slice(0, 6);
    }),
  stats: (page) =>
    page.evaluate(async () => {
      const wanted = {};
      for (const report of (await window.ears.connections.at(-1).pc.getStats()).values()) {
        if (report.type === 'inbound-rtp') Object.assign(wanted, { received: report.packetsReceived, lost: report.packetsLost });
        if (report.type === 'outbound-rtp') wanted.sent = report.packetsSent;
        if (report.type === 'codec') wanted.codec = report.mimeType;
      }
      return wanted;
    }),
  size: (page, { width, height }) => page.setViewportSize({ width, height }),
  shot: (page, { name }) => page.screenshot({ path: `${SHOTS}/${name}.png` }),
  axe: async (page) => {
    const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'];
    const { violations } = await new AxeBuilder({ page }).withTags(tags).analyze();
    assert.deepEqual(
      violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.target.join(' ')).slice(0, 4)}`),
      [],
    );
  },
  /** Errors on the consoles of all pages so far. */
  complaints: () => complaints,
};

async function obey({ page: name, deed, ...rest }) {
  if (deed === 'open') return open({ page: name, ...rest });
  const page = pages.get(name);
  if (deed === 'close') {
    pages.delete(name);
    return page.context().close();
  }
  return DEEDS[deed](page, rest);
}

for await (const line of createInterface({ input: process.stdin })) {
  let answer;
  try {
    answer = { ok: (await obey(JSON.parse(line))) ?? null };
  } catch (error) {
    for (const [name, page] of pages)
      await page.screenshot({ path: `${SHOTS}/failed-${name.replaceAll(/\W+/g, '-')}.png` }).catch(() => undefined);
    answer = { error: String(error.message ?? error) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
await browser.close();
