import { readFileSync } from 'node:fs';
import { test as base, type MigrateStage } from '../support/migrate-kit.ts';

const STAND_IN = readFileSync('test/support/citus-stand-in.sql', 'utf8');

/** `test` with a stage whose database looks to evdb as that of a Citus coordinator; it is none. */
export const test = base.extend<{ $test: { cluster: MigrateStage } }>({
  cluster: async ({ stage }, use) => {
    await stage.sql.unsafe(STAND_IN).simple();
    await use(stage);
  },
});
