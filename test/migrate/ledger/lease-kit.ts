import { expect } from 'vitest';
import type { MigrateOptions } from '../../../src/index.ts';
import { LIES, startLyingServer } from '../../support/lying-server.ts';
import { test as base, type MigrateStage } from '../../support/migrate-kit.ts';

/** Options of runners with a lease, on a server where an advisory lock keeps nobody out. */
export const test = base.extend<{ $test: { leased: MigrateOptions } }>({
  leased: async ({ stage }, use) => {
    const server = await startLyingServer(stage.url, LIES.sharedLocks);
    await use({ ...(await stage.optionsFor(server.url)), lock: 'lease', leaseMs: 60_000 });
    await server.close();
  },
});

/** Of another runner. */
export const TOKEN = '00000000-0000-4000-8000-000000000001';

/** Another runner has the lease now, as after one that was stopped for long. */
export async function takeOver({ sql }: MigrateStage): Promise<void> {
  const taken =
    await sql`update evdb.lease set token = ${TOKEN}::uuid where target_schema = 'public'`;
  expect(taken.count).toBe(1);
}
