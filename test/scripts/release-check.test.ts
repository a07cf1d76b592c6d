import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
// @ts-expect-error a script without types
import * as script from '../../scripts/release-check.mjs';

interface Release {
  manifest: Record<string, unknown> & { files: string[] };
  changelog: string;
  pages: Map<string, string>;
  tag: string;
}
const { findReleaseProblems } = script as { findReleaseProblems(release: Release): string[] };

function pages(readme: string, page = '') {
  return new Map([
    ['README.md', readme],
    ['docs/a.md', page],
  ]);
}

const GOOD: Release = {
  manifest: {
    version: '1.2.3',
    homepage: 'https://github.com/acme/evdb#readme',
    bugs: 'https://github.com/acme/evdb/issues',
    repository: { type: 'git', url: 'git+https://github.com/acme/evdb.git' },
    files: ['docs', 'action.yml'],
  },
  changelog: '# Changelog\n\n## [Unreleased]\n\n## [1.2.3] - 2026-11-29\n',
  pages: pages('[a](docs/a.md#b) [c](https://example.com) [d](LICENSE) [e](CONTRIBUTING.md)'),
  tag: 'v1.2.3',
};

const problemsOf = (change: Partial<Release>) => findReleaseProblems({ ...GOOD, ...change });
const withManifest = (change: object) => problemsOf({ manifest: { ...GOOD.manifest, ...change } });

describe('the check before a release', () => {
  it('lets a whole release pass', () => {
    expect(findReleaseProblems(GOOD)).toEqual([]);
  });

  it.each([
    { homepage: 'https://github.com/OWNER/evdb#readme' },
    { homepage: undefined },
    { bugs: 'https://example.com/issues' },
    { repository: { url: 'git+https://github.com/OWNER/evdb.git' } },
  ])('refuses an address that is a placeholder or missing: %j', (change) => {
    expect(withManifest(change)).toEqual([expect.stringContaining('write the real address')]);
  });

  it('refuses a repository for which npm does not resolve links', () => {
    expect(withManifest({ repository: 'https://git.acme.dev/evdb' })).toEqual([
      expect.stringContaining('is not on a host'),
    ]);
  });

  it.each(['v1.2.4', '1.2.3', ''])('refuses the tag %j for version 1.2.3', (tag) => {
    expect(problemsOf({ tag })).toEqual([`the tag is ${tag}, package.json says 1.2.3`]);
  });

  it.each(['## [Unreleased]\n', '## [1.2.3]\n', '## [1.2.30] - 2026-11-29\n'])(
    'refuses a changelog without a dated heading of the version: %j',
    (changelog) => {
      expect(problemsOf({ changelog })).toEqual([expect.stringContaining('CHANGELOG.md has no')]);
    },
  );

  it('refuses a README that links to what the package leaves out', () => {
    expect(problemsOf({ pages: pages('[a](bench/README.md) [b](docs2/a.md)') })).toEqual([
      expect.stringContaining('bench/README.md'),
      expect.stringContaining('docs2/a.md'),
    ]);
  });

  it('refuses a page that names the placeholder', () => {
    expect(problemsOf({ pages: pages('', '- uses: OWNER/evdb@v1') })).toEqual([
      'docs/a.md: OWNER/evdb stands for the real address',
    ]);
  });

  it('refuses nothing of this repository but what a release fills in', () => {
    const read = (name: string) => readFileSync(name, 'utf8');
    const manifest = JSON.parse(read('package.json'));
    const problems = problemsOf({
      manifest,
      pages: pages(read('README.md')),
      tag: `v${manifest.version}`,
    });
    const left = problems.filter((line) => !/real address|CHANGELOG\.md has no/.test(line));
    expect(left).toEqual([]);
  });
});
