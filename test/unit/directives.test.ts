import { describe, expect, it } from 'vitest';
import { parseDirectives } from '../../src/migrate/directives.ts';

const parse = (text: string) => parseDirectives(text, 'migrations/001_a.sql');

describe('the directives', () => {
  it('are read from the comments before the first statement', () => {
    const text = `-- A title

--evdb: no-transaction
  -- evdb:  irreversible the rows are merged
-- evdb: lock-timeout 2s
-- evdb: statement-timeout 1.5min
-- evdb: ignore add-column-default: the table is empty
select 1;`;
    expect(parse(text)).toEqual({
      noTransaction: true,
      irreversible: 'the rows are merged',
      lockTimeoutMs: 2000,
      statementTimeoutMs: 90_000,
      ignoredRules: [{ rule: 'add-column-default', reason: 'the table is empty', line: 7 }],
    });
  });

  it('ignore several rules for one reason', () => {
    const { ignoredRules } = parse('-- evdb: ignore a-rule, b-rule: both are meant');
    expect(ignoredRules.map(({ rule }) => rule)).toEqual(['a-rule', 'b-rule']);
  });

  it.each([
    'select 1; -- evdb: no-transaction',
    'select 1;\n-- evdb: no-transaction',
    "select '\n-- evdb: no-transaction\n'",
    '-- see evdb: no-transaction',
    '-- no-transaction',
    '',
  ])('are not looked for in %j', (text) => {
    expect(parse(text)).toEqual({ noTransaction: false, ignoredRules: [] });
  });

  it.each([
    ['500ms', 500],
    ['2s', 2000],
    ['2 s', 2000],
    ['10min', 600_000],
    ['1h', 3_600_000],
    ['0.5s', 500],
  ])('take a timeout of %s', (value, lockTimeoutMs) => {
    expect(parse(`-- evdb: lock-timeout ${value}`)).toMatchObject({ lockTimeoutMs });
  });

  it.each([
    ['-- evdb: lock-timeout', '"lock-timeout" needs a duration above zero, not ""'],
    ['-- evdb: lock-timeout 0s', 'not "0s"'],
    ['-- evdb: lock-timeout 0.1ms', 'not "0.1ms"'],
    ['-- evdb: statement-timeout 10', 'not "10"'],
    ['-- evdb: statement-timeout -1s', 'not "-1s"'],
    ['-- evdb: no-transaction please', '"no-transaction" takes no value'],
    ['-- evdb: irreversible', '"irreversible" needs a reason'],
    ['-- evdb: ignore', '"ignore" needs a rule and a reason'],
    ['-- evdb: ignore some-rule', '"ignore" needs a rule and a reason'],
    ['-- evdb: notransaction', '"notransaction" is not a directive'],
    ['-- evdb:', '"" is not a directive'],
  ])('are refused with their line: %s', (line, message) => {
    expect(() => parse(`-- title\n${line}\nselect 1;`)).toThrow(
      expect.objectContaining({
        code: 'DIRECTIVE_INVALID',
        message: expect.stringContaining(message),
        details: { file: 'migrations/001_a.sql', line: 2 },
      }),
    );
  });
});
