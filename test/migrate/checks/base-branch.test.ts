import { describe, expect, it } from 'vitest';
import { planRenames, type ScriptName } from '../../../src/migrate/checks/base-branch.ts';
import { parseVersion } from '../../../src/migrate/files/version.ts';

const NOW = new Date('2026-03-04T05:06:07Z');

function scripts(...fileNames: string[]): ScriptName[] {
  return fileNames.map((fileName) => {
    const [label = '', ...words] = fileName.replace(/\.sql$/, '').split('_');
    return { version: parseVersion(label), label, name: words.join('_'), fileName };
  });
}

function plan(here: string[], base: string[]): string[] {
  return planRenames(scripts(...here), scripts(...base), NOW).map(
    ({ script, reason, other, newFileName }) =>
      `${script.fileName} ${reason} ${other.fileName} → ${newFileName}`,
  );
}

describe('a branch whose migrations', () => {
  it('come after those of the base needs no renames', () => {
    expect(plan(['001_a.sql', '002_b.sql', '003_c.sql'], ['001_a.sql', '002_b.sql'])).toEqual([]);
  });

  it('are those of an older base needs no renames', () => {
    expect(plan(['001_a.sql'], ['001_a.sql', '002_b.sql'])).toEqual([]);
  });

  it('use a version of the base is told the next free one', () => {
    expect(plan(['001_a.sql', '002_mine.sql'], ['001_a.sql', '002_b.sql', '003_c.sql'])).toEqual([
      '002_mine.sql collision 002_b.sql → 004_mine.sql',
    ]);
  });

  it('compare as numbers, so 2 collides with 002', () => {
    expect(plan(['2_mine.sql'], ['001_a.sql', '002_b.sql'])).toEqual([
      '2_mine.sql collision 002_b.sql → 003_mine.sql',
    ]);
  });

  it('fall behind the base move to its end', () => {
    expect(plan(['001_a.sql', '015_mine.sql'], ['001_a.sql', '020_b.sql'])).toEqual([
      '015_mine.sql behind 020_b.sql → 021_mine.sql',
    ]);
  });

  it('keep the order that they have among themselves', () => {
    expect(plan(['002_x.sql', '003_y.sql', '004_z.sql'], ['001_a.sql', '002_b.sql'])).toEqual([
      '002_x.sql collision 002_b.sql → 003_x.sql',
      '003_y.sql overtaken 003_x.sql → 004_y.sql',
      '004_z.sql overtaken 004_y.sql → 005_z.sql',
    ]);
  });

  it('lie far enough ahead stay where they are', () => {
    expect(plan(['002_x.sql', '010_y.sql'], ['001_a.sql', '002_b.sql'])).toEqual([
      '002_x.sql collision 002_b.sql → 003_x.sql',
    ]);
  });

  it('have times for versions get the time of now, and one second each', () => {
    const base = ['20260101000000_a.sql', '20260201000000_b.sql'];
    expect(plan(['20260115000000_x.sql', '20260116000000_y.sql'], base)).toEqual([
      '20260115000000_x.sql behind 20260201000000_b.sql → 20260304050607_x.sql',
      '20260116000000_y.sql behind 20260201000000_b.sql → 20260304050608_y.sql',
    ]);
  });

  it('are the first ones meet an empty base', () => {
    expect(plan(['001_a.sql'], [])).toEqual([]);
  });
});
