import type { LintRule } from './rule.ts';
import { addColumnRewrite } from './rules/add-column-rewrite.ts';
import { addColumnVolatileDefault } from './rules/add-column-volatile-default.ts';
import { addRequiredColumn } from './rules/add-required-column.ts';
import { alterColumnType } from './rules/alter-column-type.ts';
import { breakingRename } from './rules/breaking-rename.ts';
import { checkValidated } from './rules/check-validated.ts';
import { citusRefused } from './rules/citus-refused.ts';
import { concurrentlyInTx } from './rules/concurrently-in-tx.ts';
import { constraintBuildsIndex } from './rules/constraint-builds-index.ts';
import { destructiveChange } from './rules/destructive-change.ts';
import { disabledTrigger } from './rules/disabled-trigger.ts';
import { enumValueSameTx } from './rules/enum-value-same-tx.ts';
import { exclusionConstraint } from './rules/exclusion-constraint.ts';
import { fkValidated } from './rules/fk-validated.ts';
import { fkWithoutIndex } from './rules/fk-without-index.ts';
import { indexDropReindexBlocking } from './rules/index-drop-reindex-blocking.ts';
import { indexNotConcurrent } from './rules/index-not-concurrent.ts';
import { invalidIndexMasked } from './rules/invalid-index-masked.ts';
import { lockFanout } from './rules/lock-fanout.ts';
import { lockTable } from './rules/lock-table.ts';
import { lockTimeoutOverride } from './rules/lock-timeout-override.ts';
import { opaqueSql } from './rules/opaque-sql.ts';
import { partitionAttach } from './rules/partition-attach.ts';
import { partitionDetach } from './rules/partition-detach.ts';
import { pkNullableIndex } from './rules/pk-nullable-index.ts';
import { publicationChange } from './rules/publication-change.ts';
import { redundantIndex } from './rules/redundant-index.ts';
import { replicaIdentity } from './rules/replica-identity.ts';
import { rewriteCommand } from './rules/rewrite-command.ts';
import { rowSecurity } from './rules/row-security.ts';
import { securityDefiner } from './rules/security-definer.ts';
import { setNotNull } from './rules/set-not-null.ts';
import {
  longIdentifier,
  preferBigintKey,
  preferIdentity,
  preferJsonb,
  preferText,
  preferTimestamptz,
} from './rules/style.ts';
import { autovacuumDisabled, unloggedTable } from './rules/table-settings.ts';
import { unbatchedDml } from './rules/unbatched-dml.ts';
import { validateSameTx } from './rules/validate-same-tx.ts';
import { willFail } from './rules/will-fail.ts';
import { workUnderStrongLock } from './rules/work-under-strong-lock.ts';

/** Every rule, in the order in which findings of one statement are reported. */
export const LINT_RULES: readonly LintRule[] = [
  addColumnVolatileDefault,
  addColumnRewrite,
  alterColumnType,
  rewriteCommand,
  setNotNull,
  checkValidated,
  fkValidated,
  validateSameTx,
  indexNotConcurrent,
  constraintBuildsIndex,
  pkNullableIndex,
  exclusionConstraint,
  indexDropReindexBlocking,
  partitionAttach,
  partitionDetach,
  concurrentlyInTx,
  willFail,
  citusRefused,
  invalidIndexMasked,
  workUnderStrongLock,
  unbatchedDml,
  lockTimeoutOverride,
  lockTable,
  lockFanout,
  destructiveChange,
  breakingRename,
  addRequiredColumn,
  disabledTrigger,
  rowSecurity,
  replicaIdentity,
  publicationChange,
  unloggedTable,
  autovacuumDisabled,
  enumValueSameTx,
  opaqueSql,
  fkWithoutIndex,
  redundantIndex,
  preferText,
  preferTimestamptz,
  preferJsonb,
  preferBigintKey,
  preferIdentity,
  longIdentifier,
  securityDefiner,
];
