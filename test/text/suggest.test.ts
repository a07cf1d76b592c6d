import { describe, expect, it } from 'vitest';
import { suggestName } from '../../src/text/words.ts';

describe('suggestName', () => {
  const known = ['url', 'migrationUrl', 'migrationsDir', 'schema', 'searchPath'];

  it.each([
    ['migrationDir', 'migrationsDir'],
    ['migrations_dir', 'migrationsDir'],
    ['SCHEMA', 'schema'],
    ['shcema', 'schema'],
    ['uri', 'url'],
    ['password', undefined],
    ['x', undefined],
    ['', undefined],
    ['a'.repeat(10_000), undefined],
  ])('suggests for %s the name %s', (name, suggestion) => {
    expect(suggestName(name, known)).toBe(suggestion);
  });
});
