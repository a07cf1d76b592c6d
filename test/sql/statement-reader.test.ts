import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { createStatementReader } from '../../src/sql/statement-reader.ts';
import { type Statement, splitStatements } from '../../src/sql/statements.ts';

/** Cuts the text in blocks of some lengths, never within a character, as files are read. */
function* cut(text: string, lengths: () => number): Generator<Buffer> {
  const bytes = Buffer.from(text);
  for (let from = 0; from < bytes.length; ) {
    let to = Math.min(from + lengths(), bytes.length);
    while (to < bytes.length && ((bytes[to] as number) & 0xc0) === 0x80) to++;
    yield bytes.subarray(from, to);
    from = to;
  }
}

interface Read {
  statements: Statement[];
  rows: string[];
}

function read(text: string, lengths: () => number): Read {
  const reader = createStatementReader(cut(text, lengths));
  const statements: Statement[] = [];
  const rows: string[] = [];
  for (let one = reader.next(); one; one = reader.next()) {
    statements.push(one);
    if (one.copyData) rows.push(Buffer.concat([...reader.rows()]).toString());
  }
  return { statements, rows };
}

function whole(text: string): Read {
  const statements = splitStatements(text);
  const rows = statements
    .filter(({ copyData }) => copyData !== null)
    .map(({ copyData }) => text.slice(copyData?.start, copyData?.end));
  return { statements, rows };
}

function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

const PIECES = [
  'select 1;',
  "insert into t values ('it''s; \\', E'\\';', $$;$$, $a$ ; $$ ; $a$);\n",
  'create function f() returns int language sql begin atomic select 1; select 2; end;\n',
  '-- a comment; with 😀 and é\n',
  '/* one /* two ; */ ; */ ',
  'copy t from stdin;\n1\t;\n\\.x\n\\N\té漢😀\n\\.\n',
  'copy t (a, b) from stdin with (format csv); -- rows\na,"b\n\\.c"\n\\.\n',
  'copy t from stdin;\n\\.\n',
  'copy t from stdin; select 2;\n',
  'copy (select 1) to stdout;\n',
  '\\restrict abc\n',
  '\\echo one\n',
  '\\copy t from stdin\n1\n\\.\n',
  'select 1 \\gexec\n',
  '\ufeffselect 2;',
  "select 'a'\n  'b;', U&\"d;\", b'0', 1.5e3, a::int, a <-> b, :x, $1 from t where a = 'é';\n",
  'create rule r as on insert to t do also (select 1; select 2);\r\n',
  ';;\n',
  '\n\n',
];
const ENDINGS = [
  '',
  'select 3',
  "select 'open; ",
  'copy t from stdin;\n1\n2',
  'copy t from stdin',
  '\\.',
  '\\q',
  'select /* ;',
  'copy t from stdin;\n1\n\\.',
  'copy t from stdin;',
  '-- end',
];

describe('createStatementReader', () => {
  it.each([1, 2, 3, 5, 64, 1e6])('gives what the whole text gives, in blocks of %d', (length) => {
    const text = PIECES.join('') + ENDINGS.join(';\n');
    expect(read(text, () => length)).toEqual(whole(text));
  });

  it('gives what the whole text gives for random scripts in random blocks', () => {
    const next = random(7);
    const pick = (list: string[]) => list[Math.floor(next() * list.length)] as string;
    for (let round = 0; round < 400; round++) {
      const count = Math.floor(next() * 12);
      const text = Array.from({ length: count }, () => pick(PIECES)).join('') + pick(ENDINGS);
      expect(
        read(text, () => 1 + Math.floor(next() * 40)),
        JSON.stringify(text),
      ).toEqual(whole(text));
    }
  });

  it('gives what the whole text gives where parts are split again and again', () => {
    const next = random(11);
    const pick = () => PIECES[Math.floor(next() * PIECES.length)] as string;
    const long = `insert into t values ('${'é;'.repeat(400_000)}');\n`;
    const rows = `copy t from stdin;\n${'1\t漢😀 \\N\n\\.not\n'.repeat(60_000)}\\.\n`;
    for (let round = 0; round < 3; round++) {
      const some = Array.from({ length: 4000 }, pick).join('');
      const text = some + long + some + rows + some + rows;
      const streamed = read(text, () => 1 + Math.floor(next() * 300_000));
      const expected = whole(text);
      expect(streamed.rows).toEqual(expected.rows);
      expect(streamed.statements).toHaveLength(expected.statements.length);
      const different = streamed.statements.findIndex(
        (one, index) => JSON.stringify(one) !== JSON.stringify(expected.statements[index]),
      );
      expect([streamed.statements[different], expected.statements[different]]).toEqual([
        undefined,
        undefined,
      ]);
    }
  }, 60_000);

  it('gives what the whole text gives for the migrations of the event schema', () => {
    for (const name of readdirSync('migrations')) {
      const text = readFileSync(`migrations/${name}`, 'utf8');
      expect(
        read(text, () => 17),
        name,
      ).toEqual(whole(text));
    }
  });

  it('passes over rows that nobody read', () => {
    const text = 'copy t from stdin;\n1\n2\n\\.\nselect 1;';
    const reader = createStatementReader(cut(text, () => 4));
    expect(reader.next()).toMatchObject({ command: 'copy' });
    expect(reader.next()).toMatchObject({ text: 'select 1', line: 5, column: 1, start: 26 });
    expect(reader.next()).toBeUndefined();
    expect(reader.next()).toBeUndefined();
  });

  it('tells what stands before a statement', () => {
    const reader = createStatementReader(cut('-- a\nselect 1 /* ; */ ; -- b\n select 2', () => 9));
    reader.next();
    expect(reader.gap()).toBe('-- a\n');
    reader.next();
    expect(reader.gap()).toBe(' /* ; */ ; -- b\n ');
  });
});
