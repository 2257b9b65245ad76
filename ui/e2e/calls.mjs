// The main job in the browser: sign in, a call rings with its card, is answered, ends; and everything that may go otherwise.
import assert from 'node:assert/strict';

export async function a_wrong_password_is_said_in_words_and_the_right_one_opens_the_desk(desk) {
  const page = await desk.open();
  await desk.axe('sign-in');
  await page.keyboard.press('Enter');
  await desk.sees('Введите логин');
  await page.locator('input[name=login]').fill('anna');
  await page.locator('input[name=password]').fill('nonsense');
  await page.keyboard.press('Enter');
  await desk.sees('Логин или пароль не подходят');
  await page.locator('input[name=password]').pressSequentially('вуьщ');
  await desk.sees('Включена русская раскладка');
  await desk.axe('sign-in with errors');
  await page.locator('input[name=password]').fill('demo');
  await page.keyboard.press('Enter');
  await desk.strip('На линии');
}

export async function a_call_rings_with_its_card_is_answered_and_wrapped_up(desk) {
  const page = await desk.signIn();
  await desk.order('ring', { waited_ms: 38_000 });
  await desk.strip(/Ольга Тимофеева, ООО «Полярис».*Продажи.*ждёт 0:3[89].*уйдёт другому через.*Снимите трубку/);
  await desk.sees('По мобильному, 14 звонков');
  await desk.sees('начальник снабжения');
  await desk.sees('+7 921 555-01-87', '[aria-label="Ольга Тимофеева"]');
  await desk.sees(/Не дождались ответа/);
  assert.match(await page.title(), /^☎ 0:\d\d Продажи$/);
  assert.equal(
    await page.locator('[aria-live=assertive]').innerText(),
    'Входящий звонок: Ольга Тимофеева, ООО «Полярис», очередь Продажи',
  );
  await desk.axe('a ringing call');
  await desk.shot('ring');

  await desk.order('answer');
  await desk.strip(/Ольга Тимофеева.*0:0\d.*Запись.*Завершить/);
  await desk.until('the timer runs', async () => /0:0[23]/.test(await page.locator('header').innerText()));
  await desk.sees('Ответили вы');
  await desk.axe('a talk');
  await desk.shot('talk');

  await page.keyboard.press('Shift+F2');
  await desk.strip(/Обработка.*Ольга Тимофеева · говорили 0:0\d.*На линию через 0:[12]\d/);
  await desk.sees('Звонок сохранён');
  await desk.axe('wrap-up');
  await desk.shot('wrap-up');

  await page.keyboard.press('Control+Enter');
  await desk.strip('На линии');
  await desk.sees('Мои звонки');
}

export async function the_same_pop_sent_twice_is_one_call(desk) {
  const page = await desk.signIn();
  const { call_id } = await desk.order('ring');
  await desk.strip('Снимите трубку');
  const pop = desk.mock.world.popOf(call_id, 'anna');
  desk.mock.world.emit('pop.shown', pop, { call_id, agent: 'anna' });
  await desk.order('answer');
  await desk.strip('Завершить');
  assert.equal(await page.locator('header').getByText('Второй звонок').count(), 0);
}

export async function an_unclear_caller_is_chosen_by_a_key(desk) {
  const page = await desk.signIn();
  await desk.order('ring', { variant: 'ambiguous' });
  await desk.strip('3 карточки с этим номером, ООО «Полярис»');
  await desk.sees('Кто звонит?');
  await desk.axe('the chooser');
  await desk.shot('ambiguous');
  await page.keyboard.press('Alt+Digit2');
  await desk.strip('Игорь Седов');
  await desk.sees('Выбрать другую карточку');
  await page.getByText('Выбрать другую карточку').click();
  await page.keyboard.press('Alt+Digit0');
  await desk.sees('Найти по имени или номеру');
}

export async function a_new_caller_gets_a_name_and_the_field_is_not_focused_by_itself(desk) {
  const page = await desk.signIn();
  const { card_id } = await desk.order('ring', { variant: 'unknown' });
  await desk.strip('+7 912 555-07-31');
  const field = page.getByPlaceholder('Имя клиента');
  await field.waitFor();
  assert.equal(await field.evaluate((node) => node === document.activeElement), false);
  await desk.shot('unknown');
  await desk.axe('a new caller');
  await field.fill('Виктор Лаптев');
  await page.keyboard.press('Enter');
  await desk.strip('Виктор Лаптев');
  assert.equal(desk.mock.world.client(card_id).name, 'Виктор Лаптев');
}

export async function a_withheld_number_is_found_by_name(desk) {
  const page = await desk.signIn();
  await desk.order('ring', { variant: 'withheld' });
  await desk.strip('Номер скрыт');
  await desk.sees('Спросите имя и номер, найдём карточку');
  await desk.shot('withheld');
  await page.getByLabel('Найти по имени или номеру').fill('зуева');
  await page.getByRole('button', { name: /Марина Зуева/ }).click();
  await desk.strip('Марина Зуева');
}

export async function a_late_card_is_a_skeleton_in_the_middle_and_never_in_the_strip(desk) {
  await desk.signIn();
  await desk.order('delay', { ms: 1_200 });
  await desk.order('ring', { variant: 'late' });
  await desk.strip('+7 921 555-01-87');
  await desk.sees('Карточка ещё ищется');
  assert.equal(await desk.page.getByText('По мобильному, 14 звонков').count(), 0, 'a reason without its card');
  await desk.shot('late');
  await desk.strip('Ольга Тимофеева');
}

export async function answered_elsewhere_fades_with_words(desk) {
  await desk.signIn();
  const { call_id } = await desk.order('ring');
  await desk.strip('Снимите трубку');
  const call = desk.mock.world.open.get(call_id);
  call.legs.push({ ...structuredClone(call.legs.at(-1)), id: 'ff', agent: 'boris' });
  await desk.order('answer', { call_id, agent: 'boris' });
  await desk.strip(/Ольга Тимофеева: (ответили на другом телефоне|отвечает Борис)/);
  await desk.shot('elsewhere');
  await desk.until('the row is gone', async () => /На линии/.test(await desk.page.locator('header').innerText()), 6_000);
}

export async function a_caller_who_gives_up_is_said_and_listed_as_missed(desk) {
  const page = await desk.signIn();
  await desk.order('ring');
  await desk.strip('Снимите трубку');
  await desk.order('end');
  await desk.strip('звонящий положил трубку');
  await desk.strip('На линии');
  await page.getByRole('button', { name: /^Пропущенные/ }).click();
  await desk.sees(/Не дождались ответа, 0:/);
  await desk.sees(/только что|мин назад/);
}

export async function a_second_call_stands_beside_the_first(desk) {
  const page = await desk.signIn();
  await desk.order('ring');
  await desk.order('answer');
  await desk.strip('Завершить');
  const second = await desk.order('ring', { client: 3, queue: 'VIP' });
  await desk.strip(/Ольга Тимофеева.*Артём Юдин.*Завершить/);
  await desk.shot('second-call');
  await desk.axe('two calls');
  await page.locator('header button', { hasText: 'Артём Юдин' }).click();
  await page.locator('main h2', { hasText: 'Артём Юдин' }).waitFor();
  await desk.order('end', { call_id: second.call_id });
  await desk.strip(/Артём Юдин: звонящий положил трубку/);
}

export async function ending_the_clients_call_while_it_rings_asks_first(desk) {
  const page = await desk.signIn();
  const { call_id } = await desk.order('ring');
  await desk.strip('Снимите трубку');
  await desk.page.waitForTimeout(700);
  await page.locator('header').getByRole('button', { name: /Ещё/ }).click();
  await page.getByRole('menuitem').click();
  await desk.sees('Завершить звонок?');
  await desk.axe('the question');
  await page.keyboard.press('Escape');
  assert.ok(desk.mock.world.open.has(call_id));
  await page.locator('header').getByRole('button', { name: /Ещё/ }).click();
  await page.getByRole('menuitem').click();
  await page.locator('dialog').getByRole('button', { name: 'Завершить звонок клиента' }).click();
  await desk.until('the call has ended', async () => !desk.mock.world.open.has(call_id));
}

export async function the_strip_does_not_hear_the_mouse_right_after_it_changed(desk) {
  const page = await desk.signIn();
  const { call_id } = await desk.order('ring');
  await desk.strip('Снимите трубку');
  await desk.order('answer');
  await page.getByRole('button', { name: 'Завершить' }).waitFor();
  const box = await page.getByRole('button', { name: 'Завершить' }).boundingBox();
  await page.mouse.click(box.x + 20, box.y + 20);
  assert.ok(desk.mock.world.open.has(call_id), 'a click within 600 ms ended the call');
  await page.waitForTimeout(700);
  await page.mouse.click(box.x + 20, box.y + 20);
  await desk.strip('Обработка');
}

export async function a_reload_in_a_talk_brings_the_call_back(desk) {
  const page = await desk.signIn();
  await desk.order('ring');
  await desk.order('answer');
  await desk.strip('Завершить');
  await page.reload();
  await desk.strip(/Ольга Тимофеева.*Завершить/);
  await desk.sees('начальник снабжения');
  await page.keyboard.press('Shift+F2');
  await desk.strip('Обработка');
  await page.reload();
  await desk.strip(/Обработка.*Ольга Тимофеева/);
}

export async function a_lost_link_is_said_and_nothing_is_lost(desk) {
  const page = await desk.signIn();
  await desk.order('ring');
  await desk.order('answer');
  await desk.strip('Завершить');
  await desk.order('drop', { stay_down: true });
  await desk.sees(/Нет связи с сервером, \d с/);
  await desk.sees('Разговор продолжается');
  assert.equal(await page.getByRole('button', { name: 'Завершить' }).getAttribute('aria-disabled'), 'true');
  await desk.axe('a lost link');
  await desk.shot('link-lost');
  await desk.order('end');
  await desk.order('up');
  await desk.sees('Снова на связи, ничего не потеряно');
  await desk.strip('Обработка');
}

export async function a_seq_that_expired_loads_everything_afresh(desk) {
  await desk.signIn();
  await desk.order('ring');
  await desk.strip('Снимите трубку');
  await desk.order('reset');
  await desk.strip('На линии');
}

export async function a_revoked_session_signs_in_over_the_page_and_keeps_the_draft(desk) {
  const page = await desk.signIn();
  await desk.order('ring');
  await desk.order('answer');
  const note = page.getByLabel('Заметка');
  await note.waitFor();
  await desk.until('the note can be written', () => note.isEnabled());
  await desk.order('fail', { path: `/api/v1/clients/${desk.mock.world.clients[0].id}`, status: 503 });
  await note.fill('Перезвонить после 16:00');
  await desk.sees('Не сохранено, текст остался здесь');
  await desk.order('fail', {});
  await desk.order('sign_out');
  await desk.sees('Войдите снова');
  await desk.axe('sign-in over the page');
  await desk.shot('sign-in-over');
  await page.locator('dialog input[name=password]').fill('demo');
  await page.keyboard.press('Enter');
  await page.locator('dialog').waitFor({ state: 'detached' });
  assert.equal(await note.inputValue(), 'Перезвонить после 16:00');
  await note.press('End');
  await note.pressSequentially('.');
  await desk.until('the note is saved', async () => desk.mock.world.clients[0].fields.note === 'Перезвонить после 16:00.');
}

export async function hostile_caller_id_is_only_text(desk) {
  const page = await desk.signIn();
  const display = '<img src=x onerror=alert(1)>\u202eevil'.padEnd(90, 'x');
  await desk.order('ring', { variant: 'withheld', display });
  await desk.strip('<img src=x onerror=alert(1)>evil');
  const shown = await page.locator('header bdi').first().innerText();
  assert.ok([...shown].length <= 64, `${[...shown].length} characters`);
  assert.equal(await page.locator('img').count(), 0);
}

export async function a_click_calls_from_my_phone(desk) {
  const page = await desk.signIn();
  await page.locator('main li button', { hasText: 'Ольга Тимофеева' }).first().click();
  await page.locator('main').getByRole('button', { name: 'Позвонить' }).click();
  await desk.strip(/Ольга Тимофеева.*Снимите трубку, и мы наберём/);
  await desk.shot('dialing');
  await desk.order('answer', { agent: 'anna' });
  await desk.strip(/Ольга Тимофеева.*Завершить/);
}

export async function a_colleague_is_not_looked_up_among_the_clients(desk) {
  const page = await desk.signIn();
  const asked = [];
  page.on('request', (request) => request.url().includes('/clients/lookup') && asked.push(request.url()));
  await desk.order('dial', { agent: 'anna', to: '102' });
  await desk.strip(/Борис Кравцов.*Снимите трубку, и мы наберём/);
  await desk.order('answer', { agent: 'anna' });
  await desk.strip(/Борис Кравцов.*Завершить/);
  await desk.settled();
  assert.deepEqual(asked, []);
}

export async function a_call_does_not_leave_a_field_that_is_being_typed_in(desk) {
  const page = await desk.signIn();
  await desk.go('/clients');
  const search = page.getByPlaceholder('Имя, компания или номер');
  await search.fill('зуе');
  await desk.order('ring');
  await desk.strip('Снимите трубку');
  assert.equal(new URL(page.url()).pathname, '/clients');
  assert.equal(await search.inputValue(), 'зуе');
  assert.equal(await search.evaluate((node) => node === document.activeElement), true);
  await desk.order('end');
  await desk.strip('На линии');
  await page.locator('h1').click();
  await search.evaluate((node) => node.blur());
  await desk.order('ring');
  await desk.until('the desk is open', async () => new URL(page.url()).pathname === '/');
}

export async function my_state_changes_from_the_menu_by_a_digit(desk) {
  const page = await desk.signIn();
  await page.getByRole('button', { name: /Моё состояние/ }).click();
  await desk.axe('the state menu');
  await desk.shot('state-menu');
  await page.keyboard.press('Digit2');
  await desk.strip('Обед');
  assert.deepEqual([desk.mock.world.agents.get('anna').state, desk.mock.world.agents.get('anna').reason], ['break', 'lunch']);
}

export async function a_phone_that_is_not_connected_is_said(desk) {
  await desk.signIn();
  await desk.order('state', { agent: 'anna', registered: false, state: 'ready' });
  await desk.strip('Телефон 101 не подключён');
  assert.equal(await desk.page.locator('main').getByRole('button', { name: 'Позвонить' }).getAttribute('aria-disabled'), 'true');
  await desk.order('state', { agent: 'anna', registered: true, state: 'ready' });
}
