import { describe, expect, it } from 'vitest';
import type { FindingLocation } from '../../src/finding.ts';
import type { PipelineFinding, PipelinePlace, PipelineReport } from '../../src/report/pipeline.ts';
import { type PipelineFormat, renderPipeline } from '../../src/report/pipeline-formats.ts';
import { checkGithub, checkGitlab } from '../support/format-checks.ts';

const PLACE: PipelinePlace = {
  toolVersion: '1.2.3',
  prefix: 'services/api',
  root: '/repo',
  fallbackFile: 'package.json',
};

const PROBLEM: PipelineFinding = {
  check: '002_events',
  code: 'set-not-null',
  severity: 'error',
  message: 'scans public.events',
  hint: 'Validate a check first.',
  location: { file: 'migrations/002_events.sql', line: 3, column: 7 },
  objects: ['public.events'],
};

/** The same at another place. */
const at = (place: Partial<FindingLocation>): PipelineFinding => ({
  ...PROBLEM,
  location: { file: 'migrations/002_events.sql', line: 3, column: 7, ...place },
});

function report(findings: PipelineFinding[], rest: Partial<PipelineReport> = {}): PipelineReport {
  const checks = [{ name: '001_users' }, { name: '002_events' }];
  return { command: 'lint', checks, findings, summary: '2 files: 1 error', ...rest };
}

const render = (format: PipelineFormat, problems: PipelineFinding[], rest = {}) =>
  renderPipeline(format, report(problems, rest), PLACE);

describe('SARIF', () => {
  const log = (problems: PipelineFinding[]) => JSON.parse(render('sarif', problems)).runs[0];

  it('names files from the root of the repository, with their place', () => {
    const [result] = log([PROBLEM]).results;
    expect(result).toMatchObject({ ruleId: 'set-not-null', ruleIndex: 0, level: 'error' });
    expect(result.locations[0].physicalLocation).toEqual({
      artifactLocation: { uri: 'services/api/migrations/002_events.sql', uriBaseId: 'ROOT' },
      region: { startLine: 3, startColumn: 7 },
    });
  });

  it('keeps the fingerprint when lines move, and tells equal problems apart', () => {
    const fingerprints = log([PROBLEM, at({ line: 9 }), PROBLEM]).results.map(
      (result: { partialFingerprints: object }) => Object.values(result.partialFingerprints)[0],
    );
    const [moved] = log([at({ line: 90 })]).results;
    expect(new Set(fingerprints).size).toBe(3);
    expect(Object.values(moved.partialFingerprints)[0]).toBe(fingerprints[0]);
  });

  it('gives each rule its help and the address of its page', () => {
    const help = { summary: 'reads it all', markdown: '# a', page: 'docs/a.md', url: 'https://a/' };
    const place = { ...PLACE, findHelp: (code: string) => (code === 'a' ? help : undefined) };
    const problems = [
      { ...PROBLEM, code: 'a' },
      { ...PROBLEM, code: 'b-c' },
    ];
    const log = JSON.parse(renderPipeline('sarif', report(problems), place));
    expect(log.runs[0].tool.driver.rules).toEqual([
      {
        id: 'a',
        shortDescription: { text: 'a' },
        fullDescription: { text: 'reads it all' },
        helpUri: 'https://a/',
        help: { text: 'reads it all\nhttps://a/', markdown: '# a' },
      },
      { id: 'b-c', shortDescription: { text: 'b c' } },
    ]);
  });

  it('writes paths as URIs', () => {
    const [result] = log([at({ file: 'a b/ü#1.sql' })]).results;
    expect(result.locations[0].physicalLocation.artifactLocation.uri).toBe(
      'services/api/a%20b/%C3%BC%231.sql',
    );
  });
});

describe('GitHub annotations', () => {
  it('stand on the line of the file, with title, message and hint', () => {
    expect(render('github', [PROBLEM]).split('\n')[0]).toBe(
      '::error file=services/api/migrations/002_events.sql,line=3,col=7,title=evdb%3A set-not-null::scans public.events%0AValidate a check first.',
    );
  });

  it('let no text become a command or a property of its own', async () => {
    const message = 'a\n::set-output name=x::y\r100%';
    const text = render('github', [{ ...at({ file: 'a,b::c.sql' }), message }], {
      summary: '::stop-commands::x',
    });
    expect(text).not.toMatch(/^::(set-output|stop-commands)/m);
    expect(text).toContain('file=services/api/a%2Cb%3A%3Ac.sql,');
    expect(text).toContain('%0D100%25');
    expect(await checkGithub(text)).toEqual([]);
  });
});

describe('the GitLab report', () => {
  it('has all that GitLab asks for, also for a problem without a file', async () => {
    const { location, ...placeless } = PROBLEM;
    const text = render('gitlab', [PROBLEM, PROBLEM, placeless]);
    expect(await checkGitlab(text)).toEqual([]);
    expect(JSON.parse(text)[0].description).toBe(`${PROBLEM.message}. ${PROBLEM.hint}`);
    expect(JSON.parse(text)[2].location).toEqual({
      path: 'services/api/package.json',
      lines: { begin: 1 },
    });
  });
});

describe('the JUnit report', () => {
  it('counts a case a check, and only errors as failures', () => {
    const text = render('junit', [
      { ...PROBLEM, check: '001_users', severity: 'warning' },
      PROBLEM,
    ]);
    expect(text).toContain('tests="2" failures="1" errors="0" skipped="0"');
    expect(text).toMatch(/name="001_users">\s*<system-out>warning set-not-null/);
    expect(text).toMatch(/name="002_events">\s*<failure type="set-not-null" message="scans /);
  });

  it('leaves nothing in that XML cannot hold', () => {
    const message = 'a\u0000b\u001b[31m <&"> \ud800 🎟';
    const text = render('junit', [{ ...PROBLEM, message }]);
    expect(text).toContain('a\ufffdb\ufffd[31m &lt;&amp;&quot;&gt; \ufffd 🎟');
  });

  it('says why something was not looked at', () => {
    const text = render('junit', [], { checks: [{ name: 'a', skipped: 'no <database>' }] });
    expect(text).toContain('<skipped>no &lt;database&gt;</skipped>');
    expect(text).toContain('failures="0" errors="0" skipped="1"');
  });
});

describe('the comment', () => {
  it('begins with a marker by which the next run finds it', () => {
    expect(render('markdown', []).split('\n').slice(0, 2)).toEqual([
      '<!-- evdb lint -->',
      '### ✅ evdb lint',
    ]);
  });

  it('shows errors first, with place, excerpt and hint', () => {
    const warning: PipelineFinding = { ...PROBLEM, severity: 'warning', code: 'other' };
    const text = render('markdown', [warning, at({ excerpt: 'a ``` b' })]);
    expect(text.indexOf('set-not-null')).toBeLessThan(text.indexOf('other'));
    expect(text).toContain(
      '`services/api/migrations/002_events.sql:3` **set-not-null**: scans public.events',
    );
    expect(text).toContain('````\na ``` b\n````');
    expect(text).toContain('> Validate a check first.');
  });

  it('mentions nobody and holds no markup of others', () => {
    const text = render('markdown', [{ ...PROBLEM, message: '@admin <img src=x> [a](b)' }]);
    expect(text).not.toContain('@admin');
    expect(text).not.toContain('<img');
    expect(text).not.toContain('[a](b)');
  });

  it('stays below what GitHub takes', () => {
    const text = render('markdown', Array(2000).fill({ ...PROBLEM, message: 'x'.repeat(100) }));
    expect(text.length).toBeLessThan(65_536);
    expect(text).toMatch(/… and \d+ more/);
  });
});
