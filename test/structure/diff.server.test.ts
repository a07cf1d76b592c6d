import { describe, expect } from 'vitest';
import { describeDifferences, diffStructures } from '../../src/structure/diff.ts';
import { STRUCTURE_KINDS } from '../../src/structure/structure.ts';
import { CHANGES } from './structure-changes.ts';
import { type StructureStage, test } from './structure-stage.ts';

test('a structure does not differ from itself', async ({ stage }) => {
  await stage.makeEveryKind();
  expect(diffStructures(await stage.read(), await stage.read())).toEqual([]);
});

test('a change by hand of every kind of object is found', async ({ stage }) => {
  await stage.makeEveryKind();
  const [server] =
    await stage.sql`select current_setting('server_version_num')::integer as version`;
  let before = await stage.read();
  for (const [statement, says, since = 0] of CHANGES) {
    if (server?.version < since) continue;
    await stage.sql.unsafe(statement);
    const after = await stage.read();
    const heads = describeDifferences(diffStructures(before, after)).map(
      (line) => line.split(': ')[0],
    );
    expect(heads, statement).toContain(says);
    before = after;
  }
});

test('the changes by hand are of every kind', () => {
  const changed = CHANGES.map(([, says]) => says.slice(2));
  const missing = STRUCTURE_KINDS.filter(
    (kind) => !changed.some((name) => name.startsWith(`${kind} `)),
  );
  expect(missing).toEqual([]);
});

describe('what is said of a difference', () => {
  async function differences(
    stage: StructureStage,
    before: string,
    after: string,
  ): Promise<string[]> {
    await stage.sql.unsafe(before);
    const from = await stage.read({ schemas: ['public'] });
    await stage.sql.unsafe(after);
    return describeDifferences(diffStructures(from, await stage.read({ schemas: ['public'] })));
  }

  test('is one line for a table that is new or gone', async ({ stage }) => {
    expect(
      await differences(
        stage,
        'create table gone (id integer primary key, a text default 1)',
        'drop table gone; create table new (id integer primary key)',
      ),
    ).toEqual(['- table public.gone: id, a', '+ table public.new: id']);
  });

  test('is the type with what belongs to it for a column', async ({ stage }) => {
    expect(
      await differences(
        stage,
        'create table t (a integer)',
        `alter table t add b text not null default 'x', alter a type bigint`,
      ),
    ).toEqual([
      '~ column public.t.a',
      '-   type: integer',
      '+   type: bigint',
      "+ column public.t.b: text default 'x'::text not null",
    ]);
  });

  test('is the lines of a body that changed', async ({ stage }) => {
    const body = (line: string) =>
      `create or replace function f() returns integer language plpgsql as $$\nbegin\n    -- one\n    -- two\n    -- three\n    ${line}\nend\n$$`;
    expect(await differences(stage, body('return 1;'), body('return 2;'))).toEqual([
      '~ function public.f()',
      '  definition:',
      '          -- two',
      '          -- three',
      '-         return 1;',
      '+         return 2;',
      '      end',
      '      $function$',
    ]);
  });

  test('is the privilege that changed, and not those that stayed', async ({ stage }) => {
    expect(
      await differences(
        stage,
        'create table t (a integer); grant select on t to pg_monitor',
        'grant delete on t to pg_read_all_stats',
      ),
    ).toEqual(['~ table public.t', '+   grants: grant delete to pg_read_all_stats']);
  });

  test('is nothing where a column only moved because others came and went', async ({ stage }) => {
    expect(
      await differences(
        stage,
        'create table t (a integer, b integer, c integer)',
        'alter table t drop b, add d integer',
      ),
    ).toEqual(['- column public.t.b: integer', '+ column public.t.d: integer']);
  });

  test('is the new order where columns changed places', async ({ stage }) => {
    expect(
      await differences(
        stage,
        'create table t (a integer, b integer)',
        'alter table t drop a; alter table t add a integer',
      ),
    ).toEqual(['~ table public.t', '-   order of columns: a, b', '+   order of columns: b, a']);
  });
});
