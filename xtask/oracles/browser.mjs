// Headless Chromium, driven over its debugging pipe: no port, no WebSocket, any Node.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const FLAGS = [
  '--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--remote-debugging-pipe',
  '--window-size=1500,1000',
];

export class Browser {
  static async launch() {
    const browser = new Browser();
    browser.profile = mkdtempSync(join(tmpdir(), 'tickscope-chromium-'));
    const program = process.env.CHROMIUM ?? 'chromium';
    const child = spawn(program, [...FLAGS, `--user-data-dir=${browser.profile}`, 'about:blank'],
      { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] });
    browser.child = child;
    browser.next = 0;
    browser.waiting = new Map();
    browser.pages = new Map();
    let text = '';
    child.stdio[4].setEncoding('utf8').on('data', chunk => {
      text += chunk;
      const messages = text.split('\0');
      text = messages.pop();
      messages.forEach(message => browser.take(JSON.parse(message)));
    });
    const fail = why => browser.waiting.forEach(({ reject }) => reject(new Error(why)));
    child.on('error', error => fail(`cannot start ${program}: ${error.message}`));
    child.on('exit', code => fail(`${program} ended with ${code}`));
    child.stdio[3].on('error', () => {});
    await browser.send('Browser.getVersion');
    return browser;
  }

  take(message) {
    if (message.id) {
      const { resolve, reject } = this.waiting.get(message.id);
      this.waiting.delete(message.id);
      message.error ? reject(new Error(JSON.stringify(message.error))) : resolve(message.result);
    } else {
      this.pages.get(message.sessionId)?.saw(message.method, message.params);
    }
  }

  send(method, params = {}, sessionId = undefined) {
    const id = ++this.next;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.child.stdio[3].write(JSON.stringify({ id, method, params, sessionId }) + '\0');
    });
  }

  async open(url) {
    const { targetId } = await this.send('Target.createTarget', { url: 'about:blank' });
    const { sessionId } = await this.send('Target.attachToTarget', { targetId, flatten: true });
    const page = new Page(this, sessionId);
    this.pages.set(sessionId, page);
    for (const domain of ['Runtime', 'Page', 'Log']) await page.send(`${domain}.enable`);
    await page.send('Page.navigate', { url });
    return page;
  }

  async close() {
    const gone = new Promise(resolve => this.child.once('exit', resolve));
    this.send('Browser.close').catch(() => {});
    const hurry = setTimeout(() => this.child.kill('SIGKILL'), 5000);
    await gone;
    clearTimeout(hurry);
    rmSync(this.profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

class Page {
  constructor(browser, session) {
    Object.assign(this, { browser, session, errors: [] });
  }

  send(method, params) {
    return this.browser.send(method, params, this.session);
  }

  saw(method, params) {
    if (method === 'Runtime.exceptionThrown') {
      this.errors.push(params.exceptionDetails.exception?.description ?? params.exceptionDetails.text);
    } else if (method === 'Runtime.consoleAPICalled' && params.type === 'error') {
      this.errors.push(params.args.map(arg => arg.value ?? arg.description).join(' '));
    } else if (method === 'Log.entryAdded' && params.entry.level === 'error') {
      this.errors.push(params.entry.text);
    }
  }

  async evaluate(expression) {
    const answer = await this.send('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true });
    if (answer.exceptionDetails) {
      throw new Error(answer.exceptionDetails.exception?.description ?? answer.exceptionDetails.text);
    }
    return answer.result.value;
  }

  // Waits until `expression` is true; says what it waited for when that does not happen.
  async until(expression, limitMs = 30000) {
    const end = Date.now() + limitMs;
    while (Date.now() < end) {
      if (await this.evaluate(expression).catch(() => false)) return;
      await new Promise(resolve => setTimeout(resolve, 50));
    }
    throw new Error(`in vain: ${expression}`);
  }

  // A real click, at the middle of what `expression` finds.
  async click(expression) {
    const at = await this.evaluate(`(() => { const box = (${expression}).getBoundingClientRect();
      return { x: box.x + box.width / 2, y: box.y + box.height / 2 }; })()`);
    await this.move(at);
    const press = { ...at, button: 'left', clickCount: 1 };
    await this.send('Input.dispatchMouseEvent', { type: 'mousePressed', ...press });
    await this.send('Input.dispatchMouseEvent', { type: 'mouseReleased', ...press });
  }

  move(at) {
    return this.send('Input.dispatchMouseEvent', { type: 'mouseMoved', ...at });
  }

  // Types text, key by key.
  async type(text) {
    for (const key of text) {
      await this.send('Input.dispatchKeyEvent', { type: 'keyDown', key, text: key });
      await this.send('Input.dispatchKeyEvent', { type: 'keyUp', key });
    }
  }

  async press(key, code, modifiers = 0) {
    const event = { key, code: key, windowsVirtualKeyCode: code, modifiers };
    await this.send('Input.dispatchKeyEvent', { type: 'keyDown', ...event, ...(key === 'Enter' ? { text: '\r' } : {}) });
    await this.send('Input.dispatchKeyEvent', { type: 'keyUp', ...event });
  }

  async screenshot(file) {
    const { data } = await this.send('Page.captureScreenshot', { format: 'png' });
    writeFileSync(file, Buffer.from(data, 'base64'));
  }
}
