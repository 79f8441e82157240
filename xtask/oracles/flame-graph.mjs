// Our flame graph in headless Chromium, used as a person does: click, type, point.
//
//   node flame-graph.mjs GRAPH SCREENSHOT
//
// Prints { frames, widthBefore, zoomedWidth, widthAfter, term, matched, matchedAbsent, tooltip, errors }. Screenshots of the
// zoom and of the search lie beside SCREENSHOT.
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Browser } from './browser.mjs';

const [graph, screenshot] = process.argv.slice(2);
const browser = await Browser.launch();
try {
  const page = await browser.open(pathToFileURL(resolve(graph)).href);
  await page.until(`document.readyState === 'complete' && document.querySelectorAll('.frame').length > 0`);
  const frames = await page.evaluate(`document.querySelectorAll('.frame').length`);
  await page.screenshot(screenshot);

  // The widest frame on the screen that has room to grow and a name to search for.
  const chosen = await page.evaluate(`(() => {
    const width = frame => frame.querySelector('rect').getBoundingClientRect().width;
    const top = frame => frame.querySelector('rect').getBoundingClientRect().top;
    const all = [...document.querySelectorAll('.frame')];
    const whole = Math.max(...all.map(width));
    const fits = all.map((frame, index) => ({ frame, index })).filter(({ frame }) =>
      width(frame) > 8 && width(frame) < whole * 0.9 && top(frame) < innerHeight - 30 && frame.dataset.n.length > 2);
    fits.sort((a, b) => width(b.frame) - width(a.frame));
    return fits.length ? fits[0].index : -1;
  })()`);
  if (chosen < 0) throw new Error('no frame to click on');
  const rect = `document.querySelectorAll('.frame')[${chosen}].querySelector('rect')`;
  const width = () => page.evaluate(`${rect}.getBoundingClientRect().width`);

  const quiet = await page.evaluate(`document.getElementById('details').textContent`);
  const widthBefore = await width();
  await page.click(rect);
  const zoomedWidth = await width();
  const pointed = await page.evaluate(`document.getElementById('details').textContent`);
  const title = await page.evaluate(`document.querySelectorAll('.frame')[${chosen}].querySelector('title').textContent`);
  await page.screenshot(beside('zoom'));
  await page.click(`document.getElementById('reset')`);
  const widthAfter = await width();

  const marked = () => page.evaluate(`document.querySelectorAll('.frame.hit').length`);
  const term = await page.evaluate(`document.querySelectorAll('.frame')[${chosen}].dataset.n`);
  await page.type('/');
  await page.type(term);
  const matched = await marked();
  await page.screenshot(beside('search'));
  await page.press('Escape', 27);
  await page.type('/');
  await page.type('no function is called this');
  const matchedAbsent = await marked();

  console.log(JSON.stringify({
    frames, widthBefore, zoomedWidth, widthAfter, term, matched, matchedAbsent,
    tooltip: pointed !== quiet && title !== '' ? pointed : '', errors: page.errors,
  }));
} finally {
  await browser.close();
}

function beside(what) {
  return screenshot.replace(/\.png$/, `-${what}.png`);
}
