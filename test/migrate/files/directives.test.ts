import { describe, expect, it } from 'vitest';
import {
  parseDirectives,
  refuseMisplacedDirectives,
} from '../../../src/migrate/files/directives.ts';
import { renderReplaces } from '../../../src/migrate/files/replaces.ts';

const parse = (text: string) => parseDirectives(text, 'migrations/001_a.sql');
const refuse = (text: string) => refuseMisplacedDirectives(text, 'migrations/001_a.sql');

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
    ['below a licence in a block', '/* licence\n * of us */\n-- evdb: no-transaction\nvacuum;'],
    ['below nested blocks', '/* a /* b */ select 1; */ -- evdb: no-transaction\nvacuum;'],
    ['below what pg_dump writes', '\\restrict abc\n\n-- evdb: no-transaction\nvacuum;'],
    ['below an empty statement', ';\n-- evdb: no-transaction\nvacuum;'],
    ['in capitals', '-- EVDB: No-Transaction\nvacuum;'],
    ['behind a no-break space', '--\u00a0evdb:\u00a0no-transaction\nvacuum;'],
    ['behind a space of no width', '-- \u200bevdb: no-transaction\nvacuum;'],
    ['with a space before the colon', '-- evdb : no-transaction\nvacuum;'],
    ['behind a byte order mark', '\uFEFF-- evdb: no-transaction\nvacuum;'],
    ['between the line ends of old Macs', '-- a\r-- evdb: no-transaction\rvacuum;'],
    ['as a block', '/* evdb: no-transaction */ vacuum;'],
    ['in a line of a block', '/**\n * Title\n * evdb: no-transaction\n **/\nvacuum;'],
    ['in a script of comments', '/* a */\n-- evdb: no-transaction'],
  ])('are read %s', (_, text) => {
    expect(parse(text)).toMatchObject({ noTransaction: true });
    refuse(text);
  });

  it('take units and rules in any case', () => {
    expect(parse('-- evdb: LOCK-TIMEOUT 2S\n-- evdb: ignore A-Rule: Meant')).toMatchObject({
      lockTimeoutMs: 2000,
      ignoredRules: [{ rule: 'a-rule', reason: 'Meant' }],
    });
  });

  it.each([
    "select '\n-- evdb: no-transaction\n'",
    'select 1 as "\n-- evdb: no-transaction\n"',
    'do $$\n-- evdb: no-transaction\nbegin end $$;',
    'copy t from stdin;\n-- evdb: no-transaction\n\\.\n',
    '-- see evdb: no-transaction',
    '-- evdb runs this without a transaction',
    '-- evdb-ledger: what is applied',
    '/* the way of evdb: each file once */',
    '-- no-transaction',
    '',
  ])('are not looked for in %j', (text) => {
    expect(parse(text)).toEqual({ noTransaction: false, ignoredRules: [] });
    refuse(text);
  });

  it.each([
    ['select 1; -- evdb: no-transaction', 1, '"no-transaction" has no effect here'],
    ['select 1;\n-- EVDB: lock-timeout 2s', 2, '"lock-timeout" has no effect here'],
    ['select\n/* evdb: irreversible x */ 1;', 2, '"irreversible" has no effect here'],
    ['set a.b = 1;\n-- evdb: notransaction', 2, '"notransaction" is not a directive'],
    ['select 1;\n-- evdb no-transaction', 2, '"-- evdb no-transaction" looks like a directive'],
    ['copy t from stdin;\n1\n\\.\n-- evdb: no-transaction', 4, 'has no effect here'],
    ['select 1;\n-- evdb: ignore', 2, '"ignore" needs a rule and a reason'],
  ])('are refused below the first statement: %j', (text, line, message) => {
    expect(parse(text)).toMatchObject({ noTransaction: false });
    expect(() => refuse(text)).toThrow(
      expect.objectContaining({
        code: 'DIRECTIVE_INVALID',
        message: expect.stringContaining(message),
        details: { file: 'migrations/001_a.sql', line },
      }),
    );
  });

  it('with two values for one thing are refused', () => {
    const twice = (value: string) =>
      parse(`-- evdb: lock-timeout 1s\n-- evdb: lock-timeout ${value}`);
    expect(twice('1000ms')).toMatchObject({ lockTimeoutMs: 1000 });
    expect(() => twice('2s')).toThrow('001_a.sql:2: "lock-timeout" is given a second time');
  });

  it('say what has to hold before and after', () => {
    const text = [
      '-- evdb: contract',
      '-- evdb: after backfill 014',
      '-- evdb: require select true;',
      '-- evdb: require-build checkout >= 1.8',
      '-- evdb: ensure select false',
    ].join('\n');
    expect(parse(text)).toMatchObject({
      isContract: true,
      gates: [
        { kind: 'after-backfill', version: '14', line: 2, text: 'after backfill 014' },
        { kind: 'require', query: 'select true', line: 3 },
        { kind: 'require-build', application: 'checkout', build: '1.8', line: 4 },
      ],
      ensures: [{ query: 'select false', line: 5 }],
    });
  });

  it.each([
    ['contract now', '"contract" takes no value'],
    ['after 014', '"after" needs the version of a backfill'],
    ['after backfill last', '"after" needs the version of a backfill'],
    ['require', '"require" needs one query'],
    ['require venue is null', '"require" needs one query'],
    ['require select true; drop table a', '"require" needs one query'],
    ['require delete from a', '"require" needs one query'],
    ['require-build checkout', '"require-build" needs the name of an application'],
    ['require-build checkout/api >= 1', '"require-build" needs the name of an application'],
    ['require-build checkout >= new', '"require-build" needs the name of an application'],
    ['ensure update a set b = 1', '"ensure" needs one query'],
  ])('are refused where a gate is written wrongly: %s', (line, message) => {
    expect(() => parse(`-- evdb: ${line}`)).toThrow(
      expect.objectContaining({
        code: 'DIRECTIVE_INVALID',
        message: expect.stringContaining(message),
      }),
    );
  });

  it.each(['no-transaction', 'backfill events'])(
    'refuse to ensure something where there is no one transaction: %s',
    (other) => {
      const text = `-- evdb: ensure select true\n-- evdb: ${other}`;
      expect(() => parse(text)).toThrow('"ensure" needs the one transaction');
    },
  );

  it('say which migrations a baseline replaces, a line for each squash', () => {
    const { replaces } = parse('-- evdb: replaces 001-003, 7\n-- evdb: replaces 9\nselect 1;');
    expect(replaces).toEqual([
      { text: '001-003, 7', line: 1, versions: ['1', '2', '3', '7'] },
      { text: '9', line: 2, versions: ['9'] },
    ]);
    for (const value of ['', 'x', '3-1', '1-20260101120000', '1,,2', '001 002'])
      expect(() => parse(`-- evdb: replaces ${value}\nselect 1;`)).toThrow('"replaces" needs');
    const labelled = (...labels: string[]) =>
      labels.map((label) => ({ label, version: String(Number(label)) }));
    expect(renderReplaces(labelled('001', '002', '003', '007', '009', '010'))).toBe(
      '001-003, 007, 009-010',
    );
  });

  it('to ignore a rule may stand anywhere', () => {
    refuse('select 1;\n-- evdb: ignore a-rule: meant\nselect 2; /* evdb: ignore b-rule: too */');
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
    ['-- evdb no-transaction', 'looks like a directive'],
    ['-- evdb - no-transaction', 'looks like a directive'],
    ['-- evdb:: no-transaction', 'looks like a directive'],
    ['-- evdb： no-transaction', 'looks like a directive'],
    ['-- @evdb: no-transaction', 'looks like a directive'],
    ['--- evdb: no-transaction', 'looks like a directive'],
    ['/* -- evdb: no-transaction */', 'looks like a directive'],
    ['-- evdb-no-transaction', 'looks like a directive'],
    ['-- evdb: lock-timeout=2s', '"lock-timeout=2s" is not a directive'],
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
