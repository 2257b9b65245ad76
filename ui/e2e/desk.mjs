// What the browser tests share: a mock server, a signed-in page, and the few questions they ask of it.
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { AxeBuilder } from '@axe-core/playwright';

export const SHOTS = fileURLToPath(new URL('./shots', import.meta.url));
mkdirSync(SHOTS, { recursive: true });

const TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'];

export class Desk {
  /** Complaints of the page itself: errors, broken policy. Looked at after each test. */
  complaints = [];

  constructor(browser, mock) {
    this.browser = browser;
    this.mock = mock;
    this.base = `http://127.0.0.1:${mock.port}`;
  }

  async open({ width = 1440, height = 900, locale = 'ru-RU', theme = 'light', ...more } = {}) {
    this.context = await this.browser.newContext({ viewport: { width, height }, locale, colorScheme: theme, ...more });
    const page = await this.context.newPage();
    page.setDefaultTimeout(8_000);
    page.on('pageerror', (error) => this.complaints.push(`page error: ${error.message}`));
    page.on('console', (message) => {
      // A refused request is what some tests order; everything else on the console is ours.
      if (message.type() === 'error' && !/Failed to load resource|WebSocket connection/.test(message.text()))
        this.complaints.push(message.text());
    });
    await page.exposeFunction('noteViolation', (text) => this.complaints.push(`policy: ${text}`));
    await page.addInitScript(() => {
      addEventListener('securitypolicyviolation', (event) =>
        window.noteViolation(`${event.violatedDirective} ${event.blockedURI}`),
      );
    });
    this.page = page;
    await page.goto(this.base);
    await page.locator('form').waitFor();
    return page;
  }

  async signIn(login = 'anna', options = {}) {
    const page = await this.open(options);
    await page.locator('input[name=login]').fill(login);
    await page.locator('input[name=password]').fill('demo');
    await page.keyboard.press('Enter');
    await page.locator('nav').waitFor();
    // The live stream is up when the first numbers of the floor are here.
    await page.locator('header').waitFor();
    await this.settled();
    return page;
  }

  /** No request is on its way and the stream is open. */
  async settled() {
    await this.until('the stream is open', async () => (await this.order('links')).open > 0);
    await this.page.waitForLoadState('networkidle').catch(() => undefined);
  }

  async go(path) {
    await this.page.goto(this.base + path);
    await this.page.locator('nav').waitFor();
    await this.settled();
  }

  async order(name, wish = {}) {
    const response = await fetch(`${this.base}/mock/${name}`, { method: 'POST', body: JSON.stringify(wish) });
    assert.ok(response.ok, `order ${name}: ${response.status}`);
    return response.json();
  }

  async until(what, question, timeout_ms = 8_000) {
    const deadline = Date.now() + timeout_ms;
    for (;;) {
      if (await question()) return;
      if (Date.now() > deadline) throw new Error(`waited ${timeout_ms} ms in vain: ${what}`);
      await new Promise((done) => setTimeout(done, 40));
    }
  }

  /** The text is on the page and can be seen. */
  async sees(text, where = 'body') {
    await this.page.locator(where).getByText(text).first().waitFor({ state: 'visible' });
  }

  async strip(text) {
    await this.until(`the strip says ${text}`, async () => {
      const said = (
        await this.page
          .locator('header')
          .first()
          .innerText()
          .catch(() => '')
      ).replaceAll('\n', ' ');
      return text instanceof RegExp ? text.test(said) : said.includes(text);
    });
  }

  async axe(what) {
    const { violations } = await new AxeBuilder({ page: this.page }).withTags(TAGS).analyze();
    const found = violations.map(
      (one) =>
        `${one.id}: ${one.nodes
          .map((node) => `${node.target.join(' ')} ${node.failureSummary?.split('\n')[1] ?? ''}`)
          .slice(0, 4)
          .join(' | ')}`,
    );
    assert.deepEqual(found, [], `axe on ${what}`);
  }

  async shot(name) {
    await this.page.screenshot({ path: `${SHOTS}/${name}.png` });
  }

  async close() {
    await this.context?.close();
    this.context = null;
  }
}
