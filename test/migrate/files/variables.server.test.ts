import { describe, expect } from 'vitest';
import { lintMigrations } from '../../../src/index.lint.ts';
import { compareStructures } from '../../../src/index.ops.ts';
import {
  migrateDown,
  migrateUp,
  planImpact,
  planMigrateUp,
  readStatus,
  validateMigrations,
} from '../../../src/index.ts';
import { test } from '../../support/migrate-kit.ts';
import { failureOf } from '../../support/waiting.ts';

const UP = `-- evdb: variables tab, word
create table :"tab" (id int primary key, word text default :'word');
insert into :"tab" values (1); -- :"tab" stays
`;
const DOWN = `-- evdb: variables tab\ndrop table :"tab";`;
const VALUES = { tab: 'a "long" näme', word: "it's \\ \n😀" };

describe('a script with variables', () => {
  test('runs with their values, up and down, from the file and from the ledger', async ({
    stage,
  }) => {
    const options = { ...stage.options, variables: VALUES };
    await stage.migration('001_t', UP, DOWN);
    for (const fromLedger of [false, true]) {
      await migrateUp(options);
      expect(await stage.sql`select word from ${stage.sql(VALUES.tab)}`).toEqual([
        { word: VALUES.word },
      ]);
      const [kept] = await stage.sql`select up_text, down_text from evdb.migration_text`;
      expect(kept).toEqual({ up_text: UP, down_text: DOWN });
      const unset = await failureOf(migrateDown({ ...stage.options, fromLedger }));
      expect(unset).toMatchObject({ code: 'VARIABLE_UNSET' });
      await migrateDown({ ...options, fromLedger });
      expect(await stage.relations()).toEqual([]);
    }
  });

  test('is the same migration with other values', async ({ stage }) => {
    await stage.migration('001_t', UP, DOWN);
    await migrateUp({ ...stage.options, variables: VALUES });
    const others = { ...stage.options, variables: { tab: 'other', word: 'x' } };
    expect(await migrateUp(others)).toMatchObject({ steps: [], warnings: [] });
    expect(await readStatus(stage.options)).toMatchObject({ migrations: [{ state: 'applied' }] });
  });

  test('is refused where one has no value, before anything runs, with all files', async ({
    stage,
  }) => {
    await stage.migration('001_a', 'create table a ();');
    await stage.migration('002_b', `-- evdb: variables x, y\nselect :'x', :'y';`);
    await stage.migration('003_c', `-- evdb: variables x\nselect :'x';`);
    const options = { ...stage.options, variables: { y: '1' } };
    for (const work of [migrateUp, planMigrateUp]) {
      expect(await failureOf(work(options))).toMatchObject({
        code: 'VARIABLE_UNSET',
        message: expect.stringMatching(
          /^a variable has no value: "x" \(\S+002_b.sql, \S+003_c.sql\)$/,
        ),
        hint: expect.stringContaining('EVDB_VAR_X'),
      });
    }
    expect(await stage.relations()).toEqual([]);
  });

  test.for([
    ['transaction', ''],
    ['no transaction', '-- evdb: no-transaction\n'],
  ])('shows errors where the file has them, in %s', async ([, head], { stage }) => {
    const text = `${head}-- evdb: variables tab\ncreate table :"tab" (a int);
select 1 from :"tab"
  where :'tab' = '' or "😀" = 1 -- :"tab"`;
    await stage.migration('001_t', text);
    const variables = { tab: `${'x'.repeat(40)} \n "` };
    expect(await failureOf(migrateUp({ ...stage.options, variables }))).toMatchObject({
      code: 'MIGRATION_FAILED',
      location: { line: head === '' ? 4 : 5, column: 24 },
      excerpt: expect.stringContaining(`where :'tab' = '' or`),
      server: { sqlstate: '42703' },
    });
  });

  test('shows an error in a value at the variable', async ({ stage }) => {
    await stage.migration('001_t', `-- evdb: variables r\nselect 1 as "ä", :'r'::regrole, 2;`);
    const variables = { r: 'nobody at all' };
    expect(await failureOf(migrateUp({ ...stage.options, variables }))).toMatchObject({
      location: { line: 2, column: 18 },
    });
  });

  test('runs with them in batches, in gates, and in a resumed script', async ({ stage }) => {
    const options = { ...stage.options, variables: { tab: 'T 1', n: '2' } };
    await stage.migration(
      '001_t',
      `-- evdb: variables tab\ncreate table :"tab" (id int primary key, n int); insert into :"tab" values (1), (2);`,
    );
    await stage.migration(
      '002_fill',
      `-- evdb: variables tab, n\n-- evdb: require select count(*) = :'n'::int from :"tab"\n-- evdb: backfill "T 1"\nupdate :"tab" set n = :'n' where n is null;`,
    );
    const resumed = `-- evdb: no-transaction\n-- evdb: variables tab\ncreate index concurrently on :"tab" (n);\nalter table :"tab" add m int;\nalter table :"tab" drop nothing;`;
    await stage.migration('003_resumed', resumed);
    expect(await failureOf(migrateUp(options))).toMatchObject({ location: { line: 5 } });
    await stage.migration('003_resumed', resumed.replace('drop nothing', 'drop m'));
    expect(await migrateUp(options)).toMatchObject({ steps: [{ label: '003' }] });
    expect(await stage.sql`select * from "T 1" order by 1`).toEqual([
      { id: 1, n: 2 },
      { id: 2, n: 2 },
    ]);
  });

  test('is planned with its values, and replayed with them', async ({ stage }) => {
    const options = { ...stage.options, variables: VALUES };
    await stage.migration('001_t', UP, DOWN);
    const plan = await planImpact({ ...options, trace: 'beside' });
    expect(plan.steps[0]?.statements).toMatchObject([
      {
        text: expect.stringContaining('create table "a ""long"" näme"'),
        trace: { outcome: 'traced' },
      },
      { line: 3, trace: { outcome: 'traced' } },
    ]);
    const { findings, proven } = await validateMigrations({ ...options, shadow: {} });
    expect({ findings, proven }).toEqual({ findings: [], proven: ['001_t'] });
    await migrateUp(options);
    const structures = { from: { kind: 'migrations' }, to: { kind: 'live' } } as const;
    expect(await compareStructures({ ...options, ...structures })).toMatchObject({
      differences: [],
    });
    const applied = { from: { kind: 'applied' }, to: { kind: 'live' } } as const;
    expect(await compareStructures({ ...options, ...applied })).toMatchObject({ differences: [] });
    expect(await failureOf(compareStructures({ ...stage.options, ...structures }))).toMatchObject({
      code: 'VARIABLE_UNSET',
    });
  });
});

describe('what only looks at a script', () => {
  test('needs no values, and shows places of the file', async ({ stage }) => {
    const { directory } = stage.options;
    await stage.migration(
      '001_t',
      `-- evdb: variables tab\ncreate table :"tab" (a int);`,
      `-- evdb: variables tab\ndrop table :"tab";`,
    );
    await stage.migration(
      '002_t',
      `-- evdb: variables tab, app\nselect :'app'; alter table :"tab" add b int, add c int not null;`,
      `-- evdb: variables tab\nalter table :"tab" drop b, drop c;`,
    );
    const found = async (variables?: Record<string, string>) => {
      const { findings } = await lintMigrations({ directory, variables });
      return findings
        .filter(({ location }) => location.file.endsWith('002_t.sql'))
        .map(({ code, location, details }) => ({
          code,
          place: [location.line, location.column, location.endColumn],
          fingerprint: details.fingerprint,
        }));
    };
    const without = await found();
    expect(without).toMatchObject([{ code: 'add-required-column', place: [2, 56, 64] }]);
    expect(await found({ tab: 'a very long name indeed', app: 'x' })).toEqual(without);
    expect(await validateMigrations({ directory })).toMatchObject({
      findings: [{ code: 'add-required-column' }],
    });
  });

  test('tells of what is not declared, and of what is not used', async ({ stage }) => {
    await stage.migration('001_t', `-- evdb: variables a\nselect :"b";`, 'select 1;');
    const { findings } = await validateMigrations(stage.options);
    expect(findings).toMatchObject([
      { code: 'DIRECTIVE_INVALID', message: 'the variable "a" is declared and never used' },
      { code: 'VARIABLE_UNDECLARED', location: { line: 2, column: 8 } },
    ]);
  });
});
