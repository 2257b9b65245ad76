// Browser tests of the desk against the mock server. `npm run build` first; `npm run e2e -- ring` runs the tests named so.
import { existsSync } from 'node:fs';
import { startMock } from '../mock/server.mjs';
import { openBrowser } from './browser.mjs';
import { Desk } from './desk.mjs';
import * as calls from './calls.mjs';
import * as looks from './looks.mjs';
import * as pages from './pages.mjs';
import * as phone from './phone.mjs';
import * as steering from './steering.mjs';

if (!existsSync(new URL('../dist/index.html', import.meta.url))) {
  console.error('no dist/: run `npm run build` first');
  process.exit(2);
}

const wanted = process.argv.slice(2);
const tests = [
  ...Object.entries(calls),
  ...Object.entries(phone),
  ...Object.entries(steering),
  ...Object.entries(pages),
  ...Object.entries(looks),
]
  .map(([name, test]) => ({ name: name.replaceAll('_', ' '), test }))
  .filter(({ name }) => wanted.length === 0 || wanted.some((word) => name.includes(word)));

const mock = await startMock();
const { browser, close } = await openBrowser({ telephones: true });
const failed = [];
for (const { name, test } of tests) {
  const desk = new Desk(browser, mock);
  const began = Date.now();
  try {
    await desk.order('reset');
    await test(desk);
    if (desk.complaints.length) throw new Error(`the page complained:\n  ${desk.complaints.join('\n  ')}`);
    console.log(`ok    ${name} (${Date.now() - began} ms)`);
  } catch (error) {
    failed.push(name);
    await desk.page
      ?.screenshot({ path: `${import.meta.dirname}/shots/failed-${name.replaceAll(' ', '-').slice(0, 60)}.png` })
      .catch(() => undefined);
    console.log(`FAIL  ${name}\n      ${error.stack.split('\n').slice(0, 6).join('\n      ')}`);
  }
  await desk.close();
}
await close();
await mock.close();
console.log(`${tests.length - failed.length} of ${tests.length} passed`);
process.exit(failed.length ? 1 : 0);
