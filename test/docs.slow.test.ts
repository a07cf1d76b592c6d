import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { describe, expect, it } from 'vitest';
// @ts-expect-error a script without types
import * as script from '../scripts/docs.mjs';

const { renderReference } = script as { renderReference(): Promise<Map<string, string>> };

const TEXT = /\.(md|txt|ts|mjs|json|ya?ml|sql|example)$/;

function listFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && TEXT.test(entry.name))
    .map(({ parentPath, name }) => join(parentPath, name));
}

const pages = [
  ...readdirSync('.').filter((name) => /\.(md|txt)$/.test(name)),
  ...['docs', 'examples', 'bench', 'test'].flatMap(listFiles).filter((path) => /\.md$/.test(path)),
].filter((path) => !path.includes('node_modules'));

/** What a page says outside of blocks of code, where brackets are brackets. */
function proseOf(path: string): string {
  return readFileSync(path, 'utf8')
    .replace(/^ *```[\s\S]*?^ *```/gm, '')
    .replace(/`[^`\n]*`/g, (code) => code.replaceAll('](', '] ('));
}

const knownAnchors = new Map<string, Set<string>>();

/** As pages of GitHub name their headings. */
function anchorsOf(path: string): Set<string> {
  const known = knownAnchors.get(path);
  if (known) return known;
  const anchors = new Set<string>();
  knownAnchors.set(path, anchors);
  for (const [, title = ''] of proseOf(path).matchAll(/^#+ (.+)$/gm)) {
    const words = title.toLowerCase().replace(/\]\([^)]*\)/g, '');
    const anchor = words.replace(/[^\p{L}\p{N}_ -]/gu, '').replaceAll(' ', '-');
    let [free, count] = [anchor, 0];
    while (anchors.has(free)) free = `${anchor}-${++count}`;
    anchors.add(free);
  }
  return anchors;
}

/** What a link of a page leads to, where that is not there. */
function brokenLinks(path: string): string[] {
  const links = [...proseOf(path).matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = '']) => link);
  return links
    .filter((link) => !/^[a-z]+:/.test(link))
    .filter((link) => {
      const [file = '', anchor] = link.split('#');
      const target = file === '' ? path : normalize(join(dirname(path), file));
      if (!existsSync(target)) return true;
      return anchor !== undefined && !anchorsOf(target).has(anchor);
    })
    .map((link) => `${path}: ${link}`);
}

describe('the reference', () => {
  it('is what the code says; `npm run docs` writes it', { timeout: 60_000 }, async () => {
    const made = await renderReference();
    expect([...made.keys()]).toEqual([
      'cli.md',
      'errors.md',
      'config.md',
      'json.md',
      '../event-schema.md',
    ]);
    for (const [name, text] of made) {
      expect(text, name).toBe(readFileSync(join('docs/reference', name), 'utf8'));
    }
  });
});

describe('the documentation', () => {
  it('has no link that leads nowhere', () => {
    expect(pages.length).toBeGreaterThan(60);
    expect(pages.flatMap(brokenLinks)).toEqual([]);
  });

  it('repeats in README figures that stand in docs/performance.md', () => {
    const rows = [
      ...readFileSync('README.md', 'utf8').matchAll(
        /\| +([≤≥] [\d.]+) \| +([\d.]+) \| (yes|no) +\|/g,
      ),
    ];
    expect(rows.length).toBeGreaterThan(5);
    const measured = readFileSync('docs/performance.md', 'utf8')
      .split('\n')
      .map((line) => line.split(/ *\| */));
    const isMeasured = ([, target = '', now = '', met = '']: string[]) =>
      measured.some((cells) => [target, now, met].every((cell) => cells.includes(cell)));
    expect(rows.filter((row) => !isMeasured(row)).map(([row]) => row)).toEqual([]);
  });

  it('is in the package, as far as agents are led to it', () => {
    const { files } = JSON.parse(readFileSync('package.json', 'utf8')) as { files: string[] };
    expect(files).toEqual(expect.arrayContaining(['SKILL.md', 'llms.txt', 'docs']));
    const links = [...proseOf('llms.txt').matchAll(/\]\(([^)#]+)\)/g)].map(([, link = '']) => link);
    const isPacked = (link: string) =>
      link === 'README.md' || files.some((path) => link === path || link.startsWith(`${path}/`));
    expect(links.filter((link) => !isPacked(link))).toEqual([]);
  });

  it('is listed page by page in docs/README.md', () => {
    const listed = [...proseOf('docs/README.md').matchAll(/\]\(([^)#]+)\)/g)].map(([, to = '']) =>
      normalize(to),
    );
    const all = listFiles('docs').map((path) => relative('docs', path));
    const own = all.filter((path) => path !== 'README.md' && !path.startsWith('rules/'));
    expect(own.filter((path) => !listed.includes(path))).toEqual([]);
  });

  it('has the pages that code, templates and schemas name', () => {
    const named = ['src', 'templates', 'schemas', 'scripts', 'examples', 'bench']
      .flatMap(listFiles)
      .flatMap((path) =>
        [...readFileSync(path, 'utf8').matchAll(/\bdocs\/[\w/-]+\.md\b/g)].map(([page]) => page),
      );
    expect(named).toContain('docs/reference/errors.md');
    expect([...new Set(named)].filter((page) => !existsSync(page))).toEqual([]);
  });
});
