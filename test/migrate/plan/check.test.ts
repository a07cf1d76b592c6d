import { beforeAll, describe, expect, it } from 'vitest';
import { scriptFromText } from '../../../src/migrate/files/source.ts';
import { checkStatements } from '../../../src/migrate/plan/check.ts';
import { loadSqlParser, type SqlParser, UNKNOWN_TO_GRAMMAR } from '../../../src/sql/parser.ts';
import { splitStatements } from '../../../src/sql/statements.ts';

let parser: SqlParser;
beforeAll(async () => {
  parser = await loadSqlParser();
});

function check(text: string, serverVersion?: number): string[] {
  const script = scriptFromText('001_a.sql', text);
  return checkStatements(script, splitStatements(text), parser, serverVersion).map(
    ({ severity, code, line, column }) => `${severity} ${code} ${line}:${column}`,
  );
}

describe('checkStatements', () => {
  it('finds every problem of a script, in the order of the text', () => {
    expect(
      check('begin;\ncreate tabel a ();\n\\echo x\nvacuum;\ncopy a to stdout;\ncommit'),
    ).toEqual([
      'error TRANSACTION_CONTROL 1:1',
      'error SYNTAX_ERROR 2:8',
      'error PSQL_COMMAND 3:1',
      'error NEEDS_NO_TRANSACTION 4:1',
      'error COPY_UNSUPPORTED 5:1',
      'error TRANSACTION_CONTROL 6:1',
    ]);
  });

  it('only warns of what a server of another version may understand, and keeps the rest as errors', () => {
    const text = 'create tabel a ();\ncommit;\n\\echo x';
    expect(check(text, 170005)).toEqual([
      'warning SYNTAX_ERROR 1:8',
      'error TRANSACTION_CONTROL 2:1',
      'error PSQL_COMMAND 3:1',
    ]);
    expect(check(text, 180000)[0]).toBe('error SYNTAX_ERROR 1:8');
    expect(check(text, 190000)[0]).toBe('warning SYNTAX_ERROR 1:8');
    expect(check("select 'open", 190000)).toEqual(['error SYNTAX_ERROR 1:8']);
  });

  it('lets a no-transaction script hold what needs none, and nothing else', () => {
    expect(check('-- evdb: no-transaction\nvacuum;\nbegin;\ncopy t to stdout;')).toEqual([
      'error TRANSACTION_CONTROL 3:1',
      'error COPY_UNSUPPORTED 4:1',
    ]);
  });

  it('says what to do with the large objects of a dump', () => {
    const text =
      "begin;\nselect pg_catalog.lo_open('16385', 131072);\nselect pg_catalog.lowrite(0, '\\x41');\nselect pg_catalog.lo_close(0);\ncommit;";
    const hints = (script: string) =>
      checkStatements(scriptFromText('a', script), splitStatements(script), parser).map(
        ({ hint }) => hint,
      );
    expect(hints(text)).toEqual(Array(2).fill(expect.stringContaining('large objects')));
    expect(hints(text.replaceAll(/begin;\n|commit;/g, ''))).toEqual([]);
    expect(hints('begin;')).toEqual([expect.not.stringContaining('large objects')]);
  });

  it('tells copy to stdout from every other copy', () => {
    expect(check('copy (select 1) to stdout with (format csv)')).toHaveLength(1);
    expect(check('COPY t TO STDOUT')).toHaveLength(1);
    expect(check("copy t to '/tmp/stdout'")).toEqual([]);
    expect(check("copy (select 1 as to, 2 as stdout) to program 'cat'")).toEqual([]);
    expect(check("copy t from '/tmp/rows'")).toEqual([]);
  });

  it.each(['', '  \n', '-- nothing', '/* nothing */', ';;', '\\restrict abc\n\\unrestrict abc'])(
    'finds %j empty',
    (text) => {
      expect(check(text)).toEqual(['error EMPTY_FILE 1:1']);
    },
  );
});

describe('what is wrong with a script', () => {
  const said = (text: string, serverVersion?: number) =>
    checkStatements(
      scriptFromText('001_m.sql', text),
      splitStatements(text),
      parser,
      serverVersion,
    ).map(({ code, severity, message, hint }) => [code, severity, `${message}; ${hint}`]);

  it('is said with what to do about it', () => {
    expect(said('begin')).toEqual([
      [
        ...['TRANSACTION_CONTROL', 'error'],
        '"begin" in a migration: evdb begins and commits itself; Remove it: a migration is applied whole or not at all. What has to commit in between belongs in a file of its own.',
      ],
    ]);
    expect(said('copy t to stdout')).toEqual([
      [
        ...['COPY_UNSUPPORTED', 'error'],
        'copy … to stdout has no client to send its rows to; Remove it: a migration changes the database, and prints nothing.',
      ],
    ]);
    expect(said('vacuum')).toEqual([
      [
        ...['NEEDS_NO_TRANSACTION', 'error'],
        '"vacuum" cannot run inside a transaction; Move it into a migration of its own that starts with the line: -- evdb: no-transaction',
      ],
    ]);
    expect(said('')).toEqual([
      [
        ...['EMPTY_FILE', 'error'],
        '001_m.sql holds no statement; Write the SQL, or remove the file.',
      ],
    ]);
    expect(said('-- evdb: once\nselect 1')).toEqual([
      [
        ...['DIRECTIVE_INVALID', 'error'],
        '"once" is for seeds: a migration is applied one time in any case; Remove the line.',
      ],
    ]);
    expect(said('-- evdb: variables owner\nselect 1')).toEqual([
      [
        ...['DIRECTIVE_INVALID', 'error'],
        'the variable "owner" is declared and never used; Use it as :"owner" for a name or as :\'owner\' for a text, or remove it.',
      ],
    ]);
  });

  it('says of a down script, which cannot be a migration of its own, what fits it', () => {
    const sql = 'drop index concurrently i';
    const [problem] = checkStatements(
      scriptFromText('001_m.down.sql', sql),
      splitStatements(sql),
      parser,
    );
    expect(problem?.hint).toBe(
      'Start this down script with the line: -- evdb: no-transaction. Its statements then run one by one, each in effect at once.',
    );
  });

  it('is the grammar that may be too old only where no server is known', () => {
    const [, , withoutServer] = said('create tabel a ()')[0] ?? [];
    const [, , withServer] = said('create tabel a ()', 180000)[0] ?? [];
    expect(withoutServer).toContain(UNKNOWN_TO_GRAMMAR);
    expect(withServer).not.toContain(UNKNOWN_TO_GRAMMAR);
  });

  it('comes in the order of the lines, and within one from left to right', () => {
    expect(check('vacuum; begin; vacuum;\ncommit; copy t to stdout')).toEqual([
      'error NEEDS_NO_TRANSACTION 1:1',
      'error TRANSACTION_CONTROL 1:9',
      'error NEEDS_NO_TRANSACTION 1:16',
      'error TRANSACTION_CONTROL 2:1',
      'error COPY_UNSUPPORTED 2:9',
    ]);
  });

  it('is no copy inside of brackets, nor what is no copy at all', () => {
    expect(check('copy (select (1) as x) to stdout')).toHaveLength(1);
    expect(check('copy (select a to stdout) to program $$x$$').join()).not.toContain('COPY');
    expect(check('prepare to stdout').join()).not.toContain('COPY');
  });
});
