// A real Chromium for the browser tests: own profile folder, no network of its own, nothing left behind.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const ARGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-dev-shm-usage',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
  '--autoplay-policy=no-user-gesture-required',
];

// For pages that telephone: a microphone without asking, and WebRTC with the server on this machine.
const TELEPHONE_ARGS = [
  '--use-fake-device-for-media-stream',
  '--use-fake-ui-for-media-stream',
  '--disable-features=WebRtcHideLocalIpsWithMdns',
  '--allow-loopback-in-peer-connection',
];

export async function openBrowser({ telephones = false } = {}) {
  const profile = mkdtempSync(join(tmpdir(), 'perezvon-e2e-'));
  const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
  const args = [...ARGS, ...(telephones ? TELEPHONE_ARGS : []), `--crash-dumps-dir=${profile}`];
  const ignoreDefaultArgs = telephones ? ['--mute-audio'] : [];
  const browser = await chromium.launch({ executablePath, headless: true, args, ignoreDefaultArgs });
  return {
    browser,
    async close() {
      await browser.close();
      rmSync(profile, { recursive: true, force: true });
    },
  };
}
