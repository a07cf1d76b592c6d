import type { Session } from '../connection/session.ts';
import { EvdbError } from '../errors.ts';

/**
 * Refuses a node of a Citus cluster that is no coordinator. Any node takes DDL, but advisory locks are
 * those of one node: two runners on two nodes would not see each other's lock.
 *
 * @throws {EvdbError} NOT_COORDINATOR
 *
 * Source: citusdata/citus, metadata/metadata_cache.c: the coordinator is group 0 (`COORDINATOR_GROUP_ID`).
 */
export async function requireCoordinator(session: Session): Promise<void> {
  if (!session.facts.isCitus) return;
  const [row] = await session.run(
    'select groupid::integer as "group" from pg_catalog.pg_dist_local_group',
  );
  if (row === undefined || row.group === 0) return;
  throw new EvdbError(
    'NOT_COORDINATOR',
    'this node is a worker of a Citus cluster, where the lock of a runner would not be seen by others',
    {
      hint: 'Migrate on the coordinator: its address is that of group 0 in pg_dist_node.',
      details: { group: row.group },
    },
  );
}
