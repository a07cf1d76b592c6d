import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import type { Overview } from '../../src/overview/overview.ts';
import { renderOverviewPage } from '../../src/overview/page.ts';
import { renderBytes } from '../../src/text/units.ts';
import { findBarriers, launchChromium, whyNoChromium } from '../support/chromium.ts';
import { createRole } from '../support/databases.ts';
import { test } from '../support/sessions.ts';
import { look, readScript } from './overview-kit.ts';

const WIDE = { width: 1440, height: 900 };
const PHONE = { width: 390, height: 844 };
/** A4 upright, between the margins. */
const PAPER = { width: 718, height: 1047 };
const LIMIT_BYTES = 1.5e6;

describe.skipIf(whyNoChromium() !== undefined)('a page in a browser', () => {
  let browser: Browser;
  let folder: string;
  const opened: Page[] = [];

  beforeAll(async () => {
    browser = await launchChromium();
    folder = await mkdtemp(join(tmpdir(), 'evdb-page-'));
  });
  afterAll(async () => {
    await browser?.close();
    await rm(folder, { recursive: true, force: true });
  });

  /** The page, and all that went wrong in it or left it. */
  async function open(
    html: string,
    { viewport = WIDE, colorScheme = 'light' as 'light' | 'dark' } = {},
  ) {
    const file = join(folder, `page-${opened.length}.html`);
    await writeFile(file, html);
    // The policy of the page would keep axe-core out.
    const context = await browser.newContext({ viewport, colorScheme, bypassCSP: true });
    await context.grantPermissions(['clipboard-read', 'clipboard-write']);
    const page = await context.newPage();
    const faults: string[] = [];
    page.on('console', (message) => faults.push(message.text()));
    page.on('pageerror', (error) => faults.push(error.message));
    page.on('request', (request) => {
      if (!request.url().startsWith('file:') && request.url() !== 'data:,')
        faults.push(request.url());
    });
    await page.goto(pathToFileURL(file).href);
    opened.push(page);
    return { page, faults };
  }

  /** Opens it as it is wanted: nothing wrong, nothing asked, nothing beside the screen, no barrier. */
  async function expectSound(
    html: string,
    ways: Parameters<typeof open>[1][] = [{}, { viewport: PHONE }],
  ) {
    for (const way of ways) {
      const { page, faults } = await open(html, way);
      expect(await findBarriers(page)).toEqual([]);
      const width = await page.evaluate<number>('document.documentElement.scrollWidth');
      expect(width).toBeLessThanOrEqual(way?.viewport?.width ?? WIDE.width);
      expect(faults).toEqual([]);
      await page.context().close();
    }
  }

  const texts = (page: Page, selector: string) =>
    page.locator(selector).evaluateAll((all) => all.map((one) => one.textContent ?? ''));
  /** What the marks of a chart say, in the drawing that is seen. */
  const readings = (page: Page, section: string, title: string) =>
    page
      .locator(`#${section} figure`, { hasText: title })
      .locator('svg.wide .mark')
      .evaluateAll((marks) => marks.map((mark) => mark.getAttribute('data-read') ?? ''));

  test('shows the numbers of the database, in charts and in tables', async ({ db }) => {
    const { url, sql } = db;
    await sql.unsafe(readScript('example'));
    // Autovacuum would make tables larger between two looks at their sizes.
    await sql`vacuum analyze`;
    const html = renderOverviewPage(await look(url));
    const phone = { viewport: PHONE, colorScheme: 'dark' as const };
    await expectSound(html, [{}, { colorScheme: 'dark' }, phone]);
    const { page, faults } = await open(html);

    const days = await sql`
      select to_char(registered_at at time zone 'UTC', 'YYYY-MM-DD') as day,
        count(*) filter (where status = 'confirmed')::int as confirmed,
        count(*) filter (where status = 'waitlist')::int as waitlist,
        count(*) filter (where status = 'cancelled')::int as cancelled
      from registrations where registered_at >= now() - interval '90 days' group by 1 order by 1`;
    const told = days.map(
      ({ day, confirmed, waitlist, cancelled }) =>
        `${day}: confirmed ${confirmed}, waitlist ${waitlist}, pending 0, cancelled ${cancelled}`,
    );
    expect(await readings(page, 'registrations', 'Registrations a day')).toEqual(told);

    const audited = await sql`select to_char(created_at at time zone 'UTC', 'YYYY-MM-DD') as day,
      count(*) filter (where table_name = 'registrations')::int as n from audit_logs group by 1 order by 1`;
    const entries = await readings(page, 'audit', 'Entries of the audit log');
    expect(entries.map((text) => text.split(',')[0])).toEqual(
      audited.map(({ day, n }) => `${day}: registrations ${n}`),
    );

    const tables = await sql`select relname, pg_total_relation_size(oid)::int as bytes,
        pg_indexes_size(oid)::int as indexes
      from pg_class where relname in ('registrations', 'users', 'events') order by 2 desc`;
    const sizes = await readings(page, 'sizes', 'The largest tables');
    for (const { relname, bytes, indexes } of tables) {
      const rows = renderBytes(bytes - indexes);
      expect(sizes).toContain(
        `public.${relname}: rows and TOAST ${rows}, indexes ${renderBytes(indexes)}`,
      );
    }
    // As long as they are large.
    const [first = 0, second = 0] = await page
      .locator('#registrations figure', { hasText: 'waiting lists' })
      .locator('svg.wide .mark rect.s0')
      .evaluateAll((bars) => bars.map((bar) => Number(bar.getAttribute('width'))));
    const [one, two] = await sql`select count(*)::int as n from registrations
      where status = 'waitlist' group by event_id order by 1 desc limit 2`;
    expect(first / second).toBeCloseTo(one?.n / two?.n, 2);
    expect(await page.locator('#registrations figure svg.narrow').first().isVisible()).toBe(false);
    expect(faults).toEqual([]);
  });

  test('sorts, filters, copies, and reads charts by the arrow keys', async ({ db }) => {
    await db.sql.unsafe(readScript('example'));
    const { page, faults } = await open(renderOverviewPage(await look(db.url)));

    const coming = page.locator('#coming');
    const column = () => texts(page, '#coming td:nth-child(4)');
    expect(await column()).toHaveLength(25);
    await coming.getByRole('button', { name: 'Show all 40' }).click();
    const all = await column();
    expect(all).toHaveLength(40);
    const numbers = all.map(Number);
    await coming.getByRole('button', { name: 'taken' }).click();
    expect((await column()).map(Number)).toEqual([...numbers].sort((a, b) => b - a));
    await coming.getByRole('button', { name: 'taken' }).click();
    expect((await column()).map(Number)).toEqual([...numbers].sort((a, b) => a - b));
    expect(await coming.locator('th[aria-sort]').getAttribute('aria-sort')).toBe('ascending');
    await coming.getByRole('searchbox').fill('jazz PARK');
    const [jazz] = await db.sql`select count(*)::int as n from events
      where date_time > now() and title like 'Jazz in the park%'`;
    expect(await texts(page, '#coming .found')).toEqual([`${jazz?.n} found`]);
    expect(await column()).toHaveLength(jazz?.n);

    const chart = page.locator('#registrations figure').first();
    await chart.locator('svg.wide').focus();
    await page.keyboard.press('ArrowRight');
    const [first, second] = await readings(page, 'registrations', 'Registrations a day');
    expect(await chart.locator('.readout').textContent()).toBe(first);
    await page.keyboard.press('ArrowRight');
    expect(await chart.locator('.readout').textContent()).toBe(second);
    expect(faults).toEqual([]);
  });

  test('shows all faults of a broken database on its first screen, each with its fix to copy', async ({
    db,
  }) => {
    await db.sql.unsafe(readScript('broken'));
    const html = renderOverviewPage(await look(db.url));
    await expectSound(html);
    const { page } = await open(html);
    const broken = [
      ...[
        'partition-runway',
        'sequence-runway',
        'definer-functions',
        'business-rules',
        'autovacuum',
      ],
      ...['invalid-indexes', 'duplicate-indexes', 'missing-fk-indexes', 'unvalidated-constraints'],
      'disabled-triggers',
    ];
    for (const name of broken) {
      const line = page.locator('.finding summary', { hasText: name });
      const place = await line.boundingBox();
      expect(place && place.y + place.height, name).toBeLessThanOrEqual(WIDE.height);
      await line.click();
      const fixes = page.locator('.finding', { hasText: name }).locator('.copied code');
      expect(await fixes.first().isVisible(), name).toBe(true);
      await line.click();
    }
    await page.locator('.finding summary', { hasText: 'invalid-indexes' }).click();
    await page.locator('.finding[open] button.copy').click();
    expect(await page.evaluate('navigator.clipboard.readText()')).toMatch(
      /^(drop|reindex) index concurrently public\.orders_placed_idx;/,
    );
  });

  test('prints everything that can be opened, and nothing that can only be pressed', async ({
    db,
  }) => {
    await db.sql.unsafe(readScript('broken'));
    const { page } = await open(renderOverviewPage(await look(db.url)));
    expect(await page.locator('details:not([open])').count()).toBeGreaterThan(0);
    const pdf = await page.pdf({ format: 'A4' });
    expect(pdf.subarray(0, 5).toString()).toBe('%PDF-');
    await expect.poll(() => page.locator('details:not([open])').count()).toBe(0);
    await page.emulateMedia({ media: 'print' });
    for (const pressed of ['nav', 'button.copy', '.tools label']) {
      expect(await page.locator(pressed).first().isVisible(), pressed).toBe(false);
    }
    // What is wider than the paper is not printed.
    await page.setViewportSize(PAPER);
    const width = await page.evaluate<number>('document.documentElement.scrollWidth');
    expect(width).toBeLessThanOrEqual(PAPER.width);
  });

  test('is sound without event schema, without tables, and with few privileges', async ({
    db,
    emptyDb,
  }) => {
    await expectSound(renderOverviewPage(await look(emptyDb.url)));
    await emptyDb.sql.unsafe('create table t (id int primary key)');
    await expectSound(renderOverviewPage(await look(emptyDb.url)), [{}]);
    const plain = await createRole(db);
    await expectSound(renderOverviewPage(await look(plain.url)));
    await plain.remove();
  });

  test('stays small and quick with 2,000 tables and 10,000 indexes', async ({ emptyDb }) => {
    await emptyDb.sql.unsafe('create table t (id int primary key, name text unique)');
    const html = renderOverviewPage(enlarge(await look(emptyDb.url)));
    expect(Buffer.byteLength(html)).toBeLessThan(LIMIT_BYTES);
    await expectSound(html, [{ viewport: PHONE }]);
    const { page } = await open(html);
    const indexes = page.locator('#all-indexes');
    await indexes.getByRole('searchbox').fill('t_1234_');
    expect(await texts(page, '#all-indexes td:first-child')).toHaveLength(5);
    await indexes.getByRole('searchbox').fill('');
    await indexes.getByRole('button', { name: 'size' }).click();
    await indexes.getByRole('button', { name: 'Show all 10,000' }).click();
    const sizes = await texts(page, '#all-indexes td:nth-child(3)');
    expect(sizes).toHaveLength(10_000);
    expect(sizes[0]).toBe(renderBytes(8192 * 9999));
    expect(sizes.at(-1)).toBe('0 B');
  });

  test('names and values of others are text, and nothing else', async ({ emptyDb }) => {
    const hostile = `</script><img src=x onerror="document.title='owned'">\u202e'"&`;
    const name = hostile.replaceAll('"', '""');
    await emptyDb.sql.unsafe(
      Array.from({ length: 30 }, (_, at) => `create table "${at}${name}" (id int)`).join('; '),
    );
    const { page, faults } = await open(renderOverviewPage(await look(emptyDb.url)));
    await page.locator('#tables').getByRole('button', { name: 'Show all 30' }).click();
    const cells = await texts(page, '#tables td:first-child');
    expect(cells).toHaveLength(30);
    for (const cell of cells) expect(cell).toContain(`</script><img src=x onerror=`);
    expect(cells.join('')).not.toContain('\u202e');
    expect(await page.locator('img').count()).toBe(0);
    expect(await page.title()).toMatch(/^Database /);
    expect(faults).toEqual([]);
  });
});

/** The same with so many tables and indexes, of names and sizes that differ. */
function enlarge(overview: Overview): Overview {
  const { data } = overview.sizes;
  const [table] = data?.tables ?? [];
  const [index] = data?.indexes ?? [];
  if (!data || !table || !index) throw new Error('there is nothing to repeat');
  const tables = Array.from({ length: 2000 }, (_, at) => ({
    ...table,
    ...{ oid: at, table: `t_${at}_of_an_application`, rows: at * 7919, totalBytes: at * 81920 },
    ...{ growthBytes: at * 8192, sequentialScans: at * 31, indexScans: at * 977, deadRows: at },
  }));
  const indexes = Array.from({ length: 10_000 }, (_, at) => ({
    ...index,
    ...{
      oid: at,
      table: `t_${at % 2000}_of_an_application`,
      index: `t_${at % 2000}_column_${at}_idx`,
    },
    ...{ sizeBytes: at * 8192, growthBytes: at * 4096, scans: at * 1013 },
  }));
  return { ...overview, sizes: { ...overview.sizes, data: { ...data, tables, indexes } } };
}
