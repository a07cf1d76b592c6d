import { beforeAll, describe, expect, it } from 'vitest';
import { scriptFromText } from '../../../src/migrate/files/source.ts';
import { checkStatements } from '../../../src/migrate/plan/check.ts';
import { loadSqlParser, type SqlParser } from '../../../src/sql/parser.ts';
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
