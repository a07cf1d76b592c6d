import { describe, expect, it } from 'vitest';
import { scriptFromText } from '../../../src/migrate/files/source.ts';
import { statementChecksum } from '../../../src/migrate/ledger/journal.ts';
import type { LedgerRow } from '../../../src/migrate/ledger/ledger.ts';
import { readResumePoint } from '../../../src/migrate/plan/resume-point.ts';
import { splitStatements } from '../../../src/sql/statements.ts';
import { rowOf, saidBy } from './plan-kit.ts';

const HEADER = '-- evdb: no-transaction\n';
const TEXT = `${HEADER}vacuum a;\nvacuum b;\nvacuum c;`;
const checksumsOf = (text: string) => {
  const script = scriptFromText('/db/1_m.sql', text);
  return splitStatements(text).map((statement) => statementChecksum(script, statement));
};

function resume(
  text: string,
  row: Partial<LedgerRow> | undefined,
  direction: 'up' | 'down' = 'up',
) {
  const known = { state: 'applying' as const, statementChecksums: checksumsOf(TEXT) };
  const status = {
    ...{ version: '1', label: '001', name: 'm', state: 'incomplete' as const },
    ...(row && { row: rowOf('1', { ...known, statementsDone: 2, ...row }) }),
  };
  return readResumePoint(
    { direction, status },
    scriptFromText('/db/1_m.sql', text),
    splitStatements(text),
  );
}

describe('a script without a transaction that stopped half way', () => {
  it('goes on behind what is done', () => {
    expect(resume(TEXT, {})).toEqual({ statementsDone: 2, isNextStarted: false });
    expect(resume(TEXT, { statementStarted: 3 })).toEqual({
      ...{ statementsDone: 2, isNextStarted: true },
    });
    expect(resume(TEXT, { statementsDone: 0 })).toEqual({
      statementsDone: 0,
      isNextStarted: false,
    });
  });

  it('begins anew where nothing of this direction was begun', () => {
    expect(resume(TEXT, undefined)).toBeUndefined();
    expect(resume(TEXT, { state: 'applied' })).toBeUndefined();
    expect(resume(TEXT, { state: 'reverting' })).toBeUndefined();
    expect(resume(TEXT, {}, 'down')).toBeUndefined();
    expect(resume(TEXT, { state: 'reverting' }, 'down')).toEqual({
      ...{ statementsDone: 2, isNextStarted: false },
    });
  });

  it('may differ in comments, and in what has not run yet', () => {
    const later = TEXT.replace('vacuum c', 'vacuum d, e').replace('vacuum a', 'vacuum /* x */ a');
    expect(resume(later, {})).toEqual({ statementsDone: 2, isNextStarted: false });
  });

  it('is refused where what has run is another statement now, or gone', () => {
    expect(saidBy(() => resume(TEXT.replace('vacuum b', 'vacuum x'), {}))).toMatchObject({
      code: 'CHANGED_MIGRATION',
      text: expect.stringMatching(
        /statement 2 of 001_m is a different one now, after it ran; Put its old text back: what has run cannot be changed.*`evdb migrate down` rolls/,
      ),
      details: { isInterrupted: true },
    });
    expect(saidBy(() => resume(`${HEADER}vacuum a;`, {})).text).toContain(
      'statement 2 of 001_m is no longer in the file, after it ran',
    );
    expect(saidBy(() => resume(TEXT.replace('vacuum a', 'vacuum x'), {})).text).toContain(
      'statement 1 of 001_m is a different one now, after it ran',
    );
  });

  it('says of one that was begun how to settle it', () => {
    const begun = { statementStarted: 3 };
    const said = saidBy(() => resume(TEXT.replace('vacuum c', 'vacuum x'), begun));
    expect(said.text).toContain('statement 3 of 001_m is a different one now, after it was begun');
    expect(said.text).toContain('evdb migrate repair 001 --as not-done');
    expect(saidBy(() => resume(`${HEADER}vacuum a; vacuum b;`, begun)).text).toContain(
      'statement 3 of 001_m is no longer in the file, after it was begun',
    );
  });

  it('is refused where its header has changed', () => {
    expect(saidBy(() => resume(TEXT.replace(HEADER, ''), {}))).toMatchObject({
      code: 'CHANGED_MIGRATION',
      text: expect.stringMatching(
        /001_m stopped half way, and now no longer says that it runs without a transaction; Put the line back .* -- evdb: no-transaction/,
      ),
      details: { isInterrupted: true },
    });
    const backfill = { statementChecksums: ['backfill:abc'] };
    expect(saidBy(() => resume(TEXT, backfill))).toMatchObject({
      code: 'CHANGED_MIGRATION',
      text: expect.stringMatching(
        /001_m stopped halfway as a backfill, and its file no longer says that it is one; Put the line `-- evdb: backfill …` back/,
      ),
      details: { isInterrupted: true },
    });
  });

  it('points at the statement', () => {
    try {
      resume(TEXT.replace('vacuum b', 'vacuum x'), {});
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({ location: { line: 3, column: 1 } });
    }
    for (const row of [{ statementChecksums: ['backfill:abc'] }, {}]) {
      try {
        resume('\nvacuum a', row);
        expect.unreachable();
      } catch (error) {
        expect(error).toMatchObject({ location: { line: 1, column: 1 } });
      }
    }
  });

  it('cannot go on where an older evdb wrote nothing down', () => {
    expect(saidBy(() => resume(TEXT, { statementChecksums: [] }))).toEqual({
      code: 'INCOMPLETE_MIGRATION',
      text: '001_m stopped half way with an older evdb, which did not write down what had run; Roll it back with `evdb migrate down`, which runs its down script, and apply it again with `evdb migrate up`.',
      details: { version: '1' },
    });
  });
});
