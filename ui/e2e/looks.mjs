// Every page in both languages and both themes, at the sizes people have: axe, the policy, and pictures for the eye.
import assert from 'node:assert/strict';

const PAGES = [
  ['/clients', 'clients'],
  ['/calls', 'calls'],
  ['/records', 'records'],
  ['/floor', 'floor'],
  ['/kit', 'kit'],
];

async function look(desk, path, title, name) {
  await desk.go(path);
  await desk.page.locator('h1, h2').first().waitFor();
  await desk.until(
    'nothing loads',
    async () => (await desk.page.locator('[aria-busy=true].skeleton').count()) <= (title === 'kit' ? 2 : 0),
  );
  await desk.axe(`${title} ${name}`);
  await desk.shot(`${title}-${name}`);
}

async function everyPage(desk, options, name) {
  await desk.signIn('anna', options);
  await look(desk, '/', 'desk', name);
  await desk.order('ring');
  await desk.order('answer');
  await desk.strip(/Завершить|Hang up/);
  await look(desk, '/', 'talk', name);
  await desk.close();
  await desk.order('reset');
  await desk.signIn('olga', options);
  for (const [path, title] of PAGES) await look(desk, path, title, name);
  await look(desk, `/clients/${desk.mock.world.clients[0].id}`, 'client', name);
}

const SMALL = { width: 1280, height: 800 };
const LARGE = { width: 1920, height: 1080 };
export const every_page_in_Russian_light = (desk) => everyPage(desk, SMALL, 'ru-light');
export const every_page_in_Russian_dark = (desk) => everyPage(desk, { ...LARGE, theme: 'dark' }, 'ru-dark');
export const every_page_in_English_light = (desk) => everyPage(desk, { ...LARGE, locale: 'en-US' }, 'en-light');
export const every_page_in_English_dark = (desk) => everyPage(desk, { ...SMALL, locale: 'en-US', theme: 'dark' }, 'en-dark');

async function ringingAt(desk, options, name) {
  await desk.signIn('anna', options);
  await desk.shot(`idle-${name}`);
  await desk.order('ring');
  await desk.strip(/Снимите трубку|Pick up the phone/);
  await desk.page
    .locator('main')
    .getByText(/Последние контакты|Last contacts/)
    .first()
    .waitFor();
  await desk.settled();
  await desk.axe(`ringing ${name}`);
  await desk.shot(`ring-${name}`);
}

export const ringing_at_1280 = (desk) => ringingAt(desk, { width: 1280, height: 800 }, '1280');
export const ringing_at_1440_dark_English = (desk) => ringingAt(desk, { theme: 'dark', locale: 'en-US' }, '1440-dark-en');
export const ringing_at_1920 = (desk) => ringingAt(desk, { width: 1920, height: 1080 }, '1920');
export const ringing_in_high_contrast = (desk) => ringingAt(desk, { forcedColors: 'active' }, 'forced-colors');

export async function at_two_hundred_per_cent_nothing_is_lost(desk) {
  const page = await desk.signIn('olga', { width: 720, height: 450 });
  for (const [path, title] of PAGES) {
    await desk.go(path);
    await page.locator('h1').first().waitFor();
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.ok(wide <= 0, `${title} is ${wide} px wider than the window`);
    const strip = await page.locator('header').first().boundingBox();
    assert.equal(strip.y, 0, 'the strip moved');
    await desk.shot(`${title}-zoom-200`);
  }
  await desk.close();
  await desk.order('reset');
  await ringingAt(desk, { width: 720, height: 450 }, 'zoom-200');
}

export async function with_reduced_motion_nothing_moves_by_itself(desk) {
  const page = await desk.signIn('anna', { reducedMotion: 'reduce' });
  await desk.order('ring');
  await desk.strip('Снимите трубку');
  const moving = await page.evaluate(() => document.getAnimations().filter((one) => one.playState === 'running').length);
  assert.equal(moving, 0);
}

export async function a_skip_link_comes_first_and_focus_is_always_seen(desk) {
  const page = await desk.signIn();
  await desk.go('/clients');
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement?.textContent), 'К содержанию');
  for (let n = 0; n < 25; n += 1) {
    await page.keyboard.press('Tab');
    const ring = await page.evaluate(() => {
      const node = document.activeElement;
      if (!node || node === document.body) return 'none focused';
      const own = getComputedStyle(node);
      const box = getComputedStyle(node.parentElement);
      return [own.outlineStyle, box.outlineStyle].includes('solid') ? 'seen' : node.outerHTML.slice(0, 120);
    });
    assert.ok(ring === 'seen' || ring === 'none focused', `no focus ring on ${ring}`);
  }
}
