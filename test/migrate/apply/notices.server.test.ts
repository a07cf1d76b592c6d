import { expect } from 'vitest';
import { migrateDown, migrateUp } from '../../../src/index.ts';
import { type MigrateStage, test } from '../../support/migrate-kit.ts';
import { failureOf } from '../../support/waiting.ts';

/** Each as `001 up :2:1 NOTICE text`. */
function heardOf(stage: MigrateStage): string[] {
  return stage.heard.flatMap((one) => {
    if (one.kind !== 'notice') return [];
    const { label, direction, location, severity, message } = one.notice;
    return [`${label} ${direction} ${location.line}:${location.column} ${severity} ${message}`];
  });
}

const SAY = (text: string) => `do $$ begin raise notice '${text}'; end $$;`;

for (const header of ['', '-- evdb: no-transaction\n']) {
  const where = header ? 'without a transaction' : 'in a transaction';
  const line = header ? 2 : 1;

  test(`tells once what a try says again that had to be repeated, ${where}`, async ({ stage }) => {
    await stage.sql`create table busy ()`;
    const blocker = stage.openOther();
    await blocker`begin`;
    await blocker`lock table busy`;
    const text = `do $$ begin raise notice 'first'; lock table busy; raise notice 'second'; end $$;`;
    await stage.migration('001_a', `${header}${text}`);
    const run = migrateUp({
      ...stage.options,
      lockTimeoutMs: 50,
      onProgress: (progress) => {
        stage.heard.push(progress);
        if (progress.kind === 'retry') void blocker`commit`.catch(() => undefined);
      },
    });
    const { notices } = await run;
    expect(stage.heard.some(({ kind }) => kind === 'retry')).toBe(true);
    expect(heardOf(stage)).toEqual([
      `001 up ${line}:1 NOTICE first`,
      `001 up ${line}:1 NOTICE second`,
    ]);
    expect(notices).toHaveLength(2);
  });

  test(`tells what a deferred trigger says as of the last statement, ${where}`, async ({
    stage,
  }) => {
    await stage.sql.unsafe(`create table t (id int);
      create function say() returns trigger language plpgsql as
        $$ begin raise warning 'deferred %', new.id; return null; end $$;
      create constraint trigger later after insert on t
        deferrable initially deferred for each row execute function say();`);
    await stage.migration('001_a', `${header}insert into t values (1);`);
    await migrateUp(stage.options);
    expect(heardOf(stage)).toEqual([`001 up ${line}:1 WARNING deferred 1`]);
  });
}

test('tells what a trigger says about the rows of a copy', async ({ stage }) => {
  await stage.sql.unsafe(`create table t (id int);
    create function say() returns trigger language plpgsql as
      $$ begin raise notice 'row %', new.id; return new; end $$;
    create trigger early before insert on t for each row execute function say();`);
  await stage.migration('001_a', 'select 1;\ncopy t from stdin;\n1\n2\n\\.\n');
  await migrateUp(stage.options);
  expect(heardOf(stage)).toEqual(['001 up 2:1 NOTICE row 1', '001 up 2:1 NOTICE row 2']);
});

test('tells of a script that the ledger kept where it was kept', async ({ stage }) => {
  await stage.migration('001_a', 'select 1;', SAY('going down'));
  await migrateUp(stage.options);
  await stage.remove('001_a');
  const { notices } = await migrateDown({ ...stage.options, fromLedger: true });
  expect(notices).toMatchObject([
    { direction: 'down', location: { file: 'ledger:001_a.down.sql', line: 1 } },
  ]);
});

test('hands over fifty of a hundred thousand, each of bounded length', async ({ stage }) => {
  await stage.migration(
    '001_a',
    `do $$ begin for i in 1..100000 loop raise notice '% %', i, repeat('x', 5000); end loop; end $$;`,
  );
  const { notices, noticesLeftOut } = await migrateUp(stage.options);
  expect(notices).toHaveLength(50);
  expect(noticesLeftOut).toBe(99_950);
  expect(stage.heard.filter(({ kind }) => kind === 'notice')).toHaveLength(50);
  expect(stage.heard).toContainEqual(
    expect.objectContaining({ kind: 'notices-left-out', count: 99_950 }),
  );
  expect(Math.max(...notices.map(({ message }) => message.length))).toBeLessThan(2_010);
});

test('gives a failure what was said before it', async ({ stage }) => {
  await stage.migration('001_a', `${SAY('one')}\n${SAY('two')}\nselect 1 / 0;`);
  expect(await failureOf(migrateUp(stage.options))).toMatchObject({
    details: { notices: [{ message: 'one' }, { message: 'two' }] },
  });
});
