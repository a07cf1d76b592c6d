// The entry `evdb`. Beside it stand `evdb/events`, `evdb/ops` and `evdb/lint` as index.<name>.ts: a file
// events.ts beside the folder would look like a part of it, and an index inside like all that it has.

// The declarations speak of Buffer and of Node's events; compilers no longer look for these alone.
/// <reference types="node" preserve="true" />
export type { AdoptedMigration, AdoptionResult, AdoptOptions } from './adopt/adopt.ts';
export { adoptMigrations, planMigrateAdopt } from './adopt/adopt.ts';
export type { AdoptableTool, AdoptionFinding } from './adopt/foreign.ts';
export type { UndoAdoptionOptions, UndoneAdoption } from './adopt/record.ts';
export { planUndoAdoption, undoAdoption } from './adopt/record.ts';
export type { DatabaseManagerOptions, OnPendingMigrations } from './application/manager.ts';
export { DatabaseManager, databaseManager } from './application/manager.ts';
export type { ObjectKey } from './catalog/catalog.ts';
export type { EmbeddedConnection, ServerConnection } from './config/connection.ts';
export { type ConfigFileInput, defineConfig } from './config/define.ts';
export { assertConnectionConfigured, type SettingFlags } from './config/layers.ts';
export { findProject, type Project } from './config/project.ts';
export type { Config, ConfigEntry, ConfigFlags, ResolveConfigInput } from './config/resolve.ts';
export { resolveConfig } from './config/resolve.ts';
export { type ParsedConnectionUrl, parseConnectionUrl } from './config/url.ts';
export type { VariablesInput } from './config/variables.ts';
export type { BlockedSessions, Blocker, SeenBlocker } from './connection/blockers.ts';
export { describeBlocker } from './connection/blockers.ts';
export { QueryError } from './connection/connection-error.ts';
export type { CopyRows, EncodedValue, StatementResult } from './connection/driver.ts';
export type { InspectionOptions, WritingOptions } from './connection/inspection.ts';
export { withInspection, withWriting } from './connection/inspection.ts';
export type {
  ConnectionOptions,
  HostAddress,
  PasswordFunction,
  PasswordTarget,
  SslMode,
} from './connection/options.ts';
export type { NoticeListener, Session, SessionFacts } from './connection/session.ts';
export type { ListedServer } from './embedded/registry.ts';
export { listEmbeddedServers, stopEmbeddedServers } from './embedded/registry.ts';
export type { EnsuredEmbeddedServer, EnsureEmbeddedServerOptions } from './embedded/server.ts';
export { ensureEmbeddedServer } from './embedded/server.ts';
export type { EmbeddedServerStatus, StopEmbeddedServerResult } from './embedded/stop.ts';
export { hasEmbeddedServer, readEmbeddedServer, stopEmbeddedServer } from './embedded/stop.ts';
export { EvdbError, type EvdbErrorCode, type EvdbErrorOptions } from './errors.ts';
export { readToolVersion } from './file-system.ts';
export type { Finding, FindingLocation, SuppressedFinding } from './finding.ts';
export type { LockMode } from './impact/impact.ts';
export type { MigrationStepResult } from './migrate/apply/apply.ts';
export type {
  BackfillStatus,
  BackfillsStatus,
  RequestBackfillOptions,
} from './migrate/apply/backfill-control.ts';
export { readBackfills, requestBackfill } from './migrate/apply/backfill-control.ts';
export {
  type MigrateDownOptions,
  migrateDown,
  migrateRedo,
  type PlanCommandOptions,
  type PlanMigrateUpOptions,
  planMigrateDown,
  planMigrateRedo,
  planMigrateUp,
  type RunBackfillsOptions,
  runBackfills,
} from './migrate/apply/commands.ts';
export type { MigrationPlan, MigrationResult, RepeatableResult } from './migrate/apply/migrator.ts';
export type { RestReason, ThrottleLimits, Window } from './migrate/backfill/throttle.ts';
export { DEFAULT_THROTTLE, parseThrottle, parseWindow } from './migrate/backfill/throttle.ts';
export type { MigrationRename } from './migrate/checks/base-branch.ts';
export { type DownProof, type ProveDownsOptions, proveDowns } from './migrate/checks/downs.ts';
export { readDrift, type StructureComparison } from './migrate/checks/drift.ts';
export { type ReadLossesOptions, type RollbackLoss, readLosses } from './migrate/checks/losses.ts';
export { type CheckDrift, type MigrateUpOptions, migrateUp } from './migrate/checks/up.ts';
export type {
  ValidateOptions,
  ValidationDetails,
  ValidationFinding,
  ValidationResult,
} from './migrate/checks/validate.ts';
export { validateMigrations } from './migrate/checks/validate.ts';
export type {
  ExpandedMigration,
  ExpandOptions,
  Expansion,
  IndexToWrite,
  WriteIndexMigrationOptions,
} from './migrate/expand/expand.ts';
export { planExpansion, writeExpansion, writeIndexMigration } from './migrate/expand/expand.ts';
export type { ExpandRequest } from './migrate/expand/requests.ts';
export type { CreatedMigration, CreateMigrationOptions } from './migrate/files/create.ts';
export { createMigration, createRepeatable } from './migrate/files/create.ts';
export type { ConfigFormat, InitOptions, InitProjectResult } from './migrate/files/init.ts';
export { holdsOwnMigrations, initProject } from './migrate/files/init.ts';
export type { ScriptLocation, ServerErrorReport } from './migrate/files/script-error.ts';
export { ScriptError } from './migrate/files/script-error.ts';
export type { MigrationFile } from './migrate/files/source.ts';
export type { Version } from './migrate/files/version.ts';
export type {
  MigrationHistoryRow,
  ReadMigrationHistoryOptions,
} from './migrate/ledger/history.ts';
export { readMigrationHistory } from './migrate/ledger/history.ts';
export {
  type BackfillOptions,
  type MigrateOptions,
  migrateOptionsOf,
} from './migrate/options.ts';
export type { MigrationState } from './migrate/plan/compare.ts';
export type {
  PendingMigration,
  PlanDownOptions,
  PlanUpOptions,
} from './migrate/plan/plan.ts';
export type { MigrationStep } from './migrate/plan/prepare.ts';
export type {
  HeldRepeatables,
  RepeatablePart,
  RepeatableStep,
} from './migrate/plan/prepare-repeatables.ts';
export { holdsMigrations, requireMigrations } from './migrate/plan/read.ts';
export type { RepeatableState } from './migrate/plan/repeatables.ts';
export {
  isUpToDate,
  type MigrationsStatus,
  type RepeatableStatusEntry,
  readStatus,
  type StatusEntry,
  statusOf,
} from './migrate/plan/status.ts';
export type {
  Budget,
  BudgetDetails,
  BudgetFinding,
  BudgetLimit,
  BudgetVerdict,
} from './migrate/preview/budget.ts';
export { judgeBudget, parseBudget } from './migrate/preview/budget.ts';
export type {
  BackfillImpact,
  ImpactPlan,
  ImpactTableFacts,
  ImpactTraceFacts,
  PlannedLock,
  StatementImpact,
  StatementTraceFacts,
  StepImpact,
  StepLockWaits,
  StrongestLock,
} from './migrate/preview/impact-plan.ts';
export { type PlanImpactOptions, planImpact } from './migrate/preview/plan-impact.ts';
export type {
  BackfillProgress,
  DroppedObjects,
  IndexBuildProgress,
  LockHolder,
  MigrationDirection,
  MigrationNotice,
  MigrationPlanWarning,
  MigrationProgress,
  MigrationStepName,
  OnMigrationProgress,
} from './migrate/progress.ts';
export type { BaselineOptions, BaselineResult } from './migrate/repair/baseline.ts';
export { baselineMigrations, planMigrateBaseline } from './migrate/repair/baseline.ts';
export type {
  MigrateRepairOptions,
  MigrateRepairResult,
  RepairDecision,
  RepairedMigration,
} from './migrate/repair/repair.ts';
export { planMigrateRepair, repairMigrations } from './migrate/repair/repair.ts';
export type {
  PlannedRepairDecision,
  RepairAction,
  RepairRequest,
} from './migrate/repair/repair-plan.ts';
export type { ResetSchemaOptions, ResetSchemaResult } from './migrate/repair/reset.ts';
export { resetSchema } from './migrate/repair/reset.ts';
export type {
  RestoredFile,
  RestoredMigration,
  RestoreOptions,
  RestoreResult,
} from './migrate/repair/restore.ts';
export { planMigrateRestore, restoreMigrations } from './migrate/repair/restore.ts';
export { renderSeeds } from './migrate/seed/report.ts';
export {
  applySeeds,
  type PlannedSeed,
  planSeeds,
  type SeedOptions,
  type SeedPlan,
  type SeedResult,
} from './migrate/seed/seeds.ts';
export {
  planSquash,
  type Squash,
  type SquashOptions,
  writeSquash,
} from './migrate/squash/squash.ts';
export type {
  PoolConnection,
  Queryable,
  QueryResult,
  ResultField,
  ResultRow,
} from './pool/handle.ts';
export type { PoolHealth } from './pool/health.ts';
export type { DurationStats } from './pool/histogram.ts';
export { type MetricInstrument, renderPrometheus } from './pool/instruments.ts';
export type { DiscardReason, PoolEvents, PoolMetrics } from './pool/metrics.ts';
export type { PoolOptions, PoolSsl } from './pool/options.ts';
export { DatabasePool, type QueryOptions } from './pool/pool.ts';
export type { IsolationLevel, Transaction, TransactionOptions } from './pool/transaction.ts';
export type { VariableValues } from './sql/variables.ts';
