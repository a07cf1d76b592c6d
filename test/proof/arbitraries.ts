import fc from 'fast-check';

/** Text that breaks what was not made for it: quotes, control characters, directions, emoji, lone halves. */
function wildText(maxLength = 20): fc.Arbitrary<string> {
  const wild = fc.constantFrom(
    ...["'", '"', '\\', '$$', '--', '/*', '%', '::', '\u001b[2J', '\r', '\n', '\t', '\u0007'],
    ...['\u202e', '\u200b', '\u009b', '😀', 'é', 'e\u0301', '漢', '$(id)', '`id`', '::error::'],
  );
  return fc
    .array(fc.oneof(wild, fc.string({ unit: 'binary', maxLength: 3 })), { maxLength: 6 })
    .map((parts) => [...parts.join('')].slice(0, maxLength).join(''));
}

/** Names for a table, a column, an index and a comment, as PostgreSQL takes them. */
export function hostileNames(): fc.Arbitrary<string[]> {
  const name = wildText(12)
    .map((text) => Buffer.from(text.replaceAll('\0', '')).toString())
    .map((text) => (text === '' ? 'x' : text));
  return fc.uniqueArray(name, { minLength: 4, maxLength: 4 });
}

/** Environment variables of a connection, good and bad, with a password somewhere in them. */
export function connectionSettings(secret: string): fc.Arbitrary<Record<string, string>> {
  const part = wildText(10);
  const url = fc
    .tuple(
      fc.constantFrom(
        'postgres://',
        'postgresql://',
        'postgres:',
        'mysql://',
        'embedded:',
        '',
        'http://',
      ),
      fc.constantFrom('', 'u@', `u:${secret}@`, `u:%zz${secret}@`, `:${secret}@`),
      fc.oneof(fc.constantFrom('localhost', '[::1]', '[::1', '', '/tmp', 'a,b', 'a:1,b:2'), part),
      fc.constantFrom('', ':5432', ':0', ':99999', ':x', ':-1'),
      fc.oneof(fc.constantFrom('', '/', '/db', '/a/b', '/%00', '/%zz'), part),
      fc.constantFrom(
        ...['', '?', '?sslmode=require', '?sslmode=odd', '?host=/tmp', '?port=x', '?a=b&a=c'],
        ...[`?password=${secret}`, '?options=-c%20a%3Db', '?connect_timeout=-5', '?sslrootcert='],
      ),
    )
    .map((parts) => parts.join(''));
  const named = (name: string, value: fc.Arbitrary<string>) => value.map((text) => [name, text]);
  const setting = fc.oneof(
    named('EVDB_URL', url),
    named('DATABASE_URL', url),
    named('EVDB_MIGRATION_URL', url),
    named('DB_HOST', part),
    named('DB_PORT', fc.oneof(part, fc.integer().map(String))),
    named('DB_NAME', part),
    named('DB_PASSWORD', fc.constant(secret)),
    named('DB_SSL', part),
    named('PGHOST', part),
    named('PGPORT', part),
    named('PGPASSWORD', fc.constant(secret)),
    named('PGSSLMODE', part),
    named('PGOPTIONS', part),
    named('PGCONNECT_TIMEOUT', part),
    named('PGTARGETSESSIONATTRS', part),
    named('EVDB_SCHEMA', part),
    named('EVDB_LOCK_TIMEOUT', part),
  );
  return fc
    .array(setting, { maxLength: 5 })
    .map((entries) => Object.fromEntries(entries.map(([k, v]) => [k, v?.replaceAll('\0', '')])));
}

/** Lists of arguments from the words of the command line, with strange ones between them. */
export function argumentLists(): fc.Arbitrary<string[]> {
  const groups = fc.constantFrom(
    ...['migrate up', 'migrate down', 'migrate status', 'migrate plan', 'migrate validate', 'lint'],
    ...['migrate create', 'migrate baseline', 'migrate repair', 'migrate expand rename-column'],
    ...[
      'stats tables',
      'stats indexes',
      'stats',
      'doctor',
      'schema dump',
      'schema diff',
      'db ping',
    ],
    ...[
      'audit cleanup',
      'audit log',
      'events list',
      'events show',
      'rules check',
      'backfill status',
    ],
    ...['config', 'help', 'version', 'types', 'migrate', 'seed', 'events register'],
  );
  const option = fc.constantFrom(
    ...[
      '--json',
      '--to',
      '--steps',
      '--dry-run',
      '--strict',
      '--schema',
      '--env',
      '--days',
      '--all',
    ],
    ...[
      '--format',
      '--limit',
      '--lock-timeout',
      '--budget',
      '--since',
      '--check',
      '--verbose',
      '-q',
    ],
    ...['--no-color', '--migrations-dir', '--config', '--help', '--', '-', '--report', '--set'],
  );
  const value = fc.oneof(
    fc.constantFrom(
      '0',
      '1',
      '-1',
      '001',
      '1s',
      '5',
      'json',
      'sarif',
      'markdown',
      '1e9',
      'a=b',
      '',
    ),
    wildText(8),
  );
  return fc
    .tuple(groups, fc.array(fc.oneof(option, value), { maxLength: 5 }))
    .map(([group, rest]) => [...group.split(' '), ...rest.map((one) => one.replaceAll('\0', ''))]);
}

/** What may be found in `.evdb` after somebody, or a full disk, has been at it. */
export function embeddedState(home: string, secret: string) {
  const kept = { formatVersion: 1, home, version: '18.4', port: 5999, platform: process.platform };
  const key = fc.constantFrom('formatVersion', 'home', 'version', 'port', 'platform', 'databases');
  const changed = fc
    .tuple(key, fc.oneof(fc.jsonValue({ maxDepth: 2 }), wildText()))
    .map(([name, value]) => JSON.stringify({ ...kept, databases: {}, [name]: value }));
  // The process of the tests is somebody, but no server.
  const pid = fc.constantFrom(String(process.pid), '99999999', '0', '1.5', 'x', '');
  return fc.record({
    state: fc.oneof(
      changed,
      changed.chain((text) => fc.nat(text.length).map((at) => text.slice(0, at))),
      wildText(),
    ),
    pidFile: fc
      .tuple(pid, wildText(), fc.constantFrom('1', 'x', ''), fc.constantFrom('5999', '-1', 'x'))
      .map((lines) => [...lines, '', '', '', 'ready   '].join('\n')),
    password: fc.oneof(fc.constant(secret), wildText()),
  });
}

const STATEMENTS = [
  'create table t (id int primary key, name text not null default $$a;b$$, check (id > 0))',
  'alter table t add column c numeric(10, 2) default 1.5, add constraint k unique (c, id)',
  "insert into t (id, name) values (1, 'it''s'), (2, E'\\n') on conflict (id) do update set name = excluded.name",
  'create index concurrently if not exists i on t using btree (lower(name) desc nulls last) where id > 5',
  'create function f(a int, b text default null) returns int language sql immutable as $f$ select a $f$',
  'create or replace view v as with x as (select 1 as a union all select 2) select a, count(*) over () from x',
  'update t set name = upper(name) from (select 2 as id) s where s.id = t.id returning t.*',
  'create function g() returns int begin atomic select 1; select case when true then 2 else 3 end; end',
  'grant select (id), update on t to public with grant option',
  "comment on column t.id is U&'\\0061'",
  'select a[1:2], b ->> $$x$$, interval $$1 day$$, -1 % 2, b is not distinct from c from u, lateral (select 1) l',
  'merge into t using s on t.id = s.id when matched then delete when not matched then do nothing',
];

/** A good statement from which words were taken, doubled, swapped or changed. */
export function wornStatements(): fc.Arbitrary<string> {
  const wear = fc.tuple(
    fc.constantFrom('drop', 'double', 'swap', 'insert'),
    fc.nat(200),
    fc.constantFrom(
      '(',
      ')',
      ',',
      ';',
      "'",
      '"',
      '$$',
      '--',
      '/*',
      'select',
      'from',
      '1',
      '::',
      '@',
      '\\',
      'é',
    ),
  );
  return (
    fc
      .tuple(fc.constantFrom(...STATEMENTS), fc.array(wear, { minLength: 1, maxLength: 3 }))
      .map(([text, wears]) => wears.reduce(wearOut, text))
      // Several statements, or one that ends the transaction, would be judged one after another.
      .filter((text) => !/;/.test(text.replace(/\$\$a;b\$\$/, '')) || /begin atomic/.test(text))
  );
}

function wearOut(text: string, [how, place, word]: [string, number, string]): string {
  const words = text.split(/(?<=\s)|(?=[(),;])/);
  const at = place % words.length;
  const [before, here, after] = [words.slice(0, at), words[at] ?? '', words.slice(at + 1)];
  if (how === 'drop') return [...before, ...after].join('');
  if (how === 'double') return [...before, here, here, ...after].join('');
  if (how === 'swap') return [...before, after[0] ?? '', here, ...after.slice(1)].join('');
  return [...before, word, ' ', here, ...after].join('');
}
