// Speedscope's own page over a profile, in headless Chromium.
//
//   node speedscope.mjs RELEASE PROFILE SCREENSHOT
//
// RELEASE is the folder dist/release of the npm package. Prints { rows, errors, profiles, shown }: the rows of its sandwich table
// (those on the screen), what the page complained about, how many profiles there are to choose from, and its text.
import { resolve } from 'node:path';
import { Browser } from './browser.mjs';
import { serve } from './serve.mjs';

const [release, profile, screenshot] = process.argv.slice(2);
const site = await serve({ speedscope: resolve(release), profile: resolve(profile) });
const browser = await Browser.launch();
try {
  const source = encodeURIComponent(`${site.url}/profile`);
  const page = await browser.open(`${site.url}/speedscope/index.html#profileURL=${source}&view=sandwich&title=tickscope`);
  await page.until(`document.querySelectorAll('tbody tr').length > 0
    || /went wrong|failed|unrecognized/i.test(document.body.innerText)`, 90000);
  const rows = await page.evaluate(`[...document.querySelectorAll('tbody tr')].map(row =>
    [...row.querySelectorAll('td')].map(cell => cell.innerText.trim()))`);
  const shown = await page.evaluate(`document.body.innerText.slice(0, 300)`);
  await page.screenshot(screenshot);
  console.log(JSON.stringify({ rows, shown, errors: page.errors.filter(text => !text.includes('favicon')) }));
} finally {
  await browser.close();
  site.close();
}
