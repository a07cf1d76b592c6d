import type { Adapter } from './foreign.ts';
import { readPairs } from './golang-migrate.ts';

/** Pairs of `N_name.up.sql` and `N_name.down.sql` that somebody ran by hand, or a script: no table. */
export const pairs: Adapter = {
  tool: 'pairs',
  folders: ['migrations', 'db/migrations', 'sql'],
  table: null,
  isSql: (path) => /\.(up|down)\.sql$/.test(path),
  readFiles: (files) =>
    readPairs(
      files.filter(({ path }) => path.endsWith('.sql')),
      'pairs',
    ),
  rowsSql: () => '',
  readRows: () => ({ rows: [], findings: [] }),
};
