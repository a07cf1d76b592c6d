import { describe, expect, it } from 'vitest';
import { convertSection } from '../../src/adopt/convert.ts';
import { plainSection } from '../../src/adopt/foreign.ts';
import { fileNameOf } from '../../src/adopt/name.ts';

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
    'begin; select 1; commit; select 2;',
    'select 1; begin; commit;',
    'begin; select 1; rollback;',
    'begin isolation level serializable; select 1; commit;',
    'begin; select 1; commit; begin; select 2; commit;',
  ])('but not from %j, of which evdb says that it would refuse it', (text) => {
    const converted = convert(text);
    expect(converted?.text).toBe(`${text}\n`);
    expect(converted?.says).toEqual([
      expect.stringMatching(/stands in it, which evdb refuses to run/),
    ]);
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
      '\\i of psql stands in it, which evdb refuses (line 2 of the new file)',
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
