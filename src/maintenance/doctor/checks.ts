import { AUTOVACUUM } from './autovacuum.ts';
import { BUSINESS_RULES } from './business-rules.ts';
import type { DoctorCheck } from './check.ts';
import { COLLATION_VERSIONS } from './collation-versions.ts';
import { CONNECTION_LIMIT } from './connection-limit.ts';
import { DEAD_ROWS } from './dead-rows.ts';
import { DISABLED_TRIGGERS } from './disabled-triggers.ts';
import { DUPLICATE_INDEXES } from './duplicate-indexes.ts';
import { DURABILITY } from './durability.ts';
import { IDLE_IN_TRANSACTION } from './idle-in-transaction.ts';
import { INVALID_INDEXES, UNVALIDATED_CONSTRAINTS } from './invalid-indexes.ts';
import { LOCK_WAITS } from './lock-waits.ts';
import { LONG_TRANSACTIONS } from './long-transactions.ts';
import { MIGRATIONS } from './migrations.ts';
import { MISSING_FK_INDEXES } from './missing-fk-indexes.ts';
import { PARTITION_RUNWAY } from './partition-runway.ts';
import { PENDING_RESTART } from './pending-restart.ts';
import { PREPARED_TRANSACTIONS } from './prepared-transactions.ts';
import { REPLICATION_LAG } from './replication-lag.ts';
import { REPLICATION_SLOTS } from './replication-slots.ts';
import { SEQUENCE_RUNWAY } from './sequence-runway.ts';
import { STALE_STATISTICS } from './stale-statistics.ts';
import { UNUSED_INDEXES } from './unused-indexes.ts';
import { WRAPAROUND } from './wraparound.ts';

/** Every check, in the order in which they are examined and shown. */
export const DOCTOR_CHECKS: readonly DoctorCheck[] = [
  CONNECTION_LIMIT,
  IDLE_IN_TRANSACTION,
  LONG_TRANSACTIONS,
  LOCK_WAITS,
  PREPARED_TRANSACTIONS,
  WRAPAROUND,
  AUTOVACUUM,
  DEAD_ROWS,
  STALE_STATISTICS,
  INVALID_INDEXES,
  DUPLICATE_INDEXES,
  UNUSED_INDEXES,
  MISSING_FK_INDEXES,
  COLLATION_VERSIONS,
  UNVALIDATED_CONSTRAINTS,
  DISABLED_TRIGGERS,
  PARTITION_RUNWAY,
  SEQUENCE_RUNWAY,
  REPLICATION_SLOTS,
  REPLICATION_LAG,
  DURABILITY,
  PENDING_RESTART,
  BUSINESS_RULES,
  MIGRATIONS,
];
