import { expect } from 'vitest';
import { type Paced, test } from './apply-kit.ts';

const view = (columns: string) => `create or replace view names as select ${columns} from users;\n`;

/** Making the second one takes as long as the test wants. */
const SLOW = `drop materialized view if exists slow;
create materialized view slow as
select names.*, pace.seconds, pg_sleep(pace.seconds)::text from test.pace left join names on true;
create index on slow (id);\n`;

const definitions = async ({ db }: Paced) => {
  const [row] = await db.sql`
    select pg_get_viewdef('names'::regclass) as names, pg_get_viewdef('slow'::regclass) as slow,
      (select string_agg(concat_ws(' ', name, generation), ', ' order by name) from evdb.repeatable) as rows,
      (select count(*)::int from evdb.repeatable_text) as texts`;
  return row;
};

test('leaves all of them as they were where kill -9 ends a run in the middle, and the next run applies them', async ({
  paced,
  project,
}) => {
  await paced.speedUp();
  await project.write('migrations/repeatable/names.sql', view('id'));
  await project.write('migrations/repeatable/slow.sql', SLOW);
  expect(await paced.evdb('migrate', 'up')).toMatchObject({ code: 0 });
  const before = await definitions(paced);
  expect(before).toMatchObject({ rows: 'names 1, slow 1', texts: 2 });

  await paced.db.sql`update test.pace set seconds = 600`;
  await project.write('migrations/repeatable/names.sql', view('id, id as again'));
  await project.write('migrations/repeatable/slow.sql', `${SLOW}create index on slow (again);\n`);
  const killed = paced.start('migrate', 'up');
  const pid = await paced.isInTheMiddle();
  killed.child.kill('SIGKILL');
  expect(await killed.result).toMatchObject({ signal: 'SIGKILL' });
  await paced.db.sql`select pg_terminate_backend(${pid})`;
  expect(await definitions(paced)).toEqual(before);

  await paced.speedUp();
  const next = await paced.evdb('migrate', 'up');
  expect(next).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^applied {6}repeatable\/names, slow/),
  });
  expect(await definitions(paced)).toMatchObject({ rows: 'names 2, slow 2', texts: 4 });
  expect(await paced.locks()).toBe(0);
});
