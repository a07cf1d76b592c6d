import { describe, expect } from 'vitest';
import { openSession } from '../../../src/connection/session.ts';
import { migrateUp } from '../../../src/index.ts';
import { isAcceptedByServer } from '../../../src/migrate/files/file-errors.ts';
import { failUp, type MigrateStage, test } from '../../support/migrate-kit.ts';

async function expectUntouched(stage: MigrateStage): Promise<void> {
  const rows = await stage.sql`
    select nspname from pg_namespace where nspname = 'evdb'
    union all
    select relname from pg_class where relnamespace = 'public'::regnamespace`;
  expect(rows).toEqual([]);
}

describe('a failing statement', () => {
  test('is reported with file, line, column, excerpt, detail, hint and SQLSTATE', async ({
    stage,
  }) => {
    await stage.migration(
      '001_a',
      `create table a (id int constraint a_pkey primary key);\n
do $$ begin
  raise exception 'not so' using errcode = 'UE001', detail = 'the detail', hint = 'the hint';
end $$;`,
    );
    const error = await failUp(stage.options);
    expect(error).toMatchObject({
      code: 'MIGRATION_FAILED',
      message: 'not so',
      location: { file: expect.stringMatching(/migrations\/001_a\.sql$/), line: 3, column: 1 },
      excerpt: '  3 | do $$ begin\n    | ^',
      server: {
        sqlstate: 'UE001',
        detail: 'the detail',
        hint: 'the hint',
        where: expect.stringContaining('PL/pgSQL function inline_code_block line 2 at RAISE'),
      },
      details: { line: 3, column: 1, sqlstate: 'UE001', detail: 'the detail', completed: [] },
      hint: expect.stringContaining('Nothing of 001_a was applied'),
    });
  });

  const PARTED = 'create table p (id int primary key) partition by range (id);';

  test.for([
    ['create procedure p() language plpgsql as $$ begin commit; end $$;', 'call p();', '2D000'],
    [PARTED, 'reindex table p;', '25001'],
    [`${PARTED} create table q partition of p default;`, 'cluster p using p_pkey;', '25001'],
  ] as const)(
    'that cannot run in a transaction names the directive: %s %s',
    async ([before, statement, sqlstate], { stage, skip }) => {
      const [server14] = await stage.sql`
        select current_setting('server_version_num')::int < 150000 as is`;
      skip(
        server14?.is === true && statement.startsWith('cluster'),
        'clusters no partitioned table',
      );
      await stage.migration('001_a', before, '');
      await stage.migration('002_b', `select 1;\n${statement}`, '');
      const { hint, server } = await failUp(stage.options);
      expect(server?.sqlstate).toBe(sqlstate);
      expect(hint).toContain('write the line `-- evdb: no-transaction` at the top of the file');
      await stage.migration('002_b', `-- evdb: no-transaction\nselect 1;\n${statement}`, '');
      await migrateUp(stage.options);
    },
  );

  test('leaves nothing of its migration, and all of the earlier ones', async ({ stage }) => {
    await stage.migration('001_a', 'create table a (id int);');
    await stage.migration(
      '002_b',
      'create table b (id int); insert into a values (1); select 1/0;',
    );
    await stage.migration('003_c', 'create table c (id int);');
    const error = await failUp(stage.options);
    expect(error).toMatchObject({
      server: { sqlstate: '22012' },
      location: { line: 1, column: 52 },
      details: { completed: [{ direction: 'up', label: '001' }] },
    });
    expect(await stage.relations()).toEqual(['a']);
    expect(await stage.sql`select * from a`).toEqual([]);
    expect(await stage.ledger()).toEqual(['001 applied']);
    expect(await stage.history()).toEqual(['up 001', 'failed 002']);
    expect(await stage.sql`select error from evdb.history where action = 'failed'`).toEqual([
      { error: 'division by zero' },
    ]);
  });

  test('can be mended and applied', async ({ stage }) => {
    await stage.migration('001_a', 'create table a (id int); select 1/0;');
    await failUp(stage.options);
    await stage.migration('001_a', 'create table a (id int);');
    await migrateUp(stage.options);
    expect(await stage.history()).toEqual(['failed 001', 'up 001']);
  });

  test.for([
    ['an emoji', "select '🎈🎈', é from (values (1)) as t(x);", 1, 14],
    ['emoji in lines before it', "-- 🎈\nselect '🎈';\n\n  select missing;", 4, 10],
    ['Windows line ends', "select 1;\r\n\r\nselect 'ä',\r\n  missing;", 4, 3],
    ['a byte order mark', '\uFEFFselect missing;', 1, 8],
    ['a byte order mark and Windows line ends', '\uFEFF\r\n\r\nselect missing;', 3, 8],
    ['a comment with quotes', "/* it's $$ */ select missing;", 1, 22],
    ['statements on its line', 'select 1; select 2; select missing; select 3;', 1, 28],
  ] as const)('has the right position behind %s', async ([, text, line, column], { stage }) => {
    await stage.migration('001_a', text);
    const error = await failUp(stage.options);
    expect(error).toMatchObject({ location: { line, column }, server: { sqlstate: '42703' } });
  });

  test('is named by its place where the server gives no position', async ({ stage }) => {
    const inserts = Array.from({ length: 200 }, (_, n) => `insert into a values (${n % 150});`);
    await stage.migration('001_a', `create table a (id int primary key);\n${inserts.join('\n')}`);
    const error = await failUp(stage.options);
    expect(error).toMatchObject({
      message: expect.stringContaining('a_pkey'),
      location: { line: 152, column: 1 },
      server: { sqlstate: '23505', detail: 'Key (id)=(0) already exists.', constraint: 'a_pkey' },
    });
  });

  test('inside a function is reported where the script calls it, with the call stack', async ({
    stage,
  }) => {
    await stage.migration(
      '001_a',
      `create function broken() returns int language plpgsql as $$ begin return missing; end $$;
select 1,
  broken();`,
    );
    const error = await failUp(stage.options);
    expect(error).toMatchObject({
      location: { line: 2, column: 1 },
      server: { where: expect.stringContaining('function broken() line 1') },
    });
  });

  test('of a deferred constraint is reported at the commit', async ({ stage }) => {
    await stage.migration(
      '001_a',
      `create table a (id int primary key);
create table b (a_id int constraint b_a_fkey references a deferrable initially deferred);
insert into b values (7);`,
    );
    const error = await failUp(stage.options);
    expect(error).toMatchObject({
      code: 'MIGRATION_FAILED',
      message: expect.stringContaining('b_a_fkey'),
      server: { sqlstate: '23503', detail: expect.stringContaining('(a_id)=(7)') },
    });
    expect(await stage.relations()).toEqual([]);
    expect(await stage.history()).toEqual(['failed 001']);
  });

  test('behind a savepoint that forgives it still fails the migration', async ({ stage }) => {
    await stage.migration(
      '001_a',
      'create table a (); savepoint s; select 1/0; rollback to savepoint s; create table b ();',
    );
    expect(await failUp(stage.options)).toMatchObject({ location: { line: 1, column: 33 } });
    expect(await stage.relations()).toEqual([]);
  });

  test('is recorded in the history although the script took the role away', async ({ stage }) => {
    const { name } = await stage.createRole();
    await stage.migration('001_a', `set role ${name}; select 1/0;`);
    await failUp(stage.options);
    expect(await stage.history()).toEqual(['failed 001']);
  });
});

describe('a script that cannot run', () => {
  test('is known before the first one runs', async ({ stage }) => {
    for (let n = 1; n <= 10; n++) {
      await stage.migration(`${n}_t`, `create ${n === 5 ? 'tabel' : 'table'} t${n} ();`);
    }
    expect(await failUp(stage.options)).toMatchObject({
      code: 'SYNTAX_ERROR',
      message: 'syntax error at or near "tabel"',
      location: { file: expect.stringMatching(/5_t\.sql$/), line: 1, column: 8 },
      excerpt: '  1 | create tabel t5 ();\n    |        ^',
    });
    await expectUntouched(stage);
  });

  test.for([
    [
      'begin',
      'begin; create table a (); commit;',
      'TRANSACTION_CONTROL',
      1,
      /"begin" in a migration/,
    ],
    [
      'commit',
      'create table a ();\ncommit;\ncreate table b ();',
      'TRANSACTION_CONTROL',
      2,
      /"commit"/,
    ],
    ['rollback', 'create table a (); rollback;', 'TRANSACTION_CONTROL', 1, /"rollback"/],
    [
      'create index concurrently',
      'create table a (i int);\ncreate index concurrently on a (i);',
      'NEEDS_NO_TRANSACTION',
      2,
      /"create index concurrently"/,
    ],
    ['vacuum', 'vacuum;', 'NEEDS_NO_TRANSACTION', 1, /"vacuum"/],
    [
      'a command of psql',
      'select 1;\n\\i other.sql\n',
      'PSQL_COMMAND',
      2,
      /\\i is a command of psql/,
    ],
    [
      'binary rows',
      'create table a (i int);\ncopy a from stdin (format binary);\n1\n\\.\n',
      'COPY_UNSUPPORTED',
      2,
      /binary/,
    ],
    [
      'rows without an end',
      'create table a (i int);\ncopy a from stdin;\n1\n',
      'COPY_UNTERMINATED',
      2,
      /have no end/,
    ],
    [
      'copy to stdout',
      'copy (select 1) to stdout;',
      'COPY_UNSUPPORTED',
      1,
      /no client to send its rows to/,
    ],
    ['nothing', '', 'EMPTY_FILE', 1, /001_a\.sql holds no statement/],
    ['only a comment', '-- later\n/* … */ ;', 'EMPTY_FILE', 1, /holds no statement/],
  ] as const)('is refused for %s', async ([, text, code, line, message], { stage }) => {
    await stage.migration('001_a', text);
    expect(await failUp(stage.options)).toMatchObject({
      code,
      message: expect.stringMatching(message),
      location: { line },
    });
    await expectUntouched(stage);
  });

  test('names the directive that create index concurrently needs', async ({ stage }) => {
    await stage.migration('001_a', 'create index concurrently i on t (a);');
    expect(await failUp(stage.options)).toMatchObject({
      hint: expect.stringContaining('-- evdb: no-transaction'),
    });
  });

  test('is found by an older server where its grammar and the parser differ', async ({
    stage,
    skip,
  }) => {
    const [row] = await stage.sql`select current_setting('server_version_num')::int as version`;
    skip(row?.version >= 160000, 'system_user is a reserved word since PostgreSQL 16');
    await stage.migration('001_a', 'create table a (system_user text);', 'drop table a;');
    expect((await migrateUp(stage.options)).warnings).toMatchObject([
      { code: 'SYNTAX_UNSURE', version: '1', message: expect.stringContaining('system_user') },
    ]);
    expect(await stage.relations()).toEqual(['a']);
  });

  test('is judged by the server without being run', async ({ stage }) => {
    const session = await openSession(stage.options.connection);
    expect(await isAcceptedByServer(session, 'create table a ()')).toBe(true);
    expect(await isAcceptedByServer(session, 'insert into nowhere values (1)')).toBe(true);
    expect(await isAcceptedByServer(session, 'create tabel a ()')).toBe(false);
    expect(await isAcceptedByServer(session, "select 'open")).toBe(false);
    expect(await isAcceptedByServer(session, 'vacuum; select 1')).toBe(true);
    await session.close();
    await expectUntouched(stage);
  });

  test('counts the further mistakes of a file', async ({ stage }) => {
    await stage.migration('001_a', 'create tabel a ();\ncommit;\nvacuum;');
    expect(await failUp(stage.options)).toMatchObject({
      code: 'SYNTAX_ERROR',
      message: expect.stringContaining('(and 2 more: evdb migrate validate)'),
    });
  });

  test.for([
    ['is not UTF-8', new Uint8Array([0x73, 0xe9, 0x6c]), 'NOT_UTF8', 'is not UTF-8'],
    ['is UTF-16', Buffer.from('\uFEFFselect 1;', 'utf16le'), 'NOT_UTF8', 'is UTF-16, not UTF-8'],
    ['holds a NUL byte', 'select 1;\n\0', 'NUL_BYTE', 'holds a NUL byte (at byte 11)'],
    [
      'has an unknown directive',
      '-- evdb: no-transactions\nselect 1;',
      'DIRECTIVE_INVALID',
      '"no-transactions" is not a directive',
    ],
    [
      'holds both halves for dbmate',
      '-- migrate:up\nselect 1;\n-- migrate:down\ndrop table a;',
      'FOREIGN_MARKER',
      '"-- migrate:up" is a marker of dbmate',
    ],
  ] as const)('is refused where it %s', async ([, content, code, message], { stage }) => {
    await stage.migration('001_a', 'create table a ();');
    await stage.migration('002_b', content);
    await expect(migrateUp(stage.options)).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message),
    });
    await expectUntouched(stage);
  });

  test.for([
    ['a name without a version', ['add_venues.sql'], 'INVALID_NAME', /"add_venues\.sql"/],
    ['a name without an underscore', ['001.sql'], 'INVALID_NAME', /"001\.sql"/],
    ['a blank in a name', ['001_a b.sql'], 'INVALID_NAME', /"001_a b\.sql"/],
    ['a version beyond bigint', [`${'9'.repeat(19)}_a.sql`], 'INVALID_NAME', /999/],
    [
      'two files of one version',
      ['001_a.sql', '1_b.sql'],
      'DUPLICATE_VERSION',
      /001_a\.sql and .*1_b\.sql/,
    ],
    ['a down script alone', ['001_a.down.sql'], 'DOWN_WITHOUT_UP', /001_a\.down\.sql/],
    [
      'a down script of another name',
      ['001_a.sql', '001_b.down.sql'],
      'DOWN_WITHOUT_UP',
      /version 1 is .*001_a\.sql/,
    ],
  ] as const)('is refused for %s', async ([, files, code, message], { stage, project }) => {
    for (const file of files) await project.write(`migrations/${file}`, 'create table a ();');
    await expect(migrateUp(stage.options)).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message),
    });
    await expectUntouched(stage);
  });

  test('is not looked for in a folder that is not there, or is empty', async ({
    stage,
    project,
  }) => {
    await expect(migrateUp(stage.options)).rejects.toMatchObject({
      code: 'MIGRATIONS_DIR_MISSING',
      hint: expect.stringContaining('evdb init'),
    });
    await project.write('migrations/README.md', '# ours');
    await expect(migrateUp(stage.options)).rejects.toMatchObject({
      code: 'MIGRATIONS_DIR_EMPTY',
      hint: expect.stringContaining('evdb migrate create'),
    });
    await expectUntouched(stage);
  });
});

describe('a script that only looks odd', () => {
  test.for([
    ['the \\restrict lines of pg_dump', '\\restrict kEy1\ncreate table a ();\n\\unrestrict kEy1\n'],
    ['statements without a last semicolon', 'create table x (); create table a ()'],
    [
      'a function with a body between dollars',
      'create function f() returns int language sql as $b$ select 1; $b$; create table a ();',
    ],
    [
      'a function with begin atomic',
      'create function f() returns int begin atomic select 1; select 2; end; create table a ();',
    ],
    [
      'commit inside a procedure',
      'create procedure p() language plpgsql as $$ begin commit; end $$; create table a ();',
    ],
    ['a savepoint', 'savepoint s; create table b (); rollback to s; create table a ();'],
  ] as const)('is applied: %s', async ([, text], { stage }) => {
    await stage.migration('001_a', text);
    await migrateUp(stage.options);
    expect(await stage.relations()).toContain('a');
    expect(await stage.ledger()).toEqual(['001 applied']);
  });
});
