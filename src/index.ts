// The declarations speak of Buffer and of Node's events; compilers no longer look for these alone.
/// <reference types="node" preserve="true" />
export type { AdoptedMigration, AdoptionResult, AdoptOptions } from './adopt/adopt.ts';
export { adoptMigrations, planMigrateAdopt } from './adopt/adopt.ts';
export type { AdoptableTool, AdoptionFinding } from './adopt/foreign.ts';
export type { UndoAdoptionOptions, UndoneAdoption } from './adopt/undo.ts';
export { planUndoAdoption, undoAdoption } from './adopt/undo.ts';
export type { DatabaseManagerOptions, OnPendingMigrations } from './application/manager.ts';
export { DatabaseManager, databaseManager } from './application/manager.ts';
export { migrateOptionsOf } from './application/migrate-options.ts';
export type { Registrar } from './application/registrar.ts';
export { createRegistrar } from './application/registrar.ts';
export type { BatchSizes, RegistrarMetrics } from './application/registrar-counts.ts';
export type { RegistrarOptions } from './application/registrar-options.ts';
export type { RegistrarPool } from './application/registrar-turn.ts';
export type { RegistrationClient, RegistrationClientOptions } from './application/registration.ts';
export {
  createRegistrationClient,
  getEventStats,
  safeEventRegistration,
  safeEventUnregistration,
} from './application/registration.ts';
export type {
  EventStats,
  RawEventStats,
  RawRegistration,
  Refusal,
  Registered,
  RegistrationResult,
  UnregistrationResult,
} from './application/registration-answer.ts';
export type { RegistrationOptions } from './application/registration-arguments.ts';
export type { ConfigFileInput } from './config/file-schema.ts';
export { assertConnectionConfigured } from './config/layers.ts';
export type { LintFileSettings } from './config/lint-settings.ts';
export { parseServerVersion } from './config/lint-settings.ts';
export type { Config, ConfigEntry, ConfigFlags, ResolveInput } from './config/resolve.ts';
export { resolveConfig } from './config/resolve.ts';
export { parseConnectionUrl } from './config/url.ts';
export type { Blocker, SeenBlocker, Victims } from './connection/blockers.ts';
export { describeBlocker } from './connection/blockers.ts';
export { QueryError } from './connection/connection-error.ts';
export type { InspectionOptions, WritingOptions } from './connection/inspection.ts';
export { withInspection, withWriting } from './connection/inspection.ts';
export type { ConnectionOptions, HostAddress, SslMode } from './connection/options.ts';
export type { Session } from './connection/session.ts';
export type {
  EnsuredServer,
  EnsureServerOptions,
} from './embedded/server.ts';
export { ensureEmbeddedServer } from './embedded/server.ts';
export type { EmbeddedServerStatus, StopResult } from './embedded/stop.ts';
export { hasEmbeddedServer, readEmbeddedServer, stopEmbeddedServer } from './embedded/stop.ts';
export type { EvdbErrorCode, EvdbErrorOptions } from './errors.ts';
export { EvdbError } from './errors.ts';
export type { WriteOptions } from './file-system.ts';
export { writeFileWhole } from './file-system.ts';
export type {
  Finding as JsonFinding,
  FindingLocation,
  SuppressedFinding,
} from './finding.ts';
export type { RuleChoices, SeverityChoice, SeverityCounts } from './lint/choice.ts';
export { assertKnown, GROUPS } from './lint/choice.ts';
export type { LintOptions, LintReport } from './lint/engine.ts';
export { lintScripts } from './lint/engine.ts';
export type { LintFinding } from './lint/finding.ts';
export type { Evidence, LintScript, LintSettings, Rule, RuleGroup, Severity } from './lint/rule.ts';
export { RULES } from './lint/rules.ts';
export type {
  CleanupDone,
  CleanupOptions,
  CleanupProgress,
  CleanupResult,
  DroppedPartition,
} from './maintenance/audit-cleanup.ts';
export { cleanUpAuditLog } from './maintenance/audit-cleanup.ts';
export type { AuditChange, AuditEntry } from './maintenance/audit-entry.ts';
export type { AuditFollower, FollowAuditLogOptions } from './maintenance/audit-follow.ts';
export { createAuditFollower, followAuditLog } from './maintenance/audit-follow.ts';
export type { AuditFilter, AuditLogPage, ReadAuditLogOptions } from './maintenance/audit-log.ts';
export { parseAuditCursor, readAuditLog } from './maintenance/audit-log.ts';
export type { CleanupPreview } from './maintenance/audit-preview.ts';
export { previewAuditCleanup } from './maintenance/audit-preview.ts';
export type {
  AuditDimension,
  AuditSummaryOptions,
  AuditSummaryRow,
} from './maintenance/audit-summary.ts';
export { readAuditSummary } from './maintenance/audit-summary.ts';
export type { DatabaseSession, DropDatabaseOptions } from './maintenance/database.ts';
export { dropDatabase, ensureDatabase } from './maintenance/database.ts';
export type { DatabasePing, WaitOptions } from './maintenance/database-ping.ts';
export { pingDatabase, waitForDatabase } from './maintenance/database-ping.ts';
export type { SizeRow, SizesOptions } from './maintenance/database-sizes.ts';
export { readSizes } from './maintenance/database-sizes.ts';
export type {
  CheckGroup,
  DoctorCheck,
  DoctorFinding,
  Examination,
  MigrationCounts,
} from './maintenance/doctor/check.ts';
export type { DoctorIgnore } from './maintenance/doctor/ignore.ts';
export type {
  CheckReport,
  CheckStatus,
  DoctorOptions,
  DoctorReport,
} from './maintenance/doctor/run.ts';
export { runDoctor } from './maintenance/doctor/run.ts';
export type {
  RegisterUsersOptions,
  RegistrationOutcome,
  RegistrationReport,
} from './maintenance/event-registration.ts';
export { registerUsers, requireIds, unregisterUsers } from './maintenance/event-registration.ts';
export type { EventSchemaTarget } from './maintenance/event-schema.ts';
export type {
  EventDetails,
  EventPage,
  EventRow,
  EventSeats,
  FindEventsOptions,
} from './maintenance/events.ts';
export { findEvents, readEvent, readEventSeats } from './maintenance/events.ts';
export type { RepairResult, RepairRulesOptions, RuleRepair } from './maintenance/rule-repairs.ts';
export { repairRules } from './maintenance/rule-repairs.ts';
export type {
  BusinessRule,
  CheckRulesOptions,
  RuleSeverity,
  RuleViolation,
} from './maintenance/rules.ts';
export { checkRules, listRules } from './maintenance/rules.ts';
export type { ActivityOptions, ActivityRow } from './maintenance/stats/activity.ts';
export { readActivity } from './maintenance/stats/activity.ts';
export type { CacheOptions, CacheRow } from './maintenance/stats/cache.ts';
export { readCache } from './maintenance/stats/cache.ts';
export type {
  ConnectionLimits,
  ConnectionRow,
  ConnectionsReport,
} from './maintenance/stats/connections.ts';
export { readConnections } from './maintenance/stats/connections.ts';
export type { DuplicateIndexRow } from './maintenance/stats/duplicates.ts';
export { readDuplicates } from './maintenance/stats/duplicates.ts';
export type { Precision } from './maintenance/stats/exclusive-locks.ts';
export type { IndexBuild } from './maintenance/stats/index-builds.ts';
export type { IndexRow } from './maintenance/stats/indexes.ts';
export { readIndexes } from './maintenance/stats/indexes.ts';
export type { InvalidRow } from './maintenance/stats/invalid.ts';
export { readInvalid } from './maintenance/stats/invalid.ts';
export type { LockRow } from './maintenance/stats/lock-tree.ts';
export { readLocks } from './maintenance/stats/locks.ts';
export type { MissingFkRow } from './maintenance/stats/missing-fk.ts';
export { readMissingFk } from './maintenance/stats/missing-fk.ts';
export type { PartitionsRow } from './maintenance/stats/partitions.ts';
export { readPartitions } from './maintenance/stats/partitions.ts';
export type { QueriesOptions, QueryRow } from './maintenance/stats/queries.ts';
export { readQueries } from './maintenance/stats/queries.ts';
export type { ReplicationRow } from './maintenance/stats/replication.ts';
export { readReplication } from './maintenance/stats/replication.ts';
export type { RunningVacuum } from './maintenance/stats/running-vacuums.ts';
export type { StatsOptions } from './maintenance/stats/scope.ts';
export type { SequenceColumn, SequenceRow } from './maintenance/stats/sequences.ts';
export { readSequences } from './maintenance/stats/sequences.ts';
export type { BloatUnknown, TableRow } from './maintenance/stats/tables.ts';
export { readTables } from './maintenance/stats/tables.ts';
export type { UnusedIndexRow, UnusedOptions } from './maintenance/stats/unused.ts';
export { readUnused } from './maintenance/stats/unused.ts';
export type { UpdateOptions, UpdateRow } from './maintenance/stats/update.ts';
export { updateStatistics } from './maintenance/stats/update.ts';
export type { VacuumOptions, VacuumReport, VacuumRow } from './maintenance/stats/vacuum.ts';
export { readVacuum } from './maintenance/stats/vacuum.ts';
export type { ReportNote, StatsReport } from './maintenance/stats-report.ts';
export type { StepResult } from './migrate/apply.ts';
export type { BaselineOptions, BaselineResult } from './migrate/baseline.ts';
export { baselineMigrations, planMigrateBaseline } from './migrate/baseline.ts';
export type { Budget, BudgetLimit } from './migrate/budget.ts';
export { parseBudget } from './migrate/budget.ts';
export type { Rename } from './migrate/check-base.ts';
export type { MigrateDownOptions, MigrateUpOptions } from './migrate/commands.ts';
export {
  migrateDown,
  migrateRedo,
  migrateUp,
  planMigrateDown,
  planMigrateRedo,
  planMigrateUp,
} from './migrate/commands.ts';
export type { MigrationState } from './migrate/compare.ts';
export type { CreatedMigration, CreateOptions } from './migrate/create.ts';
export { createMigration } from './migrate/create.ts';
export type { CompareOptions, StructureComparison } from './migrate/drift.ts';
export { compareStructures, readDrift } from './migrate/drift.ts';
export type {
  ImpactPlan,
  LockWaits,
  PlannedLock,
  StatementImpact,
  StatementTraceFacts,
  StepImpact,
  StrongestLock,
  TableFacts,
  TraceFacts,
} from './migrate/impact-plan.ts';
export type { InitResult } from './migrate/init.ts';
export { initProject } from './migrate/init.ts';
export type { BudgetFinding, BudgetVerdict } from './migrate/judge-budget.ts';
export { judgeBudget } from './migrate/judge-budget.ts';
export type { LintMigrationsOptions, LintSettingsOptions } from './migrate/lint.ts';
export { lintMigrations } from './migrate/lint.ts';
export type { FixedFile, FixPlan, LeftFinding, PlanFixesOptions } from './migrate/lint-fix.ts';
export { planLintFixes } from './migrate/lint-fix.ts';
export type { Loss, ReadLossesOptions } from './migrate/losses.ts';
export { readLosses } from './migrate/losses.ts';
export type { MigrationPlan, MigrationResult } from './migrate/migrator.ts';
export type { MigrateOptions } from './migrate/options.ts';
export type {
  Direction,
  DownOptions,
  PendingMigration,
  PlanWarning,
  UpOptions,
} from './migrate/plan.ts';
export type { PlanImpactOptions } from './migrate/plan-impact.ts';
export { planImpact } from './migrate/plan-impact.ts';
export type { LockHolder } from './migrate/preflight.ts';
export type { Step } from './migrate/prepare.ts';
export type { OnProgress, Progress, StepName } from './migrate/progress.ts';
export { readToolVersion } from './migrate/provenance.ts';
export { requireMigrations } from './migrate/read.ts';
export type { MigrateRepairOptions, MigrateRepairResult } from './migrate/repair.ts';
export { planMigrateRepair, repairMigrations } from './migrate/repair.ts';
export type { Decision, RepairAction, RepairRequest } from './migrate/repair-plan.ts';
export type { RepairDecision, RepairedMigration } from './migrate/repair-prepare.ts';
export type { ResetOptions, ResetResult } from './migrate/reset.ts';
export { resetSchema } from './migrate/reset.ts';
export { readRulePage } from './migrate/rule-page.ts';
export type { ScriptLocation, ServerReport } from './migrate/script-error.ts';
export { ScriptError } from './migrate/script-error.ts';
export type { DownProof, ProveDownsOptions } from './migrate/shadow.ts';
export { proveDowns } from './migrate/shadow.ts';
export type { MigrationFile } from './migrate/source.ts';
export type { MigrationsStatus, StatusEntry } from './migrate/status.ts';
export { readStatus } from './migrate/status.ts';
export type { BuildProgress } from './migrate/stepwise/build-progress.ts';
export type { StructureSource, StructureSourceOptions } from './migrate/structure-source.ts';
export { readStructureOf } from './migrate/structure-source.ts';
export type { Finding, ValidateOptions, ValidationResult } from './migrate/validate.ts';
export { validateMigrations } from './migrate/validate.ts';
export { writeFixes } from './migrate/write-fixes.ts';
export type { PoolEvents } from './pool/events.ts';
export type { PoolConnection } from './pool/handle.ts';
export type { PoolHealth } from './pool/health.ts';
export type { DurationStats } from './pool/histogram.ts';
export type { Instrument } from './pool/instruments.ts';
export type { DiscardReason, PoolMetrics } from './pool/metrics.ts';
export type { PoolOptions, PoolSsl } from './pool/options.ts';
export { DatabasePool } from './pool/pool.ts';
export type { Field, Queryable, QueryResult, Row } from './pool/result.ts';
export type { Transaction } from './pool/transaction.ts';
export type { Isolation, TransactionOptions } from './pool/transaction-options.ts';
export type { AdoptionRenderOptions } from './report/adoption.ts';
export { renderAdoption, renderUndoneAdoption } from './report/adoption.ts';
export { previewView, renderCleanup, renderCleanupProgress, summaryView } from './report/audit.ts';
export { renderEntries, renderEntry } from './report/audit-entries.ts';
export type { ReportColumn, ReportView, Tone, Unit } from './report/columns.ts';
export { renderConfig } from './report/config.ts';
export type { DoctorRenderOptions } from './report/doctor.ts';
export { renderDoctor } from './report/doctor.ts';
export { renderError } from './report/error.ts';
export { eventsView, renderEvent, renderEventSeats, renderRegistrations } from './report/events.ts';
export type { ImpactPlanRenderOptions } from './report/impact-plan.ts';
export { renderImpactPlan } from './report/impact-plan.ts';
export type {
  BudgetDetails,
  DoctorData,
  DriftDetails,
  LintData,
  LintDetails,
  RuleDetails,
  ValidationData,
  ValidationDetails,
} from './report/json-findings.ts';
export {
  dataOfDoctor,
  dataOfLint,
  dataOfValidation,
  findingOfAdoption,
  findingOfRule,
  findingsOfBudget,
  findingsOfDrift,
  findingsOfStatus,
} from './report/json-findings.ts';
export type { ListedRule } from './report/lint.ts';
export { renderLint, renderLintRules } from './report/lint.ts';
export { renderFixes } from './report/lint-fix.ts';
export { renderLosses } from './report/losses.ts';
export {
  renderNothing,
  renderNotice,
  renderStepDone,
  renderSummary,
  renderWarning,
} from './report/migration.ts';
export { renderPing } from './report/ping.ts';
export { pipelineOfDoctor } from './report/pipeline/from-doctor.ts';
export { pipelineOfLint } from './report/pipeline/from-lint.ts';
export { pipelineOfPlan } from './report/pipeline/from-plan.ts';
export { pipelineOfRules } from './report/pipeline/from-rules.ts';
export { pipelineOfStatus } from './report/pipeline/from-status.ts';
export { pipelineOfValidation } from './report/pipeline/from-validation.ts';
export type {
  PipelineCheck,
  PipelinePlace,
  PipelineProblem,
  PipelineReport,
  PipelineSeverity,
} from './report/pipeline/pipeline-report.ts';
export { failureReport } from './report/pipeline/pipeline-report.ts';
export type { PipelineFormat } from './report/pipeline/render-pipeline.ts';
export { renderPipeline } from './report/pipeline/render-pipeline.ts';
export { renderPrometheus } from './report/prometheus.ts';
export type { ReportRenderOptions } from './report/render-report.ts';
export { renderReport } from './report/render-report.ts';
export type { RepairRenderOptions } from './report/repair.ts';
export { renderBaseline, renderRepair } from './report/repair.ts';
export {
  RULES_VIEW,
  renderRepairs,
  renderViolationDetails,
  VIOLATIONS_VIEW,
} from './report/rules.ts';
export { renderServer } from './report/server.ts';
export { SIZES_VIEW } from './report/sizes.ts';
export { ACTIVITY_VIEW } from './report/stats/activity.ts';
export { CACHE_VIEW } from './report/stats/cache.ts';
export { CONNECTIONS_VIEW } from './report/stats/connections.ts';
export { DUPLICATES_VIEW } from './report/stats/duplicates.ts';
export { INDEXES_VIEW } from './report/stats/indexes.ts';
export { INVALID_VIEW } from './report/stats/invalid.ts';
export { LOCKS_VIEW } from './report/stats/locks.ts';
export { MISSING_FK_VIEW } from './report/stats/missing-fk.ts';
export { PARTITIONS_VIEW } from './report/stats/partitions.ts';
export { QUERIES_VIEW } from './report/stats/queries.ts';
export { REPLICATION_VIEW } from './report/stats/replication.ts';
export { SEQUENCES_VIEW } from './report/stats/sequences.ts';
export { TABLES_VIEW } from './report/stats/tables.ts';
export { UNUSED_VIEW } from './report/stats/unused.ts';
export { UPDATE_VIEW } from './report/stats/update.ts';
export { VACUUM_VIEW } from './report/stats/vacuum.ts';
export type { StatusRenderOptions } from './report/status.ts';
export { renderStatus } from './report/status.ts';
export type { DifferencesRenderOptions } from './report/structure-differences.ts';
export { renderDifferences } from './report/structure-differences.ts';
export type { Style } from './report/style.ts';
export { PLAIN } from './report/style.ts';
export type { Cell, Column, TableRenderer } from './report/table.ts';
export { renderTerminalTable } from './report/terminal-table.ts';
export { renderValidation } from './report/validation.ts';
export type { ScratchDatabase, ScratchOptions } from './scratch/server.ts';
export { withScratchDatabase } from './scratch/server.ts';
export { maskSecretLines, maskSecrets } from './sql/mask.ts';
export type { ParseFailure, SqlParser } from './sql/parser.ts';
export { loadParser } from './sql/parser.ts';
export type {
  PartDifference,
  StructureDifference,
} from './structure/diff.ts';
export { describeDifferences, diffStructures } from './structure/diff.ts';
export type { ReadDatabaseOptions, ReadStructureOptions } from './structure/read/structure.ts';
export { readDatabaseStructure, readStructure } from './structure/read/structure.ts';
export { renderStructure } from './structure/render/structure.ts';
export type { Structure, StructureKind, StructureObject } from './structure/structure.ts';
export { withoutPartitions } from './structure/structure.ts';
export type { StructureFileCheck, StructureFileResult } from './structure/structure-file.ts';
export {
  checkStructureFile,
  renderStructureFile,
  writeStructureFile,
} from './structure/structure-file.ts';
export type { CommandRenderer, PrintedCommand, PrintedFlags, Shell } from './text/command-line.ts';
export {
  commandLine,
  flagWords,
  pathWords,
  quoteWord,
  sameCommand,
  variableWord,
  withCommandRenderer,
} from './text/command-line.ts';
export { harmlessJson, harmlessText, mapStrings, maskUrl } from './text/harmless.ts';
export { parseDuration, renderCount, renderDuration, renderTime } from './text/units.ts';
