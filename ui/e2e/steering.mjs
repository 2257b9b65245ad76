// What people do with a talk beside talking: the recording's pause and mask, hold for a phone elsewhere, a supervisor's
// listening, and what the desk says when somebody's browser is away for a moment.
import assert from 'node:assert/strict';

async function talking(desk, options = {}) {
  const page = await desk.signIn('anna', options);
  const { call_id } = await desk.order('ring');
  await desk.order('answer', { call_id });
  await desk.strip(/Завершить|Hang up/);
  return { page, call_id };
}

export async function a_recording_is_paused_by_key_and_the_strip_says_so_until_it_goes_on(desk) {
  const { page } = await talking(desk);
  await desk.strip(/Запись.*Пауза записи/);
  await page.keyboard.press('Alt+KeyR');
  await desk.strip(/Пауза записи.*Записывать дальше/);
  await desk.axe('a paused recording');
  await desk.shot('recording-paused');
  assert.match((await page.locator('[aria-live]').allInnerTexts()).join(' '), /Запись на паузе/);
  await page.reload();
  await desk.strip(/Записывать дальше/);
  await page.keyboard.press('Alt+KeyR');
  await desk.strip(/Запись.*Пауза записи/);
}

export async function card_details_are_masked_and_a_stop_outranks_the_mask(desk) {
  const { page, call_id } = await talking(desk);
  const marks = () => desk.mock.world.recording(desk.mock.world.call(call_id).recording_id).marks.map(({ kind }) => kind);
  await page.getByRole('button', { name: 'Ещё о записи' }).click();
  await desk.axe('the menu of a recording');
  await page.getByRole('menuitem', { name: 'Скрыть данные карты' }).click();
  await desk.strip('Карта скрыта');
  await page.getByRole('button', { name: 'Ещё о записи' }).click();
  await page.getByRole('menuitem', { name: 'Больше не записывать' }).click();
  await desk.strip('Не записываем');
  await page.getByRole('button', { name: /Записывать дальше/ }).click();
  await desk.strip(/Запись.*Пауза записи/);
  assert.deepEqual(marks().slice(1), ['masked', 'stopped', 'started']);
}

export async function a_pause_that_the_server_refuses_is_told(desk) {
  const { page, call_id } = await talking(desk);
  await desk.order('fail', { path: `/api/v1/calls/${call_id}/recording`, status: 503 });
  await page.keyboard.press('Alt+KeyR');
  await desk.sees('С записью не получилось');
  await desk.strip(/Запись.*Пауза записи/);
}

export async function a_phone_elsewhere_is_held_by_the_server(desk) {
  const { page, call_id } = await talking(desk);
  await page.keyboard.press('F4');
  await desk.strip(/На удержании.*Продолжить/);
  assert.equal(desk.mock.world.call(call_id).state, 'held');
  await desk.axe('held by the server');
  await desk.shot('held-elsewhere');
  await page.getByRole('button', { name: /Продолжить/ }).click();
  await desk.strip(/Удержать/);
}

export async function a_supervisor_listens_from_the_floor_whispers_by_key_and_leaves(desk) {
  const page = await desk.signIn('olga');
  await desk.go('/floor');
  const call_id = desk.mock.world.agents.get('boris').call_id;
  await page.getByRole('button', { name: /Слушать: Борис/ }).click();
  await desk.strip(/Борис Кравцов.*Вы слушаете.*вас не слышит никто.*Перестать слушать/);
  await desk.axe('listening');
  await desk.shot('listening');
  await page.keyboard.press('KeyW');
  await desk.strip(/Вы подсказываете.*слышит только Борис/);
  assert.match((await page.locator('[aria-live]').allInnerTexts()).join(' '), /Вы подсказываете/);
  await page.locator('aside').getByRole('button', { name: 'Войти в разговор' }).click();
  await desk.strip(/Вы в разговоре.*слышат оба/);
  assert.equal(desk.mock.world.supervisors.get('olga').mode, 'barge');
  // A reload forgets neither the call nor the mode.
  await page.reload();
  await desk.strip(/Вы в разговоре/);
  await page.keyboard.press('Escape');
  await desk.until('she is out', async () => !/Вы в разговоре/.test(await page.locator('header').first().innerText()));
  assert.ok(desk.mock.world.open.has(call_id), 'the call was ended');
  // The row of the list of calls does the same.
  await desk.go('/calls');
  await page.getByRole('button', { name: /Слушать: Галина/ }).focus();
  await page.keyboard.press('KeyL');
  await desk.strip(/Галина Сомова.*Вы слушаете/);
  await desk.shot('listening-calls');
  await desk.order('end', { call_id: desk.mock.world.agents.get('galina').call_id });
  await desk.until(
    'the end of the call ends it',
    async () => !/Вы слушаете/.test(await page.locator('header').first().innerText()),
  );
}

export async function the_supervisors_page_answers_its_own_listening_and_nothing_rings(desk) {
  const page = await desk.open({ permissions: ['microphone'] });
  await page.evaluate(() => localStorage.setItem('perezvon.prefs', JSON.stringify({ phones: { olga: 'browser' } })));
  await page.locator('input[name=login]').fill('olga');
  await page.locator('input[name=password]').fill('demo');
  await page.reload();
  await page.locator('input[name=login]').fill('olga');
  await page.locator('input[name=password]').fill('demo');
  await page.keyboard.press('Enter');
  await desk.until('the phone is registered', async () => desk.mock.world.sip.pageOf('olga') !== undefined);
  await desk.go('/floor');
  await desk.until('the phone is back', async () => desk.mock.world.sip.pageOf('olga') !== undefined);
  await page.getByRole('button', { name: /Слушать: Борис/ }).click();
  await desk.strip(/Вы слушаете.*вас не слышит никто/);
  assert.ok(desk.mock.world.sip.heard.includes('< 200 INVITE'), desk.mock.world.sip.heard.join(' '));
  assert.doesNotMatch(await page.title(), /☎/);
  await page.keyboard.press('Escape');
  await desk.until('hung up', async () => desk.mock.world.sip.heard.includes('> BYE'));
}

export async function somebody_away_is_waited_for_and_their_return_is_told(desk) {
  const page = await desk.signIn('olga');
  await desk.go('/floor');
  await desk.order('away', { agent: 'boris' });
  await desk.sees('связь пропала');
  await desk.axe('somebody is away');
  await desk.shot('away-floor');
  await desk.order('away', { agent: 'boris', gap_ms: 2_340 });
  await page.getByText('связь пропала').waitFor({ state: 'detached' });
  await desk.go('/calls');
  assert.equal(await page.locator('tbody tr').filter({ hasText: 'undefined' }).count(), 0);
}

export async function the_agent_reads_how_long_she_was_away(desk) {
  const { call_id } = await talking(desk);
  await desk.order('away', { call_id, agent: 'anna' });
  await desk.order('away', { call_id, agent: 'anna', gap_ms: 2_340 });
  await desk.strip(/Вернулись в разговор, пауза 2,3 с/);
  await desk.shot('back-in-the-talk');
}

const endedOf = (desk) =>
  desk.mock.world.calls.filter((call) => call.answered_at && call.agent).sort((a, b) => b.started_at.localeCompare(a.started_at));

export async function a_calls_page_tells_how_it_sounded_second_by_second(desk) {
  const page = await desk.signIn('olga');
  const call = endedOf(desk)[1];
  await desk.go('/calls');
  await page.locator(`a[href="/calls/${call.id}"]`).first().click();
  await page.getByRole('heading', { name: 'Звук' }).waitFor();
  await desk.sees('По секундам');
  const cursor = page.getByRole('slider', { name: 'Место в звонке' });
  await cursor.focus();
  for (let n = 0; n < 5; n += 1) await page.keyboard.press('PageDown');
  await desk.until('the moment is told', async () => /MOS|тишина/.test((await cursor.getAttribute('aria-valuetext')) ?? ''));
  await desk.axe('a call');
  await desk.shot('call-quality');
}

export async function one_way_audio_is_told_with_its_reason_in_words(desk) {
  const page = await desk.signIn('olga');
  const call = endedOf(desk)[2];
  await desk.order('trouble', { call_id: call.id, role: 'agent', trouble: 'private_address' });
  await desk.go(`/calls/${call.id}`);
  await desk.sees('от этой стороны звук не пришёл');
  await desk.sees('Телефон назвал адрес своей внутренней сети');
  await desk.axe('one-way audio');
  await desk.shot('call-one-way');
  await desk.order('fail', { path: `/api/v1/calls/${call.id}/quality`, status: 503 });
  await page.reload();
  await desk.sees('Качество связи не открылось');
}

export async function a_calls_page_in_English_dark_and_narrow(desk) {
  const page = await desk.signIn('olga', { locale: 'en-US', theme: 'dark', width: 1280, height: 800 });
  const call = endedOf(desk)[1];
  await desk.order('trouble', { call_id: call.id, role: 'caller', trouble: 'nothing_came' });
  await desk.go(`/calls/${call.id}`);
  await desk.sees('no sound came from this side');
  await desk.axe('a call, English, dark');
  await desk.shot('call-quality-en-dark');
  await page.setViewportSize({ width: 720, height: 900 });
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.ok(wide <= 0, `${wide} px wider than the window`);
  await desk.shot('call-quality-narrow');
}

export async function listening_and_a_paused_recording_in_English_dark_and_narrow(desk) {
  const page = await desk.signIn('olga', { locale: 'en-US', theme: 'dark', width: 1280, height: 800 });
  await desk.go('/floor');
  await page.getByRole('button', { name: /Whisper: Борис/ }).click();
  await desk.strip(/You are whispering.*only Борис hears you/);
  await desk.axe('whispering, English, dark');
  await desk.shot('listening-en-dark');
  await page.setViewportSize({ width: 720, height: 600 });
  await desk.shot('listening-narrow');
  await desk.close();
  await desk.order('reset');
  const { page: agent } = await talking(desk, { locale: 'en-US', theme: 'dark', width: 1280, height: 800 });
  await agent.keyboard.press('Alt+KeyR');
  await desk.strip(/Paused/);
  await desk.axe('a paused recording, English, dark');
  await desk.shot('recording-paused-en-dark');
  await agent.setViewportSize({ width: 720, height: 600 });
  await desk.shot('recording-paused-narrow');
  const end = await agent.getByRole('button', { name: /Hang up/ }).boundingBox();
  assert.ok(end.x + end.width <= 720, 'the end button is off the page');
}
