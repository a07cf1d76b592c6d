// What lint costs beside the parser alone, and a lint of one file beside an empty Node process.
//
// "Parse alone" makes the calls that lint makes of the parser, over the same texts, trees handed over:
// each statement once, and the bodies of do blocks with what stands in them. Both are CPU time of this
// process, garbage collection with its threads included. The files have about 20 lines, as migrations
// that people write have: tables with constraints, indexes, views, functions, changes of what is there.
//
// Usage: node bench/lint.mjs [--rounds 7] [--files 1000] [--inherit-env]
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readArguments } from './support/arguments.mjs';
import { EVDB, importLibrary } from './support/build.mjs';
import { timeProcess } from './support/process.mjs';
import { round, writeReport } from './support/report.mjs';
import { ratioOf } from './support/rows.mjs';
import { interleave, median, medianRatio } from './support/statistics.mjs';

const { lintScripts, loadSqlParser } = await importLibrary('index.lint.js');

const PARSER = 'parse alone';
const LINT = 'lint';
const BASE = 'node -e 0';
const ONE = 'evdb lint one.sql';

const { rounds, files } = readArguments({ rounds: 7, files: [1000] });
const [count] = files;
const texts = Array.from({ length: count }, (_, index) => renderMigration(index));
const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);

const parser = await loadSqlParser();
const scripts = texts.map((text, index) => ({
  path: `migrations/${String(index + 1).padStart(6, '0')}_change.sql`,
  text,
  direction: 'up',
  isTransactional: true,
  isJudged: true,
}));

const calls = recordCalls();
const inProcess = {
  [PARSER]: async () => cpuMs(() => calls.forEach(({ call, text }) => void parser[call](text))),
  [LINT]: async () => cpuMs(() => lintScripts(scripts, { parser, isHistoryWhole: true })),
};
// The first round warms both up.
const times = await interleave(inProcess, rounds + 1);
for (const name of [PARSER, LINT]) times[name].shift();
const { findings, statements } = lintScripts(scripts, { parser, isHistoryWhole: true });

const directory = mkdtempSync(join(tmpdir(), 'evdb-bench-lint-'));
mkdirSync(join(directory, 'alone'));
writeFileSync(join(directory, 'alone', 'one.sql'), texts[1]);
const wallMs = async (args) =>
  (await timeProcess(process.execPath, args, { cwd: join(directory, 'alone') })).wallMs;
Object.assign(
  times,
  await interleave(
    {
      [BASE]: () => wallMs(['-e', '0']),
      // Finds nothing above information, so it exits 0.
      [ONE]: () => wallMs([EVDB, 'lint', '--rule', 'opaque-sql', 'one.sql']),
    },
    rounds * 4,
  ),
);
rmSync(directory, { recursive: true });

const ratios = {
  [LINT]: medianRatio(times[LINT], times[PARSER]),
  [ONE]: medianRatio(times[ONE], times[BASE]),
};
writeReport('lint', {
  title: `lint: ${count} files, ${statements} statements, ${Math.round(bytes / 1024)} kB, ${findings.length} findings, ${rounds} rounds`,
  head: ['what', 'median ms', 'fastest ms', 'slowest ms', 'ratio'],
  rows: Object.entries(times).map(([name, ms]) => [
    name,
    round(median(ms), 1),
    round(Math.min(...ms), 1),
    round(Math.max(...ms), 1),
    name in ratios ? round(ratios[name]) : '',
  ]),
  figures: [
    ratioOf('5', times[ONE], times[BASE], { unit: 'ms' }),
    ratioOf('6', times[LINT], times[PARSER], { unit: 'ms' }),
  ],
  data: { files: count, statements, bytes, findings: findings.length, rounds, ratios, times },
});

/** What lint asks of the parser, in its order. */
function recordCalls() {
  const recorded = [];
  const record = (call) => (text) => {
    recorded.push({ call, text });
    return parser[call](text);
  };
  const recorder = { ...parser, parse: record('parse'), parseRoutine: record('parseRoutine') };
  lintScripts(scripts, { parser: recorder, isHistoryWhole: true });
  return recorded;
}

function cpuMs(work) {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

/** Every fourth makes tables; the others change those of earlier ones, some of it badly. */
function renderMigration(index) {
  const table = `account_${index - (index % 4)}`;
  switch (index % 4) {
    case 0:
      return `-- The accounts of tenant ${index}.
create table ${table} (
    id bigint generated always as identity primary key,
    email text not null unique,
    name text,
    balance numeric(12, 2) not null default 0 check (balance >= 0),
    status text not null default 'open' check (status in ('open', 'frozen', 'old')),
    created_at timestamptz not null default now(),
    constraint ${table}_name_check check (length(name) between 1 and 200)
);
create index ${table}_name_idx on ${table} (name) where status = 'open';
create table ${table}_entry (
    id bigint generated always as identity primary key,
    account_id bigint not null references ${table} (id) on delete cascade,
    amount numeric(12, 2) not null,
    currency char(3) not null default 'EUR',
    reference text,
    booked_at timestamptz not null default now(),
    unique (account_id, reference)
);
create index ${table}_entry_account_idx on ${table}_entry (account_id);
comment on table ${table} is 'One row for each account of tenant ${index}.';
`;
    case 1:
      return `alter table ${table}
    add column locale text not null default 'en',
    add column last_seen_at timestamptz,
    add constraint ${table}_locale_check check (length(locale) = 2) not valid;
alter table ${table} validate constraint ${table}_locale_check;
update ${table} set last_seen_at = created_at where last_seen_at is null;

-- Who may act for an account, and since when.
create table ${table}_delegate (
    account_id bigint not null references ${table} (id) on delete cascade,
    delegate_id bigint not null references ${table} (id),
    role text not null default 'reader' check (role in ('reader', 'writer', 'owner')),
    granted_at timestamptz not null default now(),
    revoked_at timestamptz,
    primary key (account_id, delegate_id),
    constraint ${table}_delegate_self_check check (account_id <> delegate_id)
);
create index ${table}_delegate_delegate_idx
    on ${table}_delegate (delegate_id)
    where revoked_at is null;
`;
    case 2:
      return `create or replace function ${table}_touch() returns trigger language plpgsql as $$
begin
    new.last_seen_at := now();
    return new;
end;
$$;
create trigger ${table}_touch before update on ${table}
    for each row execute function ${table}_touch();
create view ${table}_open as
select
    a.id,
    a.email,
    coalesce(sum(e.amount), 0) as total
from ${table} as a
left join ${table}_entry as e on e.account_id = a.id
where a.status = 'open'
group by a.id, a.email;
`;
    default:
      return `alter table ${table} alter column name set not null;
create index ${table}_status_idx on ${table} (status, created_at);
insert into ${table} (email, name) values ('root@example.org', 'root') on conflict do nothing;
do $$
begin
    if exists (select 1 from ${table} where status = 'old') then
        delete from ${table}_entry where booked_at < now() - interval '10 years';
    end if;
end
$$;
create table ${table}_note (
    id bigint generated always as identity primary key,
    account_id bigint not null references ${table} (id),
    body text not null,
    written_at timestamptz not null default now()
);
create index ${table}_note_account_idx on ${table}_note (account_id, written_at desc);
`;
  }
}
