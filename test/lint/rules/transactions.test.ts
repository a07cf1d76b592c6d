import { describe, expect, it } from 'vitest';
import { lint, script, verdicts } from '../lint-kit.ts';

describe('concurrently-in-tx', () => {
  const only = ['concurrently-in-tx'];

  it.each([
    'create index concurrently i on t (a)',
    'create unique index concurrently if not exists i on t (a)',
    'drop index concurrently i',
    'reindex index concurrently i',
    'reindex (concurrently) table t',
    'alter table t detach partition p concurrently',
    'vacuum t',
    'create database d',
    'alter system set work_mem = 1',
  ])('finds %s in a transaction', (text) => {
    expect(verdicts(lint(text, { only }))).toEqual(['concurrently-in-tx error']);
  });

  it('finds nothing in a no-transaction file, however many statements it holds', () => {
    const text =
      '-- evdb: no-transaction\ncreate index concurrently i on t (a);\nvacuum t;\nvacuum u;';
    expect(verdicts(lint(text, { only }))).toEqual([]);
  });

  it.each([
    'refresh materialized view concurrently m',
    'cluster t using i',
    'create index i on t (a)',
  ])('finds nothing in %s, which a transaction allows', (text) => {
    expect(verdicts(lint(text, { only }))).toEqual([]);
  });

  it('finds it in a block even where the file runs in no transaction', () => {
    const text = '-- evdb: no-transaction\ndo $$ begin vacuum t; end $$;';
    expect(verdicts(lint(text, { only }))).toEqual(['concurrently-in-tx error']);
  });

  it('stays an error in a down script, which would fail too', () => {
    const down = script('drop index concurrently i;', { direction: 'down' });
    const report = lint(down, { only });
    expect(verdicts(report)).toEqual(['concurrently-in-tx error']);
    expect(JSON.stringify(report.findings)).toContain('Start this down script with the line: ');
  });
});

describe('invalid-index-masked', () => {
  const only = ['invalid-index-masked'];

  it('warns of a concurrent build that takes what is there for good', () => {
    const text = '-- evdb: no-transaction\ncreate index concurrently if not exists i on t (a);';
    expect(verdicts(lint(text, { only }))).toEqual(['invalid-index-masked warning']);
  });

  it.each(['create index concurrently i on t (a)', 'create index if not exists i on t (a)'])(
    'finds nothing in %s',
    (text) => {
      expect(verdicts(lint(`-- evdb: no-transaction\n${text};`, { only }))).toEqual([]);
    },
  );

  it('warns of a constraint on an index that no migration makes', () => {
    const text = 'alter table t add constraint t_pkey primary key using index i;';
    expect(verdicts(lint(text, { only }))).toEqual(['invalid-index-masked warning']);
  });
});

describe('lock-timeout-override', () => {
  const only = ['lock-timeout-override'];

  it.each([
    "set lock_timeout = '0'",
    'set local lock_timeout = 0',
    'set lock_timeout to default',
    'reset lock_timeout',
    'reset all',
    'discard all',
    "select set_config('lock_timeout', '0', true)",
  ])('says that %s is in vain, as a dump has it', (text) => {
    expect(verdicts(lint(text, { only }))).toEqual(['lock-timeout-override info']);
  });

  it.each([
    "set lock_timeout = '11s'",
    "set local lock_timeout = '1min'",
    'set lock_timeout = 10001',
  ])('warns that %s is in vain', (text) => {
    expect(verdicts(lint(text, { only }))).toEqual(['lock-timeout-override warning']);
  });

  it('refuses to lock a table in no mode', () => {
    expect(verdicts(lint('lock table t', { only }))).toEqual(['lock-timeout-override error']);
  });

  it.each([
    "set lock_timeout = '10s'",
    'set local lock_timeout = 500',
    'set statement_timeout = 0',
    "select set_config('work_mem', '0', true)",
    'lock table t in share row exclusive mode',
    'create table n (a int); lock table n',
  ])('allows %s', (text) => {
    expect(verdicts(lint(text, { only }))).toEqual([]);
  });

  it('only warns of the strongest mode where it is named', () => {
    const text = 'lock table t in access exclusive mode';
    expect(verdicts(lint(text, { only }))).toEqual(['lock-timeout-override warning']);
  });

  it('takes the limit from the settings', () => {
    const settings = { maxLockTimeoutMs: 60_000 };
    expect(verdicts(lint("set lock_timeout = '1min'", { only, settings }))).toEqual([]);
  });

  it.each(['0', '11s'])('refuses a limit of %s inside of a block, where it holds', (limit) => {
    const text = `do $$ begin set local lock_timeout = '${limit}'; end $$`;
    expect(verdicts(lint(text, { only }))).toEqual(['lock-timeout-override error']);
  });
});

describe('enum-value-same-tx', () => {
  const only = ['enum-value-same-tx'];
  const before = "create type mood as enum ('sad'); create table t (id int, m mood, name text);";

  it.each([
    "update t set m = 'happy' where id = 1",
    "insert into t (m) values ('happy')",
    "alter table t alter column m set default 'happy'",
    "alter table u add column x mood default 'happy'",
    "create index on t (id) where m = 'happy'",
    "select 'happy'::mood",
    "do $$ begin update t set m = 'happy'; end $$",
  ])('refuses the value in %s', (text) => {
    const added = `alter type mood add value 'happy';\n${text};`;
    expect(verdicts(lint(added, { only, before }))).toEqual(['enum-value-same-tx error']);
  });

  it('allows it from 17 on where the type is made in the same transaction', () => {
    const text = `create type mood as enum ('sad'); alter type mood add value 'happy'; select 'happy'::mood;`;
    expect(verdicts(lint(text, { only, settings: { serverVersion: 170_000 } }))).toEqual([]);
    expect(verdicts(lint(text, { only }))).toEqual(['enum-value-same-tx error']);
  });

  it('allows it in a no-transaction file', () => {
    const text = `-- evdb: no-transaction\nalter type mood add value 'happy'; update t set m = 'happy';`;
    expect(verdicts(lint(text, { only, before }))).toEqual([]);
  });

  it.each(["update t set m = 'sad'", "alter type mood add value 'glad' after 'happy'"])(
    'allows %s',
    (text) => {
      const added = `alter type mood add value 'happy';\n${text};`;
      expect(verdicts(lint(added, { only, before }))).toEqual([]);
    },
  );

  it('does not take a renamed value for a new one', () => {
    const text = "alter type mood rename value 'sad' to 'happy'; update t set m = 'happy';";
    expect(verdicts(lint(text, { only, before }))).toEqual([]);
  });
});

describe('what stands inside create schema', () => {
  it('is made by the file, in that schema', () => {
    const text = `create index i on t (a);
      create schema s create table n (id int) create index on n (id) create view v as select * from n;
      alter table s.n add column z int not null; create index on s.n (z);`;
    const found = lint(text).findings.filter(({ line }) => line > 1);
    expect(found).toEqual([]);
  });
});
