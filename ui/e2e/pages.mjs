// The other sections: recordings that play, clients that edit, calls and floor that live, the palette.
import assert from 'node:assert/strict';

const speedOf = (page) => page.locator('main').getByRole('group', { name: 'Скорость' });
const placeOf = async (page) => Number(await page.getByRole('slider').first().getAttribute('aria-valuenow'));

export async function a_recording_plays_seeks_and_solos(desk) {
  const page = await desk.signIn('olga');
  await desk.go('/records');
  await page.getByRole('slider').waitFor();
  await desk.until(
    'the wave is drawn',
    async () => ((await page.locator('path.client').first().getAttribute('d')) ?? '').length > 200,
  );
  await desk.axe('recordings');
  await page.locator('h1').click();
  await page.keyboard.press('Space');
  await desk.until('it plays', async () => (await placeOf(page)) >= 2);
  await desk.shot('recording-playing');
  await page.keyboard.press('Space');
  await page.getByRole('button', { name: 'Слушать', exact: true }).waitFor();
  const before = await placeOf(page);
  await page.keyboard.press('ArrowRight');
  await desk.until('5 s ahead', async () => (await placeOf(page)) >= before + 4);
  await page.keyboard.press('KeyM');
  await page.getByRole('button', { name: 'Клиент', exact: true }).click();
  assert.equal(await page.locator('path.ours.mute').count(), 2);
  await speedOf(page).getByRole('button', { name: '1,5×' }).click();
  const box = await page.getByRole('slider').boundingBox();
  await page.mouse.click(box.x + box.width / 2, box.y + 30);
  const whole = Number(await page.getByRole('slider').getAttribute('aria-valuemax'));
  await desk.until('the middle', async () => Math.abs((await placeOf(page)) - whole / 2) <= 2);
  await page.getByRole('slider').focus();
  await page.keyboard.press('Home');
  assert.equal(await placeOf(page), 0);
}

export async function recordings_are_found_by_client_queue_and_agent(desk) {
  const page = await desk.signIn('olga');
  await desk.go('/records');
  await page.getByLabel('Поддержка', { exact: true }).check();
  await desk.until('only the queue', async () => {
    const rows = (await page.locator('section li a').allInnerTexts()).filter(Boolean);
    return rows.length > 3 && rows.every((row) => row.includes('Поддержка'));
  });
  await page.getByText('Сбросить').click();
  await page.keyboard.press('Slash');
  await page.keyboard.type('тимофеева');
  await page
    .getByRole('button', { name: /Ольга Тимофеева/ })
    .first()
    .waitFor();
  await page.keyboard.press('Enter');
  await desk.until('only the client', async () => {
    const rows = (await page.locator('section li a').allInnerTexts()).filter(Boolean);
    return rows.length > 3 && rows.every((row) => row.includes('Ольга Тимофеева'));
  });
  await page.getByText('Сбросить').first().click();
  await page.locator('h1').click();
  await desk.until(
    'all again',
    async () => new Set((await page.locator('section li a b').allInnerTexts()).slice(0, 30)).size > 3,
  );
  const first = page.url();
  await page.keyboard.press('KeyJ');
  await desk.until('the next one', async () => page.url() !== first);
}

export async function a_recording_that_may_not_be_heard_says_so(desk) {
  const page = await desk.signIn('anna');
  const id = desk.mock.world.recordings[0].id;
  await desk.order('fail', { path: `/api/v1/recordings/${id}`, status: 403, code: 'forbidden', message: 'Это чужое' });
  await desk.go(`/records/${id}`);
  await desk.sees('Нет права слушать эту запись');
  await desk.order('fail', {});
  await desk.order('fail', { path: '/api/v1/recordings', status: 503 });
  await page.reload();
  await desk.sees('Записи не открылись');
  await desk.axe('recordings that did not open');
  await desk.shot('records-failed');
  await desk.order('fail', {});
  await page.getByRole('button', { name: 'Повторить' }).first().click();
  await page.locator('section li a').first().waitFor();
}

export async function a_client_is_searched_opened_and_edited(desk) {
  const page = await desk.signIn();
  await desk.go('/clients');
  await page.getByPlaceholder('Имя, компания или номер').fill('8 921 555');
  await desk.until('one is found', async () => (await page.locator('tbody tr').count()) === 1);
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: /Изменить имя/ }).waitFor();
  await desk.axe('a client');
  await desk.shot('client');
  await page.getByRole('button', { name: /Изменить имя/ }).click();
  await page.keyboard.type('Ольга Сергеевна Тимофеева');
  await page.keyboard.press('Enter');
  await desk.until('the name is kept', async () => desk.mock.world.clients[0].name === 'Ольга Сергеевна Тимофеева');

  const path = `/api/v1/clients/${desk.mock.world.clients[0].id}`;
  await desk.order('fail', { path, status: 503, message: 'Хранилище не отвечает' });
  await page.getByRole('button', { name: /Изменить компанию/ }).click();
  await page.keyboard.type('ООО «Другая»');
  await page.keyboard.press('Enter');
  await desk.sees('Компания: не сохранилось');
  await desk.sees('ООО «Полярис»');
  await desk.shot('edit-refused');
  await desk.order('fail', {});
  await page.getByRole('button', { name: 'Повторить' }).click();
  await desk.until('the retry is kept', async () => desk.mock.world.clients[0].company === 'ООО «Другая»');

  await page.getByRole('button', { name: 'метка' }).click();
  await page.keyboard.type('Север');
  await page.keyboard.press('Enter');
  await desk.until('the tag is kept', async () => desk.mock.world.clients[0].tags.includes('Север'));
  await page.getByRole('button', { name: /Изменить: Город/ }).click();
  await page.keyboard.type('Вологда');
  await page.keyboard.press('Enter');
  await desk.until('the field is kept', async () => desk.mock.world.clients[0].fields.city === 'Вологда');
}

export async function a_call_on_the_timeline_plays_in_its_place(desk) {
  const page = await desk.signIn();
  await desk.go(`/clients/${desk.mock.world.clients[0].id}`);
  await page.getByRole('button', { name: 'С записью' }).click();
  await page
    .getByRole('button', { name: /^Слушать/ })
    .first()
    .click();
  await page.getByRole('slider').waitFor();
  await desk.until('it plays', async () => (await placeOf(page)) >= 1);
  await desk.axe('a timeline with its player');
  await desk.shot('client-player');
}

export async function a_new_client_is_made_and_a_known_number_is_noticed(desk) {
  const page = await desk.signIn();
  await desk.go('/clients');
  await page.getByRole('button', { name: 'Новый клиент' }).click();
  await page.locator('dialog').getByLabel('Телефон').fill('8 (921) 555-01-87');
  await page.locator('dialog').getByLabel('Имя').focus();
  await desk.sees('Этот номер уже есть в карточке');
  await desk.axe('the new client');
  await desk.shot('new-client');
  await page.keyboard.press('Enter');
  await desk.sees('Введите имя');
  await page.locator('dialog').getByLabel('Имя').fill('Пётр Новый');
  await page.locator('dialog').getByLabel('Телефон').fill('+7 900 555-00-11');
  await page.keyboard.press('Enter');
  await page.locator('dialog').waitFor({ state: 'detached' });
  await page
    .getByRole('button', { name: /Пётр Новый/ })
    .first()
    .waitFor();
  assert.equal(desk.mock.world.clients[0].owner, 'anna');
}

export async function calls_live_and_past_are_shown_and_ended(desk) {
  const page = await desk.signIn('olga');
  await desk.go('/calls');
  await desk.until('five live', async () => (await page.locator('section').first().locator('tbody tr').count()) === 5);
  await desk.axe('calls');
  await desk.shot('calls');
  await desk.order('queue', { client: 6 });
  await desk.until(
    'a sixth comes by itself',
    async () => (await page.locator('section').first().locator('tbody tr').count()) === 6,
  );
  await page.getByRole('button', { name: /Завершить звонок: Лев Градов/ }).click();
  await page.locator('dialog').getByRole('button', { name: 'Завершить звонок' }).click();
  await desk.until('it is gone', async () => (await page.locator('section').first().locator('tbody tr').count()) === 5);
  await desk.until('and in the history', async () =>
    /Завершён из программы/i.test(await page.locator('section').nth(1).locator('tbody tr').first().innerText()),
  );
  await page.getByRole('button', { name: 'Пропущенные' }).click();
  await desk.sees(/среди загруженных/);
}

export async function the_floor_shows_states_with_times_and_a_supervisor_changes_one(desk) {
  const page = await desk.signIn('olga');
  await desk.go('/floor');
  await desk.sees('Тимур Гареев: звонок остался без ответа');
  await desk.axe('the floor');
  await desk.shot('floor');
  await page
    .getByRole('row', { name: /Тимур Гареев/ })
    .getByRole('button', { name: 'На линию' })
    .click();
  await desk.until('he is ready', async () => desk.mock.world.agents.get('timur').state === 'ready');
  await page
    .getByRole('row', { name: /Тимур Гареев/ })
    .getByText('На линии')
    .waitFor();
  await desk.order('ring', { agent: 'denis', client: 4 });
  await page
    .getByRole('row', { name: /Денис Левченко/ })
    .getByText('Звонит')
    .waitFor();
}

export async function a_menu_is_never_cut_off_and_follows_its_button(desk) {
  const page = await desk.signIn('olga', { width: 1000, height: 620 });
  await desk.go('/floor');
  const row = page.getByRole('row', { name: /Лидия/ });
  await row.scrollIntoViewIfNeeded();
  const button = row.getByRole('button', { name: /Изменить состояние/ });
  await button.click();
  const menu = page.getByRole('menu');
  const isWhole = () =>
    menu.evaluate((node) => {
      const box = node.getBoundingClientRect();
      const seen = (x, y) => node.contains(document.elementFromPoint(x, y));
      const corners = [box.left + 4, box.right - 4].flatMap((x) => [box.top + 4, box.bottom - 4].map((y) => [x, y]));
      return corners.every(([x, y]) => seen(x, y));
    });
  await desk.until('the whole menu is seen', isWhole);
  const gap = async () => {
    const [list, trigger] = [await menu.boundingBox(), await button.boundingBox()];
    return list.y > trigger.y ? list.y - trigger.y - trigger.height : trigger.y - list.y - list.height;
  };
  await page.setViewportSize({ width: 900, height: 700 });
  await desk.until('it stands at its button', async () => Math.abs((await gap()) - 6) <= 1);
  await page.keyboard.press('Escape');
  await menu.waitFor({ state: 'detached' });
  assert.equal(await button.evaluate((node) => node === document.activeElement), true);
}

export async function the_palette_finds_people_sections_and_numbers(desk) {
  const page = await desk.signIn();
  await page.keyboard.press('Control+KeyK');
  await desk.axe('the palette');
  await page.keyboard.type('зуева');
  await page.getByRole('option', { name: /Марина Зуева/ }).waitFor();
  await desk.shot('palette');
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: /Изменить имя/ }).waitFor();
  await page.keyboard.press('Control+KeyK');
  await page.keyboard.type('+7 900 111-22-33');
  await page.getByRole('option', { name: /Позвонить \+7/ }).waitFor();
  await page.keyboard.press('Escape');
  await page.locator('dialog').waitFor({ state: 'detached' });
  await page.keyboard.press('KeyG');
  await page.keyboard.press('KeyR');
  await desk.until('records', async () => new URL(page.url()).pathname.startsWith('/records'));
  await page.keyboard.press('Shift+Slash');
  await desk.sees('Раскладка не важна: работает сама клавиша.');
  await desk.axe('the key sheet');
  await desk.shot('keys');
}

export async function theme_language_and_volume_are_kept(desk) {
  const page = await desk.signIn();
  await page.getByRole('button', { name: 'Настройки', exact: true }).click();
  await desk.axe('settings');
  await desk.shot('settings');
  await page.getByRole('button', { name: 'Тёмная' }).click();
  await page.getByRole('button', { name: 'English' }).click();
  await page.reload();
  await desk.strip('Ready');
  assert.equal(await page.locator('html').getAttribute('lang'), 'en');
  assert.equal(await page.locator('html').getAttribute('data-theme'), 'dark');
}

export async function an_unknown_address_leads_home(desk) {
  const page = await desk.signIn();
  await page.goto(`${desk.base}/nothing-here`);
  await desk.sees('Такой страницы нет');
  await page.getByRole('link', { name: 'На стол' }).click();
  await desk.sees('Мои звонки');
  await desk.go('/clients/none');
  await desk.sees('Такой карточки нет');
}
