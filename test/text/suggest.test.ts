import { describe, expect, it } from 'vitest';
import { renderState, renderSuggestion, suggestName } from '../../src/text/words.ts';

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

it('takes the first of several that are as near', () => {
  expect(suggestName('ab', ['ax', 'ay'])).toBe('ax');
});

it('suggests nothing for what is too long to be a typing mistake', () => {
  const name = 'a'.repeat(63);
  expect(suggestName(`${name}b`, [name])).toBe(name);
  expect(suggestName(`${name}bc`, [name])).toBeUndefined();
});

it('ends a message with what was most likely meant', () => {
  expect(renderSuggestion('shema', ['schema'])).toBe('; did you mean "schema"?');
  expect(renderSuggestion('x', ['schema'])).toBe('');
});

it('writes a state as people read it', () => {
  expect(renderState('outOfOrder')).toBe('out-of-order');
  expect(renderState('applied')).toBe('applied');
});
