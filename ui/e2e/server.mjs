// The desk on the real server: a person signs in, a real call rings with its card, is talked, recorded and played back.
// Run by the scenario tests: node e2e/server.mjs BASE_URL PEREZVON_BINARY SIP_ADDRESS. The server runs with --demo.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { openBrowser } from './browser.mjs';
import { SHOTS } from './desk.mjs';

const [base, binary, sip] = process.argv.slice(2);
const WORDS = {
  'ru-RU': {
    menu: /Моё состояние/,
    ready: /На линии \d/,
    lift: /Снимите трубку/,
    end: /Завершить/,
    wrap: /Обработка/,
    play: /^Слушать/,
    recordings: /Записи/,
    reason: /номер|звон/i,
  },
  'en-GB': {
    menu: /My state/,
    ready: /Ready \d/,
    lift: /Lift|Pick up|Answer on/i,
    end: /End|Hang up/i,
    wrap: /Wrap-up/,
    play: /^(Play|Listen)/,
    recordings: /Recordings|Records/,
    reason: /number|call/i,
  },
};

const complaints = [];

async function until(what, question, timeout_ms = 30_000) {
  const deadline = Date.now() + timeout_ms;
  for (;;) {
    if (await question()) return;
    if (Date.now() > deadline) throw new Error(`waited ${timeout_ms} ms in vain: ${what}`);
    await new Promise((done) => setTimeout(done, 50));
  }
}

async function signIn(browser, login, locale, theme) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, locale, colorScheme: theme });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  page.on('pageerror', (error) => complaints.push(`page error: ${error.message}`));
  // A machine of tests has no sound card, and Chromium says so when the desk wants to ring.
  page.on('console', (message) => {
    if (message.type() === 'error' && !/Failed to load resource|WebSocket connection|audio device/.test(message.text()))
      complaints.push(message.text());
  });
  await page.goto(base);
  await page.locator('input[name=login]').fill(login);
  await page.locator('input[name=password]').fill(login);
  await page.keyboard.press('Enter');
  await page.locator('nav').waitFor();
  return { context, page };
}

const strip = async (page) => (await page.locator('header').first().innerText()).replaceAll('\n', ' ');
const placeOf = async (page) => Number(await page.getByRole('slider').first().getAttribute('aria-valuenow'));

async function plays(page, words) {
  await page.getByRole('button', { name: words.play }).first().click();
  await page.getByRole('slider').first().waitFor();
  await until('it plays', async () => (await placeOf(page)) >= 1);
}

async function one_call(browser, locale, theme) {
  const words = WORDS[locale];
  const { context, page } = await signIn(browser, 'anna', locale, theme);
  if (!words.ready.test(await strip(page))) {
    await page.getByRole('button', { name: words.menu }).click();
    await page.keyboard.press('Digit1');
  }
  await until('anna is ready', async () => words.ready.test(await strip(page)));
  await page.screenshot({ path: `${SHOTS}/server-idle-${locale}.png` });

  const from = ['--to', '+74951234567', '--from', '8 (916) 000-00-01', '--seconds', '14', '--server', sip];
  const call = spawn(binary, ['call', ...from], { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  call.stdout.on('data', (text) => (said += text));
  call.stderr.on('data', (text) => (said += text));
  const done = once(call, 'exit');
  await until('the card is on the strip', async () => (await strip(page)).includes('Ольга Тимофеева'));
  await until('the phone rings', async () => words.lift.test(await strip(page)));
  await page.locator('main').getByText('Мурманск').first().waitFor();
  await page.screenshot({ path: `${SHOTS}/server-ringing-${locale}.png` });
  await until('they talk', async () => words.end.test(await strip(page)));
  await page.screenshot({ path: `${SHOTS}/server-talking-${locale}.png` });
  await until('wrap-up', async () => words.wrap.test(await strip(page)), 20_000);
  await page.screenshot({ path: `${SHOTS}/server-wrap-up-${locale}.png` });
  const [code] = await done;
  assert.equal(code, 0, said);

  // On the client's timeline, with its player.
  const card = await page.evaluate(async () => (await (await fetch('/api/v1/clients/lookup?phone=%2B79160000001')).json()).card);
  await page.goto(`${base}/clients/${card.id}`);
  await plays(page, words);
  await page.screenshot({ path: `${SHOTS}/server-client-${locale}.png` });
  await context.close();

  const supervisor = await signIn(browser, 'olga', locale, theme);
  await supervisor.page.goto(`${base}/records`);
  await supervisor.page.getByRole('slider').first().waitFor();
  await plays(supervisor.page, words);
  const wave = async () => ((await supervisor.page.locator('path.client').first().getAttribute('d')) ?? '').length;
  await until('the wave is drawn', async () => (await wave()) > 100);
  await supervisor.page.screenshot({ path: `${SHOTS}/server-recordings-${locale}.png` });
  await supervisor.page.goto(`${base}/calls`);
  await supervisor.page.locator('main').getByText('Ольга Тимофеева').first().waitFor();
  await supervisor.page.screenshot({ path: `${SHOTS}/server-calls-${locale}.png` });
  await supervisor.context.close();
  console.log(`ok    a whole call in ${locale}`);
}

const { browser, close } = await openBrowser();
let failed = null;
try {
  await one_call(browser, 'ru-RU', 'light');
  await one_call(browser, 'en-GB', 'dark');
  assert.deepEqual(complaints, []);
} catch (error) {
  failed = error;
  for (const [index, context] of browser.contexts().entries())
    for (const page of context.pages())
      await page.screenshot({ path: `${SHOTS}/server-failed-${index}.png` }).catch(() => undefined);
}
await close();
if (failed) {
  console.error(failed.stack, complaints.join('\n'));
  process.exit(1);
}
