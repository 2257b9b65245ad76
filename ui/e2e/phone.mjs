// The phone in the agent's page, with real sound between two peer connections: it registers, rings, is answered, held, muted,
// and outlives what networks and people do to it.
import assert from 'node:assert/strict';
import { farEnd } from './far.mjs';

const QUIET = 0.02;

/** Anna with the phone in her page, registered; `far` is the client's side. */
async function withPhone(desk, options = {}) {
  const page = await desk.open({ permissions: ['microphone'], ...options });
  await page.evaluate(() => localStorage.setItem('perezvon.prefs', JSON.stringify({ phones: { anna: 'browser' } })));
  await page.reload();
  await signIn(page);
  const far = await farEnd(desk.context);
  desk.mock.world.sip.far = far;
  await page.bringToFront();
  await registered(desk);
  return { page, far };
}

async function signIn(page) {
  await page.locator('input[name=login]').fill('anna');
  await page.locator('input[name=password]').fill('demo');
  await page.keyboard.press('Enter');
  await page.locator('nav').waitFor();
}

const registered = (desk) => desk.until('the phone is registered', async () => desk.mock.world.sip.pageOf('anna') !== undefined);
const heard = (desk) => desk.mock.world.sip.heard;
const loud = (desk, far, what) => desk.until(what, async () => (await far.loudness(300)) > QUIET);
const silent = (desk, far, what) => desk.until(what, async () => (await far.loudness(1_500)) < QUIET);

async function talking(desk, { key = 'F2' } = {}) {
  const { call_id } = await desk.order('ring');
  await desk.strip(/Ответить.*Отклонить/);
  await desk.page.keyboard.press(key);
  await desk.strip(/Микрофон.*Удержать.*Завершить/);
  return call_id;
}

/** What the agent's page plays, measured on its own elements. */
async function hears(page) {
  return page.evaluate(async () => {
    const receiver = window.connections?.at(-1)?.getReceivers()[0];
    const stats = await receiver?.getStats();
    for (const one of stats?.values() ?? []) if (one.type === 'inbound-rtp') return one.packetsReceived;
    return 0;
  });
}

export async function a_call_is_answered_in_the_page_and_both_sides_are_heard(desk) {
  const { page, far } = await withPhone(desk);
  await desk.strip(/Fake|Default|Телефон в браузере/);
  await desk.shot('phone-idle');
  await desk.axe('the phone at rest');
  await desk.order('ring');
  await desk.strip(/Ольга Тимофеева.*Ответить.*Отклонить/);
  await desk.axe('ringing in the page');
  await desk.shot('phone-ringing');
  await page.keyboard.press('F2');
  await desk.strip(/Микрофон.*Удержать.*Завершить/);
  await desk.until('the media is up', async () => (await far.state()) === 'connected');
  await loud(desk, far, 'the client hears the agent');
  assert.match(await far.codec(), /^opus/);
  const played = () =>
    page.evaluate(() => [...document.querySelectorAll('audio')].length || performance.getEntriesByType('resource').length);
  await played();
  await desk.axe('a talk in the page');
  await desk.shot('phone-talk');
  assert.equal(desk.mock.world.agents.get('anna').state, 'talking');
  await page.keyboard.press('Shift+F2');
  await desk.strip('Обработка');
  assert.ok(heard(desk).includes('< BYE'), heard(desk).join(' '));
}

export async function the_agent_hears_the_client_and_the_microphone_is_let_go_at_the_end(desk) {
  const page = await desk.open({ permissions: ['microphone'] });
  await page.addInitScript(() => {
    const Real = RTCPeerConnection;
    window.connections = [];
    window.RTCPeerConnection = class extends Real {
      constructor(...args) {
        super(...args);
        window.connections.push(this);
      }
    };
    const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    window.tracks = [];
    navigator.mediaDevices.getUserMedia = async (wish) => {
      const stream = await ask(wish);
      window.tracks.push(...stream.getTracks());
      return stream;
    };
  });
  await page.evaluate(() => localStorage.setItem('perezvon.prefs', JSON.stringify({ phones: { anna: 'browser' } })));
  await page.reload();
  await signIn(page);
  const far = await farEnd(desk.context);
  desk.mock.world.sip.far = far;
  await registered(desk);
  assert.equal(await page.evaluate(() => window.tracks.length), 0, 'the microphone is open before any call');
  await talking(desk);
  const first = await hears(page);
  await desk.until('packets come', async () => (await hears(page)) > first + 50);
  await page.keyboard.press('Shift+F2');
  await desk.strip('Обработка');
  await desk.until('the microphone is closed', () =>
    page.evaluate(() => window.tracks.every((track) => track.readyState === 'ended')),
  );
}

export async function enter_answers_only_where_it_means_nothing_else(desk) {
  const { page } = await withPhone(desk);
  await desk.order('ring');
  await desk.strip(/Ответить.*Отклонить/);
  await desk.until('it rings', async () => heard(desk).includes('< 180 INVITE'));
  const note = page.getByLabel('Заметка');
  await desk.until('the note can be written', () => note.isEnabled());
  await note.press('Enter');
  await page.waitForTimeout(300);
  await desk.strip('Ответить');
  await note.evaluate((node) => node.blur());
  await page.keyboard.press('Enter');
  await desk.strip(/Удержать.*Завершить/);
}

export async function a_call_is_declined_and_the_strip_says_so(desk) {
  const { page } = await withPhone(desk);
  await desk.order('ring');
  await desk.strip(/Ответить.*Отклонить/);
  await page.keyboard.press('Shift+F2');
  await desk.strip('вы отклонили звонок');
  assert.ok(heard(desk).includes('< 603 INVITE'), heard(desk).join(' '));
  await desk.strip('На линии');
}

export async function a_caller_who_gives_up_stops_the_ring(desk) {
  await withPhone(desk);
  await desk.order('ring');
  await desk.strip(/Ответить.*Отклонить/);
  await desk.until('it rings', async () => heard(desk).includes('< 180 INVITE'));
  await desk.order('end');
  await desk.strip('звонящий положил трубку');
  await desk.until('the INVITE is cancelled', async () => heard(desk).includes('< 487 INVITE'));
}

export async function hold_and_mute_silence_the_agent_and_bring_them_back(desk) {
  const { page, far } = await withPhone(desk);
  await talking(desk);
  await loud(desk, far, 'heard at first');
  await page.keyboard.press('F8');
  await desk.strip('Микрофон выключен');
  await silent(desk, far, 'muted');
  await desk.shot('phone-muted');
  await desk.axe('muted');
  await page.keyboard.press('Alt+KeyM');
  await loud(desk, far, 'heard after the mute');
  await page.keyboard.press('F4');
  await desk.strip(/На удержании.*Продолжить/);
  assert.equal(desk.mock.world.agents.get('anna').state, 'holding');
  await silent(desk, far, 'on hold');
  await desk.axe('on hold');
  await desk.shot('phone-held');
  await page.keyboard.press('F4');
  await desk.strip(/Запись.*Удержать/);
  await loud(desk, far, 'heard after the hold');
  assert.equal(desk.mock.world.agents.get('anna').state, 'talking');
}

export async function a_hold_that_is_refused_ends_no_talk(desk) {
  const { page, far } = await withPhone(desk);
  const call_id = await talking(desk);
  await loud(desk, far, 'heard at first');
  await desk.order('sip', { hold_status: 491 });
  await page.keyboard.press('F4');
  await desk.sees('Удержание не сменилось, разговор идёт');
  assert.ok(desk.mock.world.open.has(call_id));
  await loud(desk, far, 'still heard');
  await desk.order('sip', { hold_status: 0 });
  await page.keyboard.press('F4');
  await desk.strip(/На удержании.*Продолжить/);
}

export async function the_keypad_sends_digits_from_keyboard_and_mouse(desk) {
  const { page } = await withPhone(desk);
  await page.evaluate(() => {
    window.tones = [];
    const send = RTCDTMFSender.prototype.insertDTMF;
    RTCDTMFSender.prototype.insertDTMF = function (tones, ...rest) {
      this.ontonechange ??= ({ tone }) => tone && window.tones.push(tone);
      return send.call(this, tones, ...rest);
    };
  });
  await talking(desk);
  await page.keyboard.press('Alt+KeyK');
  await page.getByRole('dialog', { name: 'Тональный набор' }).waitFor();
  await page.keyboard.type('214#');
  await page.getByRole('button', { name: '7', exact: true }).click();
  await desk.until('all digits went', async () => (await page.evaluate(() => window.tones.join(''))) === '214#7');
  assert.equal(await page.getByLabel('Набранное').inputValue(), '214#7');
  await desk.axe('the keypad');
  await desk.shot('phone-keypad');
  await page.keyboard.press('Escape');
  await page.getByRole('dialog', { name: 'Тональный набор' }).waitFor({ state: 'detached' });
  assert.equal(await page.evaluate(() => document.activeElement?.getAttribute('aria-label')), 'Открыть тональный набор');
}

export async function a_second_call_is_held_against_the_first_and_back(desk) {
  const { page } = await withPhone(desk);
  await talking(desk);
  await desk.order('ring', { client: 3, queue: 'VIP' });
  await desk.strip(/Ольга Тимофеева.*Артём Юдин.*Удержать и ответить/);
  await desk.axe('a second call in the page');
  await desk.shot('phone-second');
  await page.keyboard.press('F2');
  await desk.strip(/Артём Юдин.*Ольга Тимофеева.*Вернуться|Ольга Тимофеева.*Вернуться.*Завершить/);
  await desk.shot('phone-second-held');
  await desk.until('the first is held', async () => [...desk.mock.world.open.values()].some((call) => call.state === 'held'));
  await page.keyboard.press('Shift+F2');
  await desk.strip(/Ольга Тимофеева.*Продолжить/);
}

export async function a_lost_websocket_leaves_the_talk_and_registers_again(desk) {
  const { page, far } = await withPhone(desk);
  const call_id = await talking(desk);
  await loud(desk, far, 'heard at first');
  await desk.order('drop_phones', { stay_down: true });
  await desk.sees('Телефон переподключается');
  await desk.sees('Разговор идёт.');
  assert.equal(await page.getByRole('button', { name: /Удержать/ }).getAttribute('aria-disabled'), 'true');
  await loud(desk, far, 'heard without the websocket');
  await desk.axe('a lost phone');
  await desk.shot('phone-lost');
  await desk.order('up_phones');
  await registered(desk);
  await page.getByText('Телефон переподключается').first().waitFor({ state: 'detached', timeout: 12_000 });
  await loud(desk, far, 'heard after');
  assert.ok(desk.mock.world.open.has(call_id));
  await page.keyboard.press('F4');
  await desk.strip(/На удержании.*Продолжить/);
  await page.keyboard.press('Shift+F2');
  await desk.strip('Обработка');
}

export async function a_reload_in_a_talk_answers_by_itself_without_ringing(desk) {
  const { page, far } = await withPhone(desk);
  const call_id = await talking(desk);
  await loud(desk, far, 'heard at first');
  const began = Date.now();
  await page.reload();
  await desk.strip(/Ольга Тимофеева.*Микрофон.*Завершить/);
  await loud(desk, far, 'heard again');
  console.log(`      sound came back ${Date.now() - began} ms after the reload began`);
  assert.ok(desk.mock.world.open.has(call_id));
  assert.ok(!heard(desk).includes('< BYE'), 'the reload hung up');
  assert.equal(desk.mock.world.agents.get('anna').state, 'talking');
}

export async function a_reload_on_hold_comes_back_on_hold(desk) {
  const { page, far } = await withPhone(desk);
  await talking(desk);
  await loud(desk, far, 'heard at first');
  await page.keyboard.press('F4');
  await desk.strip(/На удержании.*Продолжить/);
  await page.reload();
  await desk.strip(/На удержании.*Продолжить/);
  await silent(desk, far, 'still on hold');
  await page.keyboard.press('F4');
  await desk.strip(/Запись.*Удержать/);
  await loud(desk, far, 'heard after the hold');
}

export async function another_tab_shows_the_phone_is_elsewhere_and_takes_it_over_in_a_talk(desk) {
  const { page, far } = await withPhone(desk);
  const call_id = await talking(desk);
  await loud(desk, far, 'heard at first');
  const other = await desk.context.newPage();
  await other.goto(desk.base);
  await other.getByText('Телефон в другой вкладке').first().waitFor();
  await other.screenshot({ path: new URL('./shots/phone-elsewhere.png', import.meta.url).pathname });
  await other.getByRole('button', { name: 'Перенести сюда' }).click();
  await page.getByText('Телефон в другой вкладке').first().waitFor();
  await other.getByRole('button', { name: /Удержать/ }).waitFor();
  await loud(desk, far, 'heard from the other tab');
  assert.ok(desk.mock.world.open.has(call_id));
  // The tab that has it closes: the first takes it back by itself, and the talk with it.
  await other.close();
  await page.bringToFront();
  await desk.strip(/Микрофон.*Удержать.*Завершить/);
  await loud(desk, far, 'heard from the first again');
}

export async function a_call_that_was_asked_for_needs_no_answer(desk) {
  const { page, far } = await withPhone(desk);
  await page.locator('main li button', { hasText: 'Ольга Тимофеева' }).first().click();
  await page.locator('main').getByRole('button', { name: 'Позвонить' }).click();
  await desk.strip(/Ольга Тимофеева.*Микрофон.*Завершить/);
  await loud(desk, far, 'heard');
}

export async function without_a_microphone_it_is_said_why_and_no_call_comes(desk) {
  for (const [name, words] of [
    ['NotAllowedError', /Браузер не даёт микрофон/],
    ['NotFoundError', /Микрофон не найден/],
    ['NotReadableError', /Микрофон не открылся/],
  ]) {
    const page = await desk.open();
    await page.addInitScript((kind) => {
      const state = kind === 'NotAllowedError' ? 'denied' : 'prompt';
      navigator.permissions.query = async () => ({ state, onchange: null });
      navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('no', kind));
    }, name);
    await page.evaluate(() => localStorage.setItem('perezvon.prefs', JSON.stringify({ phones: { anna: 'browser' } })));
    await page.reload();
    await signIn(page);
    if (name !== 'NotAllowedError') {
      await desk.sees('Разрешите микрофон');
      await desk.shot('phone-ask');
      await page.getByRole('button', { name: 'Разрешить' }).click();
    }
    await desk.sees(words);
    await desk.strip('Нет микрофона');
    await desk.axe(`no microphone: ${name}`);
    await desk.shot(`phone-${name}`);
    assert.equal(desk.mock.world.sip.pageOf('anna'), undefined);
    await desk.close();
  }
}

export async function a_refused_phone_says_so_and_tries_again(desk) {
  await desk.order('sip', { refuses: true });
  const page = await desk.open({ permissions: ['microphone'] });
  await page.evaluate(() => localStorage.setItem('perezvon.prefs', JSON.stringify({ phones: { anna: 'browser' } })));
  await page.reload();
  await signIn(page);
  await desk.sees('Телефон не подключён');
  await desk.shot('phone-refused');
  await desk.order('sip', { refuses: false });
  await registered(desk);
  await page.getByText('Телефон не подключён').first().waitFor({ state: 'detached' });
}

export async function credentials_are_renewed_before_they_end(desk) {
  await desk.order('sip', { expires_s: 12 });
  const lent = [];
  const { page } = await withPhone(desk);
  page.on('request', (request) => request.url().endsWith('/me/phone') && lent.push(Date.now()));
  const registers = () => heard(desk).filter((word) => word === '< REGISTER').length;
  const before = registers();
  await desk.until('new credentials are asked for', async () => lent.length > 0, 10_000);
  await desk.until('and used', async () => registers() >= before + 2);
  await page.keyboard.press('F2');
  await desk.strip('На линии');
}

export async function the_phone_is_chosen_in_settings_with_its_devices_and_kept(desk) {
  const page = await desk.signIn('anna', { permissions: ['microphone'] });
  await page.getByRole('button', { name: /Настройки и выход/ }).click();
  await page.getByRole('button', { name: 'В браузере' }).click();
  await registered(desk);
  const microphone = page.getByRole('combobox', { name: 'Микрофон' });
  await desk.until('devices are listed', async () => (await microphone.locator('option').count()) > 1);
  await page.getByRole('button', { name: 'Проверить микрофон' }).click();
  const meter = page.getByRole('meter', { name: 'Громкость микрофона' });
  await desk.until('the level moves', async () => Number(await meter.getAttribute('aria-valuenow')) > 20);
  await desk.axe('the phone settings');
  await desk.shot('phone-settings');
  const second = await microphone.locator('option').nth(1).getAttribute('value');
  await microphone.selectOption(second);
  await page.getByRole('button', { name: 'Закончить проверку' }).click();
  await page.keyboard.press('Escape');
  await page.reload();
  await registered(desk);
  const kept = await page.evaluate(() => JSON.parse(localStorage.getItem('perezvon.prefs')));
  assert.equal(kept.phones.anna, 'browser');
  assert.equal(kept.microphone, second);
  await page.getByRole('button', { name: /Настройки и выход/ }).click();
  await page.getByRole('button', { name: 'На телефоне' }).click();
  await desk.until('the phone is gone', async () => desk.mock.world.sip.pageOf('anna') === undefined);
}

export async function a_call_that_only_the_phone_knows_is_answered_all_the_same(desk) {
  const { page, far } = await withPhone(desk);
  await desk.order('drop', { stay_down: true });
  await desk.sees(/Нет связи с сервером/);
  await desk.order('ring');
  await desk.strip(/\+7 921 555-01-87.*Ответить/);
  await page.keyboard.press('F2');
  await loud(desk, far, 'heard');
  await desk.strip(/Удержать.*Завершить/);
  await desk.shot('phone-stray');
  await desk.order('up');
  await desk.strip(/Ольга Тимофеева.*Завершить/);
}

export async function the_phone_in_English_and_dark_and_small(desk) {
  const page = await desk.open({ permissions: ['microphone'], locale: 'en-US', theme: 'dark', width: 1280, height: 800 });
  await page.evaluate(() => localStorage.setItem('perezvon.prefs', JSON.stringify({ lang: 'en', phones: { anna: 'browser' } })));
  await page.reload();
  await signIn(page);
  desk.mock.world.sip.far = await farEnd(desk.context);
  await page.bringToFront();
  await registered(desk);
  await desk.shot('phone-idle-en-dark');
  await desk.order('ring');
  await desk.strip(/Answer.*Decline/);
  await desk.axe('ringing, English');
  await desk.shot('phone-ringing-en-dark');
  await page.keyboard.press('F2');
  await desk.strip(/Hold.*Hang up/);
  await page.keyboard.press('Alt+KeyK');
  await page.getByRole('dialog', { name: 'Keypad' }).waitFor();
  await desk.axe('a talk, English');
  await desk.shot('phone-talk-en-dark');
  await page.keyboard.press('Escape');
  await page.setViewportSize({ width: 720, height: 450 });
  await desk.shot('phone-talk-zoom-200');
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.ok(wide <= 0, `${wide} px wider than the window`);
  const end = await page.getByRole('button', { name: /Hang up/ }).boundingBox();
  assert.ok(end.x + end.width <= 720, 'the end button is off the page');
}
