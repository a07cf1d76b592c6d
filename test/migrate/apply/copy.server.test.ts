import { describe, expect } from 'vitest';
import { openSession } from '../../../src/connection/session.ts';
import { migrateDown, migrateUp } from '../../../src/index.ts';
import { failUp, type MigrateStage, test } from '../../support/migrate-kit.ts';

const TABLE = 'create table t (id integer primary key, name text, "Odd ""One" text);\n';

const rowsOf = ({ sql }: MigrateStage) => sql`select id, name from t order by id`;

describe('copy … from stdin in a migration', () => {
  test.for([
    [
      'text with escapes, nulls and other scripts',
      'copy t (id, name) from stdin;\n1\ta\\tb\n2\t\\N\n3\té漢😀\n4\t\n\\.\n',
      ['a\tb', null, 'é漢😀', ''],
    ],
    [
      'csv with a header, another delimiter and a line break in a value',
      'copy t (id, name) from stdin with (format csv, header, delimiter \';\');\nid;name\n1;"a;""b"""\n2;"two\nlines"\n3;\n\\.\n',
      ['a;"b"', 'two\nlines', null],
    ],
    ['Windows line ends', 'copy t (id, name) from stdin;\r\n1\ta\r\n2\tb\r\n\\.\r\n', ['a', 'b']],
    ['no rows', 'copy t (id, name) from stdin;\n\\.\n', []],
    [
      'its keywords in capitals, and a comment behind the semicolon',
      'COPY t (id, name) FROM STDIN; -- one\n1\ta\n\\.\n',
      ['a'],
    ],
    [
      'what looks like SQL',
      "copy t (id, name) from stdin;\n1\t'; drop table t; --\n\\.\n",
      ["'; drop table t; --"],
    ],
  ] as const)('takes rows: %s', async ([, copy, names], { stage }) => {
    await stage.migration('001_t', TABLE + copy);
    await migrateUp(stage.options);
    expect((await rowsOf(stage)).map(({ name }) => name)).toEqual([...names]);
  });

  test('stands between other statements, several times', async ({ stage }) => {
    const copies = Array.from(
      { length: 5 },
      (_, n) =>
        `copy t (id, name) from stdin;\n${n}\ta\n\\.\nupdate t set name = name || 'b' where id = ${n};\n`,
    );
    await stage.migration('001_t', `${TABLE}${copies.join('')}insert into t values (9, 'c');`);
    await migrateUp(stage.options);
    expect(await rowsOf(stage)).toHaveLength(6);
    expect(await stage.sql`select count(*)::int from t where name = 'ab'`).toEqual([{ count: 5 }]);
    expect(await stage.ledger()).toEqual(['001 applied']);
  });

  test('takes more rows than one message holds', async ({ stage }) => {
    const rows = Array.from({ length: 30_000 }, (_, n) => `${n}\tname 漢 ${n}😀\n`).join('');
    await stage.migration('001_t', `${TABLE}copy t (id, name) from stdin;\n${rows}\\.\n`);
    await migrateUp(stage.options);
    expect(
      await stage.sql`
      select count(*)::int, count(*) filter (where name = 'name 漢 ' || id || '😀')::int as good from t
    `,
    ).toEqual([{ count: 30_000, good: 30_000 }]);
  });

  test('runs in a down script and in one without a transaction', async ({ stage }) => {
    await stage.migration('001_t', TABLE, 'drop table t;');
    await stage.migration(
      '002_rows',
      '-- evdb: no-transaction\ncopy t (id, name) from stdin;\n1\ta\n\\.\nvacuum t;\n',
      'delete from t;\ncopy t (id, name) from stdin;\n7\tback\n\\.\n',
    );
    await migrateUp(stage.options);
    expect(await rowsOf(stage)).toEqual([{ id: 1, name: 'a' }]);
    await migrateDown(stage.options);
    expect(await rowsOf(stage)).toEqual([{ id: 7, name: 'back' }]);
  });
});

describe('a row that the server refuses', () => {
  test.for([
    ['of the wrong type', '1\ta\n2\tb\nx\tc\n4\td', '22P02', 5, 1],
    ['with too many fields', '1\ta\n2\tb\tc\n', '22P04', 4, 1],
    ['with a field too few', '1\n', '22P04', 3, 1],
    ['that is there already', '1\ta\n2\tb\n1\tc\n3\td', '23505', 5, 1],
  ] as const)('is told by its line: %s', async ([, rows, sqlstate, line, column], { stage }) => {
    await stage.migration(
      '001_t',
      `${TABLE}copy t (id, name) from stdin;\n${rows}\n\\.\nselect 1;`,
    );
    expect(await failUp(stage.options)).toMatchObject({
      code: 'MIGRATION_FAILED',
      location: { line, column },
      server: { sqlstate, where: expect.stringContaining('COPY t, line') },
    });
    expect(await stage.relations()).toEqual([]);
    expect(await stage.history()).toEqual(['failed 001']);
  });

  test('is told by the column of its field where the statement names the columns', async ({
    stage,
  }) => {
    await stage.migration(
      '001_t',
      `create table t (a text, "Odd ""One" int);\ncopy t (a, "Odd ""One") from stdin;\n漢\t1\n漢字\tx\n\\.\n`,
    );
    const error = await failUp(stage.options);
    expect(error.location).toMatchObject({ line: 4, column: 4 });
    expect(error.excerpt).toMatch(/^ {2}4 \| 漢字 +x\n/);
  });

  test('is told by its line in csv, where a row can have several', async ({ stage }) => {
    await stage.migration(
      '001_t',
      `${TABLE}copy t (id, name) from stdin csv header;\nid,name\n1,"a\nb"\nx,c\n\\.\n`,
    );
    expect((await failUp(stage.options)).location).toMatchObject({ line: 6 });
  });

  test('is told through a trigger that refuses it', async ({ stage }) => {
    await stage.migration(
      '001_t',
      `${TABLE}create function refuse() returns trigger language plpgsql as $$ begin
  if new.id = 2 then raise exception 'no 2'; end if; return new; end $$;
create trigger refuse before insert on t for each row execute function refuse();
copy t (id, name) from stdin;
1\ta
2\tb
\\.
`,
    );
    expect(await failUp(stage.options)).toMatchObject({ message: 'no 2', location: { line: 7 } });
  });

  test('leaves the statements before it where there is no transaction, and goes on there', async ({
    stage,
  }) => {
    const head = `-- evdb: no-transaction\n${TABLE}insert into t values (1, 'a');\ncopy t (id, name) from stdin;\n2\tb\n`;
    await stage.migration('001_t', `${head}1\tc\n\\.\nvacuum t;\n`);
    expect(await failUp(stage.options)).toMatchObject({ location: { line: 6 } });
    expect(await rowsOf(stage)).toEqual([{ id: 1, name: 'a' }]);
    await stage.migration('001_t', `${head}3\tc\n\\.\nvacuum t;\n`);
    await migrateUp(stage.options);
    expect(await rowsOf(stage)).toHaveLength(3);
    expect(await stage.ledger()).toEqual(['001 applied']);
  });
});

test.for([
  ['missing', 'copy missing from stdin;\n1\n\\.\n', '42P01', { line: 3 }],
  ['with a wrong option', 'copy t from stdin (format nothing);\n1\n\\.\n', '22023', { line: 3 }],
  ['behind a failed statement', 'select 1/0;\ncopy t from stdin;\n1\n\\.\n', '22012', { line: 3 }],
] as const)(
  'a copy that never begins leaves the session in order: %s',
  async ([, text, sqlstate, location], { stage }) => {
    await stage.migration('001_t', `${TABLE}\n${text}`);
    expect(await failUp(stage.options)).toMatchObject({ server: { sqlstate }, location });
    await stage.migration('001_t', TABLE);
    await migrateUp(stage.options);
  },
);

test('a deferred constraint fails the migration behind the last row', async ({ stage }) => {
  await stage.migration(
    '001_t',
    `${TABLE}create table u (id int references t (id));\ncopy u from stdin;\n5\n\\.\n`,
  );
  expect(await failUp(stage.options)).toMatchObject({
    server: { sqlstate: '23503' },
    location: { line: 3, column: 1 },
  });
});

describe('copyIn of a session', () => {
  test('throws what its rows throw, and the session goes on', async ({ stage, onTestFinished }) => {
    const session = await openSession(stage.options.connection);
    onTestFinished(() => session.close());
    await session.run('create temp table c (a text)');
    const copied = session.copyIn(
      'copy c from stdin',
      (async function* () {
        yield 'a\n';
        throw new Error('no more');
      })(),
    );
    await expect(copied).rejects.toThrow('no more');
    await session.copyIn('copy c from stdin', ['b\n', Buffer.from('c'), '\n']);
    expect(await session.run('select a from c order by a')).toEqual([{ a: 'b' }, { a: 'c' }]);
  });

  test('tells an error behind the last row, and the session goes on', async ({
    stage,
    onTestFinished,
  }) => {
    const session = await openSession(stage.options.connection);
    onTestFinished(() => session.close());
    await session.run('create temp table c (a int)');
    await expect(session.copyIn('copy c from stdin', ['1\n', 'x'])).rejects.toMatchObject({
      code: '22P02',
      where: 'COPY c, line 2, column a: "x"',
    });
    expect(await session.run('select count(*)::int as n from c')).toEqual([{ n: 0 }]);
  });

  test('stops sending when the server has refused a row', async ({ stage, onTestFinished }) => {
    const session = await openSession(stage.options.connection);
    onTestFinished(() => session.close());
    await session.run('create temp table c (a int)');
    let pieces = 0;
    const endless = (function* () {
      for (;;) {
        pieces++;
        yield pieces === 3 ? 'x\n' : '1\n'.repeat(30_000);
      }
    })();
    await expect(session.copyIn('copy c from stdin', endless)).rejects.toMatchObject({
      code: '22P02',
    });
    expect(await session.run('select 1 as one')).toEqual([{ one: 1 }]);
  });
});
