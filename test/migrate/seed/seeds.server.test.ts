import { join } from 'node:path';
import { expect } from 'vitest';
import { applySeeds, migrateUp, planSeeds, readStatus, resetSchema } from '../../../src/index.ts';
import { test as base, type MigrateStage } from '../../support/migrate-kit.ts';
import { failureOf } from '../../support/waiting.ts';

interface Seeds {
  options: Parameters<typeof applySeeds>[0];
  write(name: string, text: string): Promise<void>;
  names(): Promise<string[]>;
}

const test = base.extend<{ seeds: Seeds }>({
  seeds: async ({ stage, project }, use) => {
    await stage.migration('001_plans', 'create table plans (name text unique);');
    await migrateUp(stage.options);
    await use({
      options: { ...stage.options, directory: join(project.dir, 'seeds') },
      write: async (name, text) => void (await project.write(`seeds/${name}`, text)),
      names: async () =>
        (await stage.sql`select name from plans order by 1`).map((row) => row.name),
    });
  },
});

const decisions = ({ seeds }: { seeds: { name: string; decision: string }[] }) =>
  seeds.map(({ name, decision }) => `${name} ${decision}`);

const historyOf = ({ sql }: MigrateStage) =>
  sql`select action, name from evdb.history where label = 'seed' and version is null order by id`;

const AGAIN = `insert into plans values ('a') on conflict do nothing;`;
const ONCE = `-- evdb: once\ninsert into plans values ('once');`;

test('applies them in order, those of the environment last, and again without harm', async ({
  stage,
  seeds,
}) => {
  await seeds.write('020_once.sql', ONCE);
  await seeds.write('010_again.sql', AGAIN);
  await seeds.write('prod/000_own.sql', `insert into plans values ('own') on conflict do nothing;`);
  await seeds.write('other/000_own.sql', 'select 1/0;');
  const options = { ...seeds.options, environment: 'prod' };
  const first = ['010_again.sql run', '020_once.sql run', 'prod/000_own.sql run'];
  expect(decisions(await planSeeds(options))).toEqual(first);
  expect(await seeds.names()).toEqual([]);
  expect(decisions(await applySeeds(options))).toEqual(first);
  expect(await seeds.names()).toEqual(['a', 'once', 'own']);
  expect(decisions(await applySeeds(options))).toEqual([
    ...['010_again.sql run', '020_once.sql skip', 'prod/000_own.sql run'],
  ]);
  expect((await historyOf(stage)).map(({ action, name }) => `${action} ${name}`)).toEqual([
    ...['up 010_again.sql', 'up 020_once.sql', 'up prod/000_own.sql'],
    ...['up 010_again.sql', 'up prod/000_own.sql'],
  ]);
  expect(await readStatus(stage.options)).toMatchObject({ migrations: [{ label: '001' }] });
});

test('tells that one which is applied once has changed, and leaves it alone', async ({
  stage,
  seeds,
}) => {
  await seeds.write('020_once.sql', ONCE);
  await applySeeds(seeds.options);
  await seeds.write('020_once.sql', `${ONCE} insert into plans values ('more');`);
  expect(decisions(await applySeeds(seeds.options))).toEqual(['020_once.sql changed']);
  expect(await seeds.names()).toEqual(['once']);
  await resetSchema({ ...stage.options, confirm: true });
  expect(decisions(await applySeeds(seeds.options))).toEqual(['020_once.sql run']);
  expect(await seeds.names()).toEqual(['more', 'once']);
});

test('leaves nothing of one that fails, and runs nothing behind it', async ({ stage, seeds }) => {
  await seeds.write('010_a.sql', AGAIN);
  await seeds.write(
    '020_b.sql',
    `-- evdb: once\ninsert into plans values ('b');\nselect 1 from nix;`,
  );
  await seeds.write('030_c.sql', `insert into plans values ('c');`);
  expect(await failureOf(applySeeds(seeds.options))).toMatchObject({
    code: 'MIGRATION_FAILED',
    location: { line: 3, column: 15 },
    hint: expect.stringContaining('Nothing of 020_b.sql was applied'),
  });
  expect(await seeds.names()).toEqual(['a']);
  expect(await historyOf(stage)).toMatchObject([{ action: 'up' }, { action: 'failed' }]);
  await seeds.write('020_b.sql', `-- evdb: once\ninsert into plans values ('b');`);
  expect(decisions(await applySeeds(seeds.options))[1]).toBe('020_b.sql run');
});

test('takes the values of variables, and refuses what is for migrations', async ({
  stage,
  seeds,
}) => {
  await seeds.write('010_a.sql', `-- evdb: variables who\ninsert into plans values (:'who');`);
  expect(await failureOf(applySeeds(seeds.options))).toMatchObject({ code: 'VARIABLE_UNSET' });
  await applySeeds({ ...seeds.options, variables: { who: "o'neil" } });
  expect(await seeds.names()).toEqual(["o'neil"]);
  await seeds.write('010_a.sql', '-- evdb: no-transaction\nvacuum;');
  expect(await failureOf(planSeeds(seeds.options))).toMatchObject({ code: 'DIRECTIVE_INVALID' });
  await stage.migration('002_b', '-- evdb: once\nselect 1;');
  expect(await failureOf(migrateUp(stage.options))).toMatchObject({ code: 'DIRECTIVE_INVALID' });
  const nowhere = { ...seeds.options, directory: join(seeds.options.directory, 'nowhere') };
  expect(await failureOf(planSeeds(nowhere))).toMatchObject({ code: 'SEEDS_MISSING' });
});

test('applies once what two runners are asked for at the same time', async ({ stage, seeds }) => {
  await seeds.write('020_once.sql', ONCE);
  const results = await Promise.all([applySeeds(seeds.options), applySeeds(seeds.options)]);
  expect(results.flatMap(decisions).sort()).toEqual(['020_once.sql run', '020_once.sql skip']);
  expect(await historyOf(stage)).toHaveLength(1);
});
