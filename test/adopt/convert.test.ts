import { describe, expect, it } from 'vitest';
import { convertSection } from '../../src/adopt/convert.ts';
import { fileNameOf, plainSection } from '../../src/adopt/foreign.ts';

function convert(text: string, noTransaction = false) {
  const converted = convertSection(plainSection(text, noTransaction));
  return (
    converted && { text: converted.text, says: converted.findings.map(({ message }) => message) }
  );
}

describe('a section becomes a script', () => {
  it('as it is, but for blank lines around it', () => {
    const text = '\n  \n-- why\n\ncreate table a ();\n  -- after\n\n\n';
    expect(convert(text)).toEqual({
      text: '-- why\n\ncreate table a ();\n  -- after\n',
      says: [],
    });
  });

  it.each(['', '\n', '-- nothing\n', '/* nothing */ ;'])(
    'not where %j holds no statement',
    (text) => {
      expect(convert(text)).toBeUndefined();
    },
  );

  it('with the directive where it asks for it, or needs it', () => {
    expect(convert('select 1;', true)).toEqual({
      text: '-- evdb: no-transaction\nselect 1;\n',
      says: [],
    });
    expect(convert('vacuum a;')).toEqual({
      text: '-- evdb: no-transaction\nvacuum a;\n',
      says: ['"vacuum" needs no-transaction, so the directive is added'],
    });
  });
});

describe('a begin and commit around everything go', () => {
  const NOTE = 'the begin and commit around it are left out';

  it.each([
    ['begin;\nselect 1;\ncommit;\n', 'select 1;\n'],
    ['BEGIN TRANSACTION;\n\nselect 1;\n\nCOMMIT WORK', 'select 1;\n'],
    ['-- why\nstart transaction; select 1; end;', '-- why\n select 1;\n'],
    ['begin ;\n  select 1;\n  end;\n-- after', '  select 1;\n-- after\n'],
  ])('from %j', (text, expected) => {
    expect(convert(text)).toEqual({ text: expected, says: [NOTE] });
  });

  it('with the no-transaction that was asked for, which then means nothing', () => {
    expect(convert('begin; select 1; commit;', true)).toMatchObject({ says: [NOTE] });
    expect(convert('begin; select 1; commit;', true)?.text).not.toContain('evdb:');
  });

  it.each([
    // one transaction, where nothing speaks against it
    [
      'begin;\ncreate type a;\ncommit;\ndrop type b;',
      'create type a;\ndrop type b;\n',
      'evdb runs it as one transaction',
    ],
    [
      'begin;\nselect 1;\ncommit;\nbegin;\nselect 2;\nend;',
      'select 1;\nselect 2;\n',
      'evdb runs it as one transaction',
    ],
    ['select 1; begin; commit;', 'select 1;\n', 'evdb runs it as one transaction'],
    [
      'select 1;\ncommit;\nbegin;\nselect 2;',
      'select 1;\nselect 2;\n',
      'evdb runs it as one transaction',
    ],
    // one by one, where a commit has to be in between
    [
      'begin;\nselect 1;\ncommit;\ncreate index concurrently on a (b);',
      '-- evdb: no-transaction\nselect 1;\ncreate index concurrently on a (b);\n',
      'its statements run one by one, because "create index concurrently" needs no-transaction',
    ],
    [
      "begin;\nalter type e add value 'x';\ncommit;\nbegin;\ninsert into a values ('x');\ncommit;",
      "-- evdb: no-transaction\nalter type e add value 'x';\ninsert into a values ('x');\n",
      'its statements run one by one, because a new enum value can be used only after it is committed',
    ],
  ])('in several pairs, from %j', (text, expected, effect) => {
    expect(convert(text)).toEqual({
      text: expected,
      says: [`its begin and commit are left out: ${effect}`],
    });
  });

  it('in several pairs where the file asks for no transaction', () => {
    expect(convert('begin; select 1; commit; begin; select 2; commit;', true)).toEqual({
      text: expect.stringMatching(/^-- evdb: no-transaction\n/),
      says: [expect.stringContaining('one by one, because the file asks for that')],
    });
  });

  it.each([
    'begin; select 1; rollback;',
    'begin; select 1;',
    'begin; begin; select 1; commit; commit;',
    'begin isolation level serializable; select 1; commit;',
    'begin; set local role x; create table a (); commit; vacuum a;',
    'begin; create temp table a () on commit drop; commit; select 2;',
  ])('but not from %j, of which evdb says that it would refuse it', (text) => {
    const converted = convert(text);
    expect(converted?.text.replace('-- evdb: no-transaction\n', '')).toBe(`${text}\n`);
    expect(converted?.says).toContainEqual(
      expect.stringMatching(/it contains .+, which evdb refuses to run/),
    );
  });

  it.each([
    'create function f() returns int language sql begin atomic; select 1; end;',
    'do $$ begin perform 1; end $$;',
    "select 'begin;'; -- commit;",
  ])('and nothing is seen in %j', (text) => {
    expect(convert(text)).toEqual({ text: `${text}\n`, says: [] });
  });
});

describe('what evdb would refuse is said', () => {
  it('with the line of the new file', () => {
    expect(convert('\n\nselect 1;\n\\i other.sql\n')?.says).toEqual([
      'it contains \\i, a psql command, which evdb refuses (line 2 of the new file)',
    ]);
    expect(convert("select 'open;\n")?.says).toEqual([
      'a quote or comment in it is not closed (line 1 of the new file)',
    ]);
  });
});

it.each([
  ['add users', 'add_users'],
  ['-add-users', 'add-users'],
  ['_Äpfel & Birnen!', 'pfel_Birnen'],
  ['go.down', 'go_down'],
  ['', 'tool'],
  ['../../etc', 'etc'],
  ['x'.repeat(300), 'x'.repeat(100)],
])('the words %j become the name %j', (words, name) => {
  expect(fileNameOf(words, 'tool')).toBe(name);
});

describe("what is about the tool's own table", () => {
  const own = { schema: 'public', name: 'schema_migrations', isAlwaysQualified: false };
  const convertOwn = (text: string, table = own) => {
    const converted = convertSection(plainSection(text), table);
    return (
      converted && { text: converted.text, says: converted.findings.map(({ message }) => message) }
    );
  };

  it.each([
    "delete from schema_migrations where version = '1';",
    "INSERT INTO public.schema_migrations (version) VALUES ('1');",
    'update only "schema_migrations" set version = 1;',
    'create table if not exists public.schema_migrations (version varchar primary key);',
    'alter table only schema_migrations add primary key (version);',
    'grant select on table schema_migrations to reader;',
    'drop table if exists schema_migrations;',
  ])('is left out: %s', (statement) => {
    const converted = convertOwn(`select 1;\n${statement}\nselect 2;\n`);
    expect(converted?.text).toBe('select 1;\nselect 2;\n');
    expect(converted?.says).toEqual([
      expect.stringMatching(/on schema_migrations \(statement in line 2\)/),
    ]);
  });

  it.each([
    'insert into log select version from schema_migrations;',
    'drop table a, schema_migrations;',
    'do $$ begin delete from schema_migrations; end $$;',
  ])('is told where it cannot be left out: %s', (statement) => {
    expect(convertOwn(statement)).toEqual({
      text: `${statement}\n`,
      says: [
        'it names schema_migrations, which a database that evdb makes does not have (line 1 of the new file)',
      ],
    });
  });

  it.each([
    'delete from app.schema_migrations;',
    "select 'schema_migrations';",
    'delete from schema_migrations_old;',
  ])('is not seen in %s', (statement) => {
    expect(convertOwn(statement)).toEqual({ text: `${statement}\n`, says: [] });
  });

  it('counts only with its schema where its name is a common one', () => {
    const table = { schema: 'graphile_migrate', name: 'migrations', isAlwaysQualified: true };
    expect(convertOwn('delete from migrations;', table)?.says).toEqual([]);
    expect(convertOwn('delete from graphile_migrate.migrations;\nselect 1;', table)?.text).toBe(
      'select 1;\n',
    );
  });
});
