import { expect } from 'vitest';
import { drawDiagram } from '../../src/diagram/draw.ts';
import { connectionTo, test } from '../support/sessions.ts';

test('the database is drawn like its dump', async ({ db }) => {
  const options = { directory: 'migrations', columns: 'all' } as const;
  const source = { kind: 'file', path: 'migrations/structure.sql' } as const;
  const live = await drawDiagram({ ...options, connection: await connectionTo(db.url) });
  const dumped = await drawDiagram({ ...options, source });
  expect(live.tables.map(({ partitions, ...table }) => table)).toEqual(
    dumped.tables.map(({ partitions, ...table }) => table),
  );
  expect(live.references).toEqual(dumped.references);
  // A dump of the event schema leaves the months out, and the database has some.
  const partitions = live.tables.filter((table) => table.partitions > 0);
  expect(partitions.map(({ name }) => name)).toEqual(['audit_logs']);
});
