// Speedscope's own page over a profile, in headless Chromium.
//
//   node speedscope.mjs RELEASE PROFILE SCREENSHOT
//
// RELEASE is the folder dist/release of the npm package. Prints { shown, rows, errors }: the text of its sandwich view, how
// many functions that has on the screen, and what the page complained about.
import { resolve } from 'node:path';
import { Browser } from './browser.mjs';
import { serve } from './serve.mjs';

const [release, profile, screenshot] = process.argv.slice(2);
const site = await serve({ speedscope: resolve(release), profile: resolve(profile) });
const browser = await Browser.launch();
try {
  const source = encodeURIComponent(`${site.url}/profile`);
  const page = await browser.open(`${site.url}/speedscope/index.html#profileURL=${source}&view=sandwich&title=tickscope`);
  await page.until(`/\\(\\s*[<>]?[\\d.]+%\\)/.test(document.body.innerText)
    || /went wrong|failed|unrecognized/i.test(document.body.innerText)`, 90000);
  const shown = await page.evaluate(`document.body.innerText.slice(0, 20000)`);
  const rows = await page.evaluate(`document.querySelectorAll('table tr').length`);
  await page.screenshot(screenshot);
  console.log(JSON.stringify({ shown, rows, errors: page.errors.filter(text => !text.includes('favicon')) }));
} finally {
  await browser.close();
  site.close();
}
