import { describe, expect, it } from 'vitest';
import { parseReplaces, type Replaces } from '../../../src/migrate/files/replaces.ts';
import type { MigrationFile } from '../../../src/migrate/files/source.ts';
import {
  findReplacements,
  oldFilesCommand,
  partialBaseline,
  problemOfBaseline,
  squashedFolder,
} from '../../../src/migrate/plan/replaced.ts';
import { fileOf, rowOf, saidBy } from './plan-kit.ts';

const lines = (...texts: string[]) =>
  texts.map((text, at) => parseReplaces(text, at + 1) as Replaces);

const baseline = (version: string) => fileOf(version, 'baseline');

/** Each baseline found, with what it says, has and lacks; `5*` is a row of a baseline that ran. */
function find(
  headers: Record<string, string[]>,
  versions: string[],
  rows: string[],
): { found: string[]; asked: string[] } {
  const asked: string[] = [];
  const files = versions.map((version) => (headers[version] ? baseline(version) : fileOf(version)));
  const replacements = findReplacements(
    files,
    rows.map((text) => {
      const [, version = '', mark] = /^(\d+)(.?)$/.exec(text) ?? [];
      return rowOf(version, {
        ...(mark === '*' && { name: 'baseline' }),
        ...(mark === '?' && { state: 'applying' }),
      });
    }),
    ({ version }: MigrationFile) => {
      asked.push(version);
      return lines(...(headers[version] ?? []));
    },
  );
  const found = [...replacements].map(([version, { text, rows, lacking }]) => {
    const has = rows.map((row) => row.version).join();
    return `${version}: ${text} has ${has} lacks ${lacking.join()}`.trim();
  });
  return { found, asked };
}

describe('a baseline', () => {
  it('is found by the rows of what it replaces', () => {
    expect(find({ 3: ['1-3'] }, ['3'], ['1', '2', '3'])).toEqual({
      ...{ found: ['3: 1-3 has 1,2,3 lacks'], asked: ['3'] },
    });
    expect(find({ 3: ['1-3'] }, ['3', '4'], ['1', '3']).found).toEqual(['3: 1-3 has 1,3 lacks 2']);
    expect(find({ 10: ['1-10'] }, ['10'], ['2', '9']).found).toEqual([
      '10: 1-10 has 2,9 lacks 1,3,4,5,6,7,8,10',
    ]);
  });

  it('lacks what stopped half way', () => {
    expect(find({ 3: ['1-3'] }, ['3'], ['1', '2?', '3']).found).toEqual([
      '3: 1-3 has 1,2,3 lacks 2',
    ]);
  });

  it('is not one where nothing of what it replaces is there, or only itself ran', () => {
    expect(find({ 3: ['1-3'] }, ['3'], []).found).toEqual([]);
    expect(find({ 3: ['1-3'] }, ['3'], ['3*']).found).toEqual([]);
    expect(find({ 5: ['4-5'] }, ['5'], ['1']).found).toEqual([]);
    expect(find({ 3: ['2-3'] }, ['3'], ['1', '3*'])).toEqual({ found: [], asked: ['3'] });
    expect(find({ 3: ['1-3'] }, ['3'], ['1', '3*']).found).toEqual(['3: 1-3 has 1,3 lacks 2']);
  });

  it('is looked for no further than rows without a file, or of another name', () => {
    expect(find({}, ['1', '2'], ['1', '2']).asked).toEqual([]);
    expect(find({}, ['1', '2', '4'], ['3']).asked).toEqual(['4']);
    expect(find({ 3: ['1-3'] }, ['3', '4', '5'], ['1', '2', '3']).asked).toEqual(['3']);
    expect(find({ 3: ['3'] }, ['3'], ['3']).asked).toEqual(['3']);
    expect(find({ 3: ['1-3'], 5: ['4-5'] }, ['3', '5'], ['1', '2', '3', '4']).asked).toEqual([
      ...['3', '5'],
    ]);
  });

  it('that takes the place of another lacks nothing of what that one has, or began with', () => {
    const headers = { 5: ['1-3', '3-5'] };
    expect(find(headers, ['5'], ['1', '2', '3', '4', '5']).found).toEqual([
      '5: 1-3, 3-5 has 1,2,3,4,5 lacks',
    ]);
    // Began with the baseline of 3, so 1 and 2 never ran.
    expect(find(headers, ['5'], ['3', '4', '5']).found).toEqual(['5: 1-3, 3-5 has 3,4,5 lacks']);
    expect(find(headers, ['5'], ['2', '3', '4', '5']).found).toEqual([
      '5: 1-3, 3-5 has 2,3,4,5 lacks 1',
    ]);
    expect(find(headers, ['5'], ['1', '2', '3', '5']).found).toEqual([
      '5: 1-3, 3-5 has 1,2,3,5 lacks 4',
    ]);
    expect(find(headers, ['5'], ['1']).found).toEqual(['5: 1-3, 3-5 has 1 lacks 2,3,4,5']);
  });
});

it('moves what a baseline replaces beside it', () => {
  expect(squashedFolder({ upPath: '/db/003_baseline.sql', label: '003' })).toBe('/db/squashed/003');
  const file = { ...baseline('3'), upPath: `${process.cwd()}/db/003_baseline.sql` };
  expect(oldFilesCommand(file)).toBe('evdb migrate up --migrations-dir db/squashed/003');
  expect(oldFilesCommand(file, 'down')).toBe('evdb migrate down --migrations-dir db/squashed/003');
});

describe('a baseline of which only some is there', () => {
  const file = { ...baseline('3'), upPath: `${process.cwd()}/db/003_baseline.sql` };
  const rows = [rowOf('1'), rowOf('2', { state: 'applying' })];
  const replaced = { text: '001-003', rows, lacking: ['2', '3'] };
  const said = (command?: 'up' | 'down') =>
    saidBy(() => {
      throw partialBaseline({ ...file, file, replaced }, command);
    });

  it('is refused with the way on', () => {
    expect(said()).toEqual({
      code: 'PARTIAL_BASELINE',
      text: '003_baseline replaces 001-003, and this database has only 001 of that; Apply the others with the old files, then run this again: `evdb migrate up --migrations-dir db/squashed/003`. If that folder is gone, get the files from version control.',
      details: { version: '3', lacking: ['2', '3'] },
    });
    expect(said('down').text).toContain(
      'Roll them back with the old files: `evdb migrate down --migrations-dir db/squashed/003`.',
    );
    const { text, details } = saidBy(() => {
      throw partialBaseline({ label: '003', name: 'baseline' });
    });
    expect(text).toBe(
      '003_baseline replaces , and this database has only  of that; Its file is not here: restore it.',
    );
    expect(details).toEqual({ version: undefined, lacking: [] });
  });
});

describe('a baseline and the other files of its folder', () => {
  const file = { ...baseline('3'), upPath: `${process.cwd()}/db/003_baseline.sql` };
  const problem = (header: Replaces[] | undefined, ...others: string[]) =>
    saidBy(() => {
      const error = problemOfBaseline(file, header, [file, ...others.map((one) => fileOf(one))]);
      if (error) throw error;
    });

  it('fit where what it replaces is gone, and it ends with its own version', () => {
    expect(problem(undefined, '1').code).toBe('planned');
    expect(problem(lines('1-3'), '4').code).toBe('planned');
    expect(problem(lines('1-2', '2-3')).code).toBe('planned');
  });

  it('do not fit where it ends elsewhere', () => {
    const [, second] = lines('x', '001-002');
    expect(problem([second as Replaces])).toEqual({
      code: 'DIRECTIVE_INVALID',
      text: 'db/003_baseline.sql:2: "replaces 001-002" does not end with 003, the version of the file; A baseline takes the version of the newest migration that it replaces.',
      details: { file: file.upPath, line: 2 },
    });
    expect(problem([]).text).toContain('db/003_baseline.sql:1: "replaces "');
  });

  it('do not fit where what it replaces is still here', () => {
    expect(problem(lines('1-3'), '1')).toEqual({
      code: 'REPLACED_MIGRATION',
      text: '001_m is still here, and 003_baseline replaces it; Move them to db/squashed/003, or remove the baseline.',
      details: { file: file.upPath, versions: ['1'] },
    });
    expect(problem(lines('1-3'), '1', '2', '4')).toMatchObject({
      text: expect.stringContaining(
        '001_m and 1 more are still here, and 003_baseline replaces them;',
      ),
      details: { versions: ['1', '2'] },
    });
  });
});
