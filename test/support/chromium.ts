import { existsSync } from 'node:fs';
import axe from 'axe-core';
import { type Browser, chromium, type Page } from 'playwright-core';

const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

function findChromium(): string | undefined {
  const named = process.env.EVDB_TEST_CHROMIUM;
  return named ? named : PLACES.find((path) => existsSync(path));
}

/** Why no test can look at a page here; undefined where it can. */
export function whyNoChromium(): string | undefined {
  if (findChromium() !== undefined) return undefined;
  return 'there is no chromium here (apt install chromium, or EVDB_TEST_CHROMIUM)';
}

/** A browser with a new profile, which asks the network for nothing of its own. */
export function launchChromium(): Promise<Browser> {
  return chromium.launch({
    executablePath: findChromium() ?? '',
    args: [
      ...['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'],
      ...['--disable-background-networking', '--disable-component-update', '--disable-sync'],
    ],
  });
}

/** What axe-core has to say against a page, as lines. */
export async function findBarriers(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  return page.evaluate(
    `axe.run().then(({ violations }) => violations.map(({ id, nodes }) => id + ': ' + nodes[0].html.slice(0, 200)))`,
  );
}
