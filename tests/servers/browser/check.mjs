// Opens pages as a person would: light and dark, wide and on a phone. Fails on any complaint of the browser, any request
// beside the page itself, missing text, forbidden text, or a page that must be scrolled sideways.
// Argument: a JSON file, [{ file, has: [text], lacks: [text] }]; CHROMIUM names the browser, SHOTS a folder for pictures.
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';

const faults = [];
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox'] });
for (const { file, has, lacks } of JSON.parse(readFileSync(process.argv[2], 'utf8'))) {
  const grounds = new Set();
  for (const colorScheme of ['light', 'dark']) {
    for (const viewport of [{ width: 1200, height: 900 }, { width: 390, height: 844 }]) {
      const name = `${basename(file)} ${colorScheme} ${viewport.width}`;
      const fault = (what) => faults.push(`${name}: ${what}`);
      const page = await browser.newPage({ colorScheme, viewport });
      const address = pathToFileURL(file).href;
      page.on('console', (message) => fault(`console: ${message.text()}`));
      page.on('pageerror', (error) => fault(`error: ${error.message}`));
      page.on('dialog', (dialog) => { fault(`dialog: ${dialog.message()}`); dialog.dismiss(); });
      page.on('request', (request) => { if (![address, 'data:,'].includes(request.url())) fault(`request: ${request.url()}`); });
      await page.goto(address, { waitUntil: 'networkidle' });
      const seen = await page.evaluate(() => ({
        text: document.body.innerText,
        source: document.documentElement.outerHTML,
        scripts: document.scripts.length,
        wide: document.documentElement.scrollWidth - window.innerWidth,
        ground: getComputedStyle(document.body).backgroundColor,
      }));
      // A phone hides the heads of tables, and capitals may be the style's.
      const text = seen.text.toLowerCase();
      for (const word of has) if (!text.includes(word.toLowerCase())) fault(`does not show: ${word}`);
      for (const word of lacks) if (seen.source.includes(word)) fault(`holds what it must not: ${word.slice(0, 12)}…`);
      if (seen.scripts > 0) fault(`${seen.scripts} scripts`);
      if (seen.wide > 0) fault(`${seen.wide} pixels too wide`);
      grounds.add(seen.ground);
      if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/${name.replaceAll(' ', '-')}.png`, fullPage: true });
      await page.close();
    }
  }
  if (grounds.size !== 2) faults.push(`${basename(file)}: light and dark look the same`);
}
await browser.close();
for (const fault of faults) console.error(fault);
process.exit(faults.length === 0 ? 0 : 1);
