import { describe, expect, it } from 'vitest';
import type { DoctorCheckReport, DoctorReport } from '../../src/doctor/doctor.ts';
import { renderDoctor } from '../../src/doctor/report.ts';
import { PLAIN, type Style } from '../../src/report/table.ts';

const check = (facts: Partial<DoctorCheckReport>): DoctorCheckReport => ({
  check: 'connection-limit',
  group: 'connections',
  status: 'ok',
  summary: '12 of 97 connections are taken',
  isEstimated: false,
  durationMs: 1,
  ...facts,
});

const report: DoctorReport = {
  checks: [
    check({}),
    check({
      check: 'idle-in-transaction',
      status: 'critical',
    }),
    check({
      group: 'indexes',
      check: 'duplicate-indexes',
      status: 'ok',
      summary: 'all that was found is ignored',
      isEstimated: true,
    }),
    check({
      group: 'event-schema',
      check: 'business-rules',
      status: 'skipped',
      summary: 'there is no event schema',
    }),
  ],
  counts: { ok: 2, warning: 0, critical: 1, unknown: 0, skipped: 1 },
  findings: [
    {
      code: 'idle-in-transaction',
      severity: 'error',
      message: 'api of app (pid 7) has been idle in a transaction for 20 min',
      objects: ['app'],
      fix: 'select pg_terminate_backend(7);',
    },
    {
      code: 'idle-in-transaction',
      severity: 'unknown',
      message: 'states of other sessions are hidden\n\u001b[31mfrom app',
      objects: [],
      fix: 'grant pg_read_all_stats to "app";',
    },
  ],
  suppressed: [
    {
      code: 'duplicate-indexes',
      severity: 'warning',
      message: 'index public.a_idx does nothing',
      objects: ['public.a_idx'],
      reason: 'next release',
      until: '2027-03-31',
    },
  ],
};

describe('the report of doctor', () => {
  it('shows groups, symbols with words, reasons, fixes and what is ignored', () => {
    expect(renderDoctor(report, { style: PLAIN })).toBe(
      `connections
  ✓ ok       connection-limit: 12 of 97 connections are taken
  ✗ critical idle-in-transaction
    api of app (pid 7) has been idle in a transaction for 20 min
      fix: select pg_terminate_backend(7);
    ? states of other sessions are hidden \\u{1b}[31mfrom app
      fix: grant pg_read_all_stats to "app";

indexes
  ✓ ok       duplicate-indexes: all that was found is ignored; sizes are estimated, because another session holds a lock; 1 ignored
    ignored until 2027-03-31 (next release): index public.a_idx does nothing

event-schema
  - skipped  business-rules: there is no event schema

4 checks: 1 critical, 2 ok, 1 skipped; 1 finding ignored`,
    );
  });

  it('keeps to 40 columns', () => {
    const lines = renderDoctor(report, { style: PLAIN, width: 40 }).split('\n');
    const long = lines.filter((line) => line.length > 40 && line.trim().includes(' '));
    expect(long.filter((line) => !line.includes('checks:'))).toEqual([]);
    expect(lines.join(' ').replace(/\s+/g, ' ')).toContain(
      'api of app (pid 7) has been idle in a transaction for 20 min',
    );
  });

  it('shows ten findings of a check, and all with --full', () => {
    const one = {
      checks: [check({ status: 'warning' })],
      counts: { ...report.counts, warning: 1 },
      findings: Array.from({ length: 12 }, (_, index) => ({
        code: 'connection-limit',
        severity: 'warning' as const,
        message: `finding ${index + 1}`,
        objects: [],
      })),
      suppressed: [],
    };
    const text = renderDoctor(one, { style: PLAIN });
    expect(text).toContain('finding 10\n    … and 2 more: --full shows all');
    expect(text).not.toContain('finding 11');
    expect(renderDoctor(one, { style: PLAIN, full: true })).toContain('finding 12');
  });

  it('colours what is wrong, and keeps the columns straight', () => {
    const mark = (name: string) => (text: string) => `<${name}>${text}</${name}>`;
    const style: Style = {
      bold: mark('b'),
      dim: mark('dim'),
      good: mark('good'),
      warn: mark('warn'),
      bad: mark('bad'),
    };
    const text = renderDoctor(report, { style });
    expect(text).toContain('  <bad>✗ critical</bad> idle-in-transaction');
    expect(text).toContain('  <good>✓ ok      </good> connection-limit');
    expect(text).toContain('<b>fix:</b> select');
    expect(text).toContain('<bad>1 critical</bad>');
  });

  it('is a table in Markdown, a row for each finding', () => {
    const text = renderDoctor(report, { style: PLAIN, format: 'markdown' });
    expect(text).toContain('| Group | Check | Status | Reason | Fix |');
    expect(text).toContain('| connections | idle-in-transaction | ✗ critical | api of app');
    expect(text).toContain('| connections | idle-in-transaction | ? unknown | states of other');
    expect(text.split('\n').filter((line) => line.startsWith('| '))).toHaveLength(7);
  });
});
