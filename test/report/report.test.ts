import { describe, expect, it } from 'vitest';
import { renderError } from '../../src/cli/output.ts';
import { EvdbError } from '../../src/errors.ts';
import type { MigrationResult } from '../../src/migrate/apply/migrator.ts';
import { renderStepDone, renderSummary, renderWarning } from '../../src/migrate/apply/report.ts';
import { renderValidation } from '../../src/migrate/checks/report.ts';
import { ScriptError } from '../../src/migrate/files/script-error.ts';
import { scriptFromText } from '../../src/migrate/files/source.ts';
import {
  type MigrationsStatus,
  renderStatus,
  type StatusEntry,
} from '../../src/migrate/plan/status.ts';
import { PLAIN, renderDiff, type Style } from '../../src/report/table.ts';
import { renderTime } from '../../src/text/units.ts';

/** Shows where a colour starts and ends. */
const MARKED: Style = {
  bold: (text) => `<b>${text}</b>`,
  dim: (text) => `<d>${text}</d>`,
  good: (text) => `<+>${text}</+>`,
  warn: (text) => `<!>${text}</!>`,
  bad: (text) => `<->${text}</->`,
};

describe('an error', () => {
  const script = scriptFromText('migrations/001_a.sql', 'select 1;\nselect missing;\n');

  it('shows its place, the line with a caret, what the server adds, and the hint last', () => {
    const error = new ScriptError(
      'MIGRATION_FAILED',
      'column "missing" does not exist',
      { script, line: 2, column: 8 },
      {
        hint: 'Mend the file.',
        server: {
          sqlstate: '42703',
          detail: 'the detail',
          hint: 'the hint',
          where: 'line 1\nline 2',
        },
      },
    );
    expect(
      renderError(error, PLAIN),
    ).toBe(`error MIGRATION_FAILED  migrations/001_a.sql:2:8: column "missing" does not exist
  2 | select missing;
    |        ^
  detail: the detail
  server's hint: the hint
  where: line 1
         line 2
  sqlstate: 42703
  hint: Mend the file.`);
  });

  it('is short where it has no place', () => {
    const error = new EvdbError('LOCKED', 'another runner is at work');
    expect(renderError(error, MARKED)).toBe(
      '<->error</-> <d>LOCKED</d>  another runner is at work',
    );
  });

  it('shows the difference of a changed file, and the end of a log', () => {
    const error = new EvdbError('CHANGED_MIGRATION', 'changed', {
      details: { diff: '--- a\n+++ b\n-old\n+new\n', logTail: ['first', 'last'] },
    });
    expect(renderError(error, PLAIN).split('\n').slice(1)).toEqual([
      '    --- a',
      '    +++ b',
      '    -old',
      '    +new',
      '  log: first',
      '  log: last',
    ]);
  });
});

describe('a run', () => {
  const step = { version: '1', label: '001', name: 'a' };
  const result = (...directions: ('up' | 'down')[]): MigrationResult => ({
    schema: 'public',
    steps: directions.map((direction) => ({ ...step, direction, durationMs: 1 })),
    pending: [],
    warnings: [],
    notices: [],
    noticesLeftOut: 0,
    durationMs: 1234,
  });

  it('is summed up in one line', () => {
    expect(renderSummary(result(), 'up')).toBe('nothing to apply: everything is applied');
    expect(renderSummary(result('up'), 'up')).toBe('applied 1 migration in 1.2 s (schema public)');
    expect(renderSummary(result('down', 'up', 'up'), 'redo')).toBe(
      'rolled back 1 migration, applied 2 migrations in 1.2 s (schema public)',
    );
  });

  it('says how to go back where the target is applied already', () => {
    expect(renderSummary(result(), 'up', '003')).toBe(
      'nothing to apply: 003 is applied already; `evdb migrate down --to 003` rolls back what is newer',
    );
  });

  it('says what a target or a number of steps left pending', () => {
    const [a, b] = [step, { version: '11', label: '011', name: 'b' }];
    expect(renderSummary({ ...result(), pending: [b] }, 'up')).toBe(
      'nothing to apply up to that version: 011_b is pending',
    );
    expect(renderSummary({ ...result(), pending: [a, b] }, 'up')).toBe(
      'nothing to apply up to that version: 001_a and 1 more are pending',
    );
    expect(renderSummary({ ...result('up'), pending: [b] }, 'up')).toBe(
      'applied 1 migration in 1.2 s (schema public), 1 still pending',
    );
  });

  it('shows each step when it is done', () => {
    const done = { step, durationMs: 12 };
    expect(renderStepDone({ ...done, direction: 'up' }, PLAIN)).toBe('applied      001_a  12 ms');
    expect(renderStepDone({ ...done, direction: 'down' }, PLAIN)).toBe('rolled back  001_a  12 ms');
  });

  it('shows a warning with its difference in colours', () => {
    const warning = { code: 'REWORDED', message: 'differs', diff: '@@\n-a\n+b\n c' } as const;
    expect(renderWarning(warning, MARKED)).toBe(`<!>warning</!>  differs
    <d>@@</d>
    <->-a</->
    <+>+b</+>
    <d> c</d>`);
  });

  it('leaves the noise of a patch out', () => {
    expect(renderDiff('====\n--- a\n-x\n\\ No newline at end of file\n', PLAIN)).toBe(
      '    --- a\n    -x',
    );
  });
});

describe('a status', () => {
  const counts = {
    ...{ applied: 0, pending: 0, reworded: 0, changed: 0, missing: 0, ahead: 0 },
    ...{ outOfOrder: 0, incomplete: 0, partial: 0 },
  };
  const appliedAt = '2026-11-22T14:03:05.678Z';
  const entry = (label: string, state: StatusEntry['state']): StatusEntry => ({
    ...{ version: label, label, name: 'm', state },
    ...(state === 'pending'
      ? { appliedAt: null, durationMs: null, origin: null }
      : { appliedAt, durationMs: 7, origin: 'applied' }),
  });
  const countStates = (entries: StatusEntry[]) => {
    const counted = { ...counts };
    for (const { state } of entries) counted[state] += 1;
    return counted;
  };
  const status = (migrations: StatusEntry[]): MigrationsStatus => ({
    schema: 'public',
    hasLedger: true,
    migrations,
    counts: countStates(migrations),
  });

  it('is a table, a line that counts, and the meaning of what is not plain', () => {
    const entries = [entry('001', 'applied'), entry('002', 'changed'), entry('3', 'pending')];
    const time = renderTime(appliedAt);
    expect(renderStatus(status(entries), { style: PLAIN })).toBe(
      `version  name  state    applied              took
001      m     applied  ${time}  7 ms
002      m     changed  ${time}  7 ms
3        m     pending  -                       -

3 migrations in schema public: 1 applied, 1 pending, 1 changed
changed: the SQL of the file differs from what was applied`,
    );
  });

  it('tells how far an interrupted one came', () => {
    const progress = { statementsDone: 1, statementsTotal: 3 };
    const incomplete = { ...entry('001', 'incomplete'), appliedAt: null, progress };
    expect(renderStatus(status([incomplete]), { style: PLAIN })).toContain(
      '001      m     incomplete (1 of 3)  -           -\n',
    );
  });

  it('leaves out the oldest plain ones where it is asked to, and says so', () => {
    const entries = [
      ...[entry('1', 'applied'), entry('2', 'changed'), entry('3', 'applied')],
      ...[entry('4', 'applied'), entry('5', 'pending')],
    ];
    const shown = renderStatus(status(entries), { style: PLAIN, appliedLimit: 1 });
    expect(shown).toMatch(/^… 2 earlier ones are applied \(--all shows them\)\nversion/);
    expect(shown.match(/^\d(?= )/gm)?.slice(0, 3)).toEqual(['2', '4', '5']);
    expect(renderStatus(status(entries), { style: PLAIN, appliedLimit: 3 })).not.toContain('…');
  });
});

describe('a validation', () => {
  it('says that there is nothing to say', () => {
    expect(
      renderValidation(
        { migrations: 2, files: [], findings: [], suppressed: [], skipped: [] },
        PLAIN,
      ),
    ).toBe('2 migrations checked: no problems');
  });

  it('lists findings with their places, and what was skipped', () => {
    expect(
      renderValidation(
        {
          migrations: 1,
          files: [],
          findings: [
            {
              ...{ severity: 'error', code: 'SYNTAX_ERROR', message: 'syntax error' },
              location: {
                ...{ file: 'migrations/001_a.sql', line: 3, column: 5 },
                excerpt: '  3 | creat\n    |     ^',
              },
              objects: [],
              hint: 'Mend it.',
            },
            {
              ...{ severity: 'warning', code: 'NO_DOWN', message: 'no way back' },
              ...{ location: { file: 'f.sql' }, objects: [] },
            },
          ],
          suppressed: [],
          skipped: [{ check: 'the ledger', reason: 'no database' }],
        },
        PLAIN,
      ),
    ).toBe(`error SYNTAX_ERROR  migrations/001_a.sql:3:5: syntax error
  3 | creat
    |     ^
  hint: Mend it.
warning NO_DOWN  f.sql: no way back
skipped  the ledger: no database
1 migration checked: 1 error, 1 warning`);
  });
});
