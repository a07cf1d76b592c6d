import { readdirSync, readFileSync } from 'node:fs';
import { loadModule, parseSync, scanSync } from 'libpg-query';
import { beforeAll, describe, expect, it } from 'vitest';
import { advance, openCursor } from '../../src/sql/lexer.ts';
import { normaliseTokens } from '../../src/sql/lexical.ts';
import { splitStatements } from '../../src/sql/statements.ts';

// Every script here is accepted by PostgreSQL's own grammar, whose split is the truth.
const SCRIPTS: string[] = [
  'select 1',
  'select 1;',
  ';;select 1;;;select 2;;',
  '  \n\t select 1 ; -- the end ; of it',
  '-- only a comment; nothing else',
  '/* ; */ select 1 /* ; */ ; /* ; */ select 2 -- ; \n ; select 3',
  '/* a /* nested ; */ still ; */ select 1; select 2',
  '/*/ ; */ select 1; /***/ select 2; /**/select 3;/* **/select 4',
  'select 1 --c\r; select 2',
  'select 1 -- c\r\n; select 2;\r\nselect 3',
  "select ';'; select '''; '';'; select ''';';",
  "select 'a'\n ';' from t; select 2",
  "select 'back\\'; select 'slash\\'",
  "select E'it\\'s ;'; select e'\\\\'; select E'\\\\\\';'; select 2",
  "select E'a'\n\n'\\'; x' ; select 2",
  "select date'2026-01-01;\\'; select time'00:00\\'; select 2",
  "select type'\\'; select float8'\\'; select 2",
  "select U&'\\0061;'''; select u&'d!0061t;' uescape '!'; select 2",
  'select U&"d\\0061t;a" from t; select u&"x;""y" from t',
  "select B'1010', b'01', X'1F', x'', N'a;b', n';' ; select 2",
  'select "a;b", "c""; d", ";" from "t;"; select 2',
  'select $$;$$, $a$ ; $$ ; $b$ ; $a$; select 2',
  'select $_1$;$_1$; select $ünï$ ; $ünï$; select 2',
  'select $$ \' " -- /* $$; select 2',
  'select a$b$c, a$$ from t; select 2',
  'select $1, $2; select $1+$2; select $1,$$;$$',
  'select 1,$$;$$; select 2',
  'select $$a$x ; $x$; select 2$$; select 3',
  'select $a$ $b$a$; select $a$ $$a$; select 2',
  'do $do$ begin execute $e$ select 1; $e$; end; $do$; select 2',
  'select 1 as é; select 2 as 漢字; select 3 as "😀;"; select \'😀;\'; select 4',
  'select 1+-- c ;\n2; select 1*/* ; */2; select 1 <@ 2 ; select 1 @-- ;\n 2',
  'select 1 - -1, 2--3;\n; select 3',
  "select a->>'b;' from t; select a #>> '{;}' from t; select a ?| array[';'] from t",
  'select 1.5, .5, 5., 1e5, 1.5e-3, 0x1F, 0o17, 0b11, 1_000_000; select 2',
  'select a[1:2], a[:2], b::text, c :: int from t; select 2',
  'create rule r as on insert to t do also (select 1; select 2); select 3',
  'create rule r as on insert to t do instead (insert into u values (1); ; delete from v); select 3',
  'create function f() returns int language sql begin atomic select 1; end; select 2',
  'create or replace function f(a int default (1)) returns int language sql\nbegin atomic\n select case when a > 1 then 1 else 2 end; -- end;\n select 2; end ; select 2',
  'create procedure p() begin atomic insert into t values (1); insert into t values (2); end; call p()',
  'create or replace procedure p() BEGIN ATOMIC END; select 1',
  'create function f() returns int begin /* ; */ atomic -- ;\n select 1 as end; select x.end, 1 "end" from x; select (case 1 when 1 then case 2 when 2 then 3 end end); end; select 1',
  'create function f() returns int begin atomic select 1 end; end; select 1',
  'create function f() returns int begin atomic create rule r as on insert to t do (select 1; select 2); end; select 1',
  'create function f() returns int return (select 1); select 1',
  'create function f(begin int) returns int return 1; select 1',
  'create function begin() returns int begin atomic select 1; end; select 1',
  'create function f() returns trigger language plpgsql as $$ begin if a then b; end if; return new; end $$; select 1',
  "create function f() returns int language sql as 'select 1; select 2;'; select 1",
  'begin; select 1; end; begin transaction; commit; select 1',
  'begin; create function f() returns int begin atomic select 1; end; commit',
  'select atomic from begin; select begin atomic from t; select 1',
  'copy t from stdin; select 1',
  "copy t (a, b) from stdin with (format csv, delimiter ';'); select 1",
  'copy (select 1 union select 2) to stdout; select 1',
  "create table t (a int default 1, b text default ';', c numeric(10, 2), check (a > 0)); comment on table t is 'x; y'",
  "create trigger t after insert on a for each row when (new.x is distinct from ';') execute function f(); select 1",
  'create view v as select 1 as a; create materialized view m as select 2; refresh materialized view m',
  "insert into t values ('a;', $$b;$$, E'c\\';', U&'d;', \"e;\"); update t set a = 'x;y' where b = ';'",
  'with a as (select 1), b as materialized (select 2) select * from a, b; select 3',
  'grant select (a, b) on t to public; revoke all on t from public; alter default privileges grant select on tables to public',
  "create policy p on t using (owner = current_user) with check (a <> ';'); alter table t enable row level security",
  "explain (analyze, buffers) select ';'; vacuum (verbose) t; analyze t; reindex (concurrently) table t",
  "create domain d as text check (value ~ '^[^;]+$'); create type e as enum ('a;', 'b'); select 1",
  'create function f(variadic a int[] default array[1, 2]) returns setof int language sql immutable as $f$ select unnest(a); $f$; select 1',
  'listen "a;b"; notify c, \'d;e\'; unlisten *; prepare q as select $1; execute q(1); deallocate q',
  'create operator @@@ (leftarg = int, rightarg = int, function = f); create aggregate g(int) (sfunc = f, stype = int); select 1',
  'alter system set a = \'b;c\'; set search_path to a, "b;c"; reset all; show all; discard all',
  'select 1 not in (2); create temporary table t as select 1; table t',
  'alter table t add column a int, add constraint c check (a > 1) not valid; alter table t validate constraint c',
  "merge into t using s on t.a = s.a when matched then update set b = ';' when not matched then do nothing; select 1",
];

interface Piece {
  start: number;
  text: string;
}

// The grammar's own statements: offsets are UTF-8 bytes, and the length runs up to the semicolon.
function splitByGrammar(script: string): Piece[] {
  const bytes = Buffer.from(script);
  const tokens = scanSync(script).tokens.filter(
    (token) => !['SQL_COMMENT', 'C_COMMENT'].includes(token.tokenName),
  );
  return (parseSync(script).stmts ?? []).map(({ stmt_location: start = 0, stmt_len: length }) => {
    const limit = length === undefined || length === 0 ? bytes.length : start + length;
    const own = tokens.filter(
      (token) => token.start >= start && token.end <= limit && token.text !== ';',
    );
    const first = own.at(0)?.start ?? start;
    // A semicolon may end a body of its own, never the statement.
    const end = own.at(-1)?.end ?? limit;
    return {
      start: bytes.subarray(0, first).toString().length,
      text: bytes.subarray(first, end).toString(),
    };
  });
}

function splitOurs(script: string): Piece[] {
  return splitStatements(script).map(({ start, text }) => ({ start, text }));
}

// Empty statements and the last semicolon are not what a script says.
function tokensOf(script: string): string[][] {
  return splitStatements(script).map(({ text }) => {
    const cursor = openCursor(text);
    const tokens: string[] = [];
    while (advance(cursor)) tokens.push(text.slice(cursor.start, cursor.end));
    return tokens;
  });
}

// Where each token starts, in UTF-8 bytes.
function tokenStartsOurs(script: string): number[] {
  const cursor = openCursor(script);
  const starts: number[] = [];
  while (advance(cursor)) starts.push(Buffer.byteLength(script.slice(0, cursor.start)));
  return starts;
}

type Random = (below: number) => number;

/** mulberry32: the same numbers on every machine. */
function createRandom(seed: number): Random {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

const EXPRESSIONS = [
  '1',
  '-1',
  '.5',
  '1e5',
  '$1',
  'a',
  'é$x',
  '"b;"',
  '"q""; "',
  "'s;'",
  "'it''s;'",
  "'back\\'",
  "E'e\\';'",
  "e'\\\\'",
  "E'x'\n'\\';'",
  "U&'u;'",
  'U&"u;"',
  "b'01'",
  "x'ff'",
  "n'n;'",
  '$$d;$$',
  '$t$ $$ ; $t$',
  '(1)',
  "(select ';')",
  'case when a then b else c end',
  "date'2026-01-01'",
  'a[1:2]',
  "j->>'k;'",
  'a-- ;\n+b',
  'a/* ; /* ; */ */*b',
  "'漢;'",
  '"😀;"',
  'x::text',
  'array[1,2]',
  "$é$'$é$",
  'a#-b',
  '@-1',
  '1=-1',
];
const TRIVIA = [
  ' ',
  '\n',
  '\t',
  '\r\n',
  ' -- c ; \' " $$\n',
  '/* ; \' " $$ */',
  '/* /* ; */ */',
  ' ',
];
const TEMPLATES: ((e: () => string, t: () => string) => string)[] = [
  (e, t) => `select${t()} ${e()} as x${t()},${t()}${e()} as y`,
  (e, t) => `insert into${t()} t values (${e()},${t()}${e()})`,
  (e, t) => `create rule r as on insert to t do (select${t()} ${e()};${t()}select ${e()};)`,
  (e, t) =>
    `create function f() returns int begin${t()} atomic${t()} select ${e()};${t()}select ${e()} as end; end`,
  (_, t) => `create or replace procedure p()${t()} begin atomic${t()} end`,
  (_, t) => `do${t()} $body$ begin perform 1; end; $body$`,
  (_, t) => `begin${t()}`,
  (_, t) => `commit${t()}`,
  () => '',
];

const GARBAGE = [
  "'",
  '"',
  '$$',
  '$a$',
  '$a',
  '$',
  '$1',
  '\\',
  '\\i x',
  '\n',
  '\r',
  ';',
  '(',
  ')',
  '/*',
  '*/',
  '--',
  '-',
  '/',
  '*',
  "E'",
  "U&'",
  'U&"',
  'e',
  'u&',
  'begin',
  'atomic',
  'end',
  'case',
  'create',
  'or',
  'replace',
  'function',
  'copy',
  'from',
  'stdin',
  '\\.',
  '\n\\.\n',
  'é',
  '漢',
  '😀',
  '\ud800',
  '\udc00',
  '\0',
  '\ufeff',
  ' ',
  '\t',
  '1',
  '.',
  '..',
  ':',
  '::',
  '=',
  '+',
  '@',
  'x',
  "''",
  '""',
  '\\copy t from stdin',
];

function pick<T>(random: Random, from: T[]): T {
  const picked = from[random(from.length)];
  if (picked === undefined) throw new Error('nothing to pick from');
  return picked;
}

// The same numbers from `random` give the same tokens, whatever stands between them.
function buildScript(random: Random, randomTrivia = random): string {
  const e = () => pick(random, EXPRESSIONS);
  const t = () => pick(randomTrivia, TRIVIA);
  const statements = Array.from({ length: 1 + random(8) }, () => pick(random, TEMPLATES)(e, t));
  return statements.map((statement) => `${t()}${statement}${t()}`).join(';');
}

describe('the split against the grammar of PostgreSQL', () => {
  beforeAll(loadModule);

  it.each(SCRIPTS)('splits like the grammar: %j', (script) => {
    expect(splitOurs(script)).toEqual(splitByGrammar(script));
  });

  it('splits every migration of the package like the grammar', () => {
    const folder = new URL('../../migrations/', import.meta.url);
    const files = readdirSync(folder).filter((name) => name.endsWith('.sql'));
    for (const name of files) {
      const script = readFileSync(new URL(name, folder), 'utf8');
      expect(splitOurs(script), name).toEqual(splitByGrammar(script));
    }
  });

  it('splits 500 random scripts like the grammar', () => {
    const random = createRandom(20260101);
    let statements = 0;
    for (let i = 0; i < 500; i++) {
      const script = buildScript(random);
      const theirs = splitByGrammar(script);
      expect(splitOurs(script), JSON.stringify(script)).toEqual(theirs);
      statements += theirs.length;
    }
    expect(statements).toBeGreaterThan(1500);
  });

  it('finds the tokens that the scanner of PostgreSQL finds', () => {
    const random = createRandom(7);
    for (let i = 0; i < 500; i++) {
      const script = buildScript(random)
        // Where the scanner cuts or joins in another way than a split needs.
        .replaceAll("'\n'", "' || E'")
        .replaceAll("n'n;'", "'n;'");
      const theirs = scanSync(script)
        .tokens.filter((token) => !['SQL_COMMENT', 'C_COMMENT'].includes(token.tokenName))
        .map((token) => token.start);
      expect(tokenStartsOurs(script), JSON.stringify(script)).toEqual(theirs);
    }
  });
});

describe('the folded tokens', () => {
  it('are the same whatever white space and comments stand between them', () => {
    const folded = new Set<string>();
    for (let seed = 0; seed < 300; seed++) {
      const [one = '', other = ''] = [1, 2].map((trivia) =>
        buildScript(createRandom(seed), createRandom(1000 * trivia + seed)),
      );
      expect(normaliseTokens(one), JSON.stringify([one, other])).toBe(normaliseTokens(other));
      folded.add(normaliseTokens(one));
    }
    expect(folded.size).toBeGreaterThan(250);
  });

  it('hold the tokens that were there, and no comment', () => {
    const random = createRandom(11);
    for (let i = 0; i < 300; i++) {
      const script = buildScript(random);
      const again = normaliseTokens(script);
      expect(tokensOf(again), JSON.stringify(script)).toEqual(tokensOf(script));
    }
  });
});

describe('the split of anything at all', () => {
  beforeAll(loadModule);

  it('never throws and loses nothing but white space, comments and semicolons', () => {
    const random = createRandom(42);
    for (let i = 0; i < 3000; i++) {
      const script = Array.from({ length: random(14) }, () => pick(random, GARBAGE)).join(
        random(2) === 0 ? '' : ' ',
      );
      let end = 0;
      for (const statement of splitStatements(script)) {
        const shown = JSON.stringify(script);
        expect(statement.text, shown).toBe(script.slice(statement.start, statement.end));
        expect(statement.text, shown).not.toBe('');
        expect(statement.start, shown).toBeGreaterThanOrEqual(end);
        expect(leftOver(script.slice(end, statement.start)), shown).toEqual([]);
        end = statement.copyData?.resumeAt ?? statement.end;
      }
      expect(leftOver(script.slice(end)), JSON.stringify(script)).toEqual([]);
    }
  });
});

// The statements that a gap between ours holds by the grammar.
function leftOver(gap: string): unknown[] {
  // A byte order mark is not SQL, and what no UTF-8 file can hold may stand in a comment.
  const sql = gap.replace(/^\ufeff/, '').replace(/\0|\p{Cs}/gu, '.');
  return sql === '' ? [] : (parseSync(sql).stmts ?? []);
}
