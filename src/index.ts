// The declarations speak of Buffer and of Node's events; compilers no longer look for these alone.
/// <reference types="node" preserve="true" />
export type { AdoptedMigration, AdoptionResult, AdoptOptions } from './adopt/adopt.ts';
export { adoptMigrations, planMigrateAdopt } from './adopt/adopt.ts';
export type { AdoptableTool, AdoptionFinding } from './adopt/foreign.ts';
export type { UndoAdoptionOptions, UndoneAdoption } from './adopt/record.ts';
export { planUndoAdoption, undoAdoption } from './adopt/record.ts';
export type { DatabaseManagerOptions, OnPendingMigrations } from './application/manager.ts';
export { DatabaseManager, databaseManager } from './application/manager.ts';
export type { ConfigFileInput } from './config/file-schema.ts';
export { assertConnectionConfigured } from './config/layers.ts';
export type { LintFileSettings } from './config/lint-settings.ts';
export { parseServerVersion } from './config/lint-settings.ts';
export type { Config, ConfigEntry, ConfigFlags, ResolveInput } from './config/resolve.ts';
export { renderConfig, resolveConfig } from './config/resolve.ts';
export { parseConnectionUrl } from './config/url.ts';
export type { Blocker, SeenBlocker, Victims } from './connection/blockers.ts';
export { describeBlocker } from './connection/blockers.ts';
export { QueryError } from './connection/connection-error.ts';
export type { InspectionOptions, WritingOptions } from './connection/inspection.ts';
export { withInspection, withWriting } from './connection/inspection.ts';
export type { ConnectionOptions, HostAddress, SslMode } from './connection/options.ts';
export type { Session } from './connection/session.ts';
export type { DatabaseSession, DropDatabaseOptions } from './database/database.ts';
export { dropDatabase, ensureDatabase } from './database/database.ts';
export type { DatabasePing, WaitOptions } from './database/ping.ts';
export { pingDatabase, renderPing, waitForDatabase } from './database/ping.ts';
export type { SizeRow, SizesOptions } from './database/sizes.ts';
export { readSizes, SIZES_VIEW } from './database/sizes.ts';
export type {
  CheckGroup,
  DoctorCheck,
  DoctorFinding,
  Examination,
  MigrationCounts,
} from './doctor/check.ts';
export type {
  CheckReport,
  CheckStatus,
  DoctorOptions,
  DoctorReport,
} from './doctor/doctor.ts';
export { runDoctor } from './doctor/doctor.ts';
export type { DoctorIgnore } from './doctor/ignore.ts';
export type { DoctorRenderOptions } from './doctor/report.ts';
export { pipelineOfDoctor, renderDoctor } from './doctor/report.ts';
export type {
  EnsuredServer,
  EnsureServerOptions,
} from './embedded/server.ts';
export { ensureEmbeddedServer } from './embedded/server.ts';
export type { EmbeddedServerStatus, StopResult } from './embedded/stop.ts';
export {
  hasEmbeddedServer,
  readEmbeddedServer,
  renderServer,
  stopEmbeddedServer,
} from './embedded/stop.ts';
export type { EvdbErrorCode, EvdbErrorOptions } from './errors.ts';
export { EvdbError } from './errors.ts';
export type {
  CleanupDone,
  CleanupOptions,
  CleanupPreview,
  CleanupProgress,
  CleanupResult,
  DroppedPartition,
} from './events/audit-cleanup.ts';
export { cleanUpAuditLog, previewAuditCleanup } from './events/audit-cleanup.ts';
export type { AuditFollower, FollowAuditLogOptions } from './events/audit-follow.ts';
export { createAuditFollower, followAuditLog } from './events/audit-follow.ts';
export type {
  AuditChange,
  AuditDimension,
  AuditEntry,
  AuditFilter,
  AuditLogPage,
  AuditSummaryOptions,
  AuditSummaryRow,
  ReadAuditLogOptions,
} from './events/audit-log.ts';
export { parseAuditCursor, readAuditLog, readAuditSummary } from './events/audit-log.ts';
export type {
  RegisterUsersOptions,
  RegistrationOutcome,
  RegistrationReport,
} from './events/event-registration.ts';
export { registerUsers, requireIds, unregisterUsers } from './events/event-registration.ts';
export type { EventSchemaTarget } from './events/event-schema.ts';
export type {
  EventDetails,
  EventPage,
  EventRow,
  EventSeats,
  FindEventsOptions,
} from './events/events.ts';
export { findEvents, readEvent, readEventSeats } from './events/events.ts';
export type { Registrar } from './events/registrar.ts';
export { createRegistrar } from './events/registrar.ts';
export type { RegistrarOptions } from './events/registrar-options.ts';
export type { BatchSizes, RegistrarMetrics, RegistrarPool } from './events/registrar-turn.ts';
export type {
  RegistrationClient,
  RegistrationClientOptions,
  RegistrationOptions,
} from './events/registration.ts';
export {
  createRegistrationClient,
  getEventStats,
  safeEventRegistration,
  safeEventUnregistration,
} from './events/registration.ts';
export type {
  EventStats,
  RawEventStats,
  RawRegistration,
  Refusal,
  Registered,
  RegistrationResult,
  UnregistrationResult,
} from './events/registration-answer.ts';
export {
  eventsView,
  pipelineOfRules,
  previewView,
  RULES_VIEW,
  renderCleanup,
  renderCleanupProgress,
  renderEntries,
  renderEntry,
  renderEvent,
  renderEventSeats,
  renderRegistrations,
  renderRepairs,
  renderViolationDetails,
  summaryView,
  VIOLATIONS_VIEW,
} from './events/report.ts';
export type {
  BusinessRule,
  CheckRulesOptions,
  RepairResult,
  RepairRulesOptions,
  RuleRepair,
  RuleSeverity,
  RuleViolation,
} from './events/rules.ts';
export { checkRules, listRules, repairRules } from './events/rules.ts';
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
export type { ListedRule } from './lint/report.ts';
export { pipelineOfLint, renderLint, renderLintRules } from './lint/report.ts';
export type { Evidence, LintScript, LintSettings, Rule, RuleGroup, Severity } from './lint/rule.ts';
export { RULES } from './lint/rules.ts';
export type { StepResult } from './migrate/apply/apply.ts';
export type { MigrateDownOptions, MigrateUpOptions } from './migrate/apply/commands.ts';
export {
  migrateDown,
  migrateRedo,
  migrateUp,
  planMigrateDown,
  planMigrateRedo,
  planMigrateUp,
} from './migrate/apply/commands.ts';
export type { MigrationPlan, MigrationResult } from './migrate/apply/migrator.ts';
export type { LockHolder } from './migrate/apply/preflight.ts';
export type { OnProgress, Progress, StepName } from './migrate/apply/progress.ts';
export type { BuildProgress } from './migrate/apply/stepwise/lone-statement.ts';
export type { Rename } from './migrate/checks/base-branch.ts';
export type { CompareOptions, StructureComparison } from './migrate/checks/drift.ts';
export { compareStructures, readDrift } from './migrate/checks/drift.ts';
export type { LintMigrationsOptions, LintSettingsOptions } from './migrate/checks/lint.ts';
export { lintMigrations } from './migrate/checks/lint.ts';
export type {
  FixedFile,
  FixPlan,
  LeftFinding,
  PlanFixesOptions,
} from './migrate/checks/lint-fix.ts';
export { planLintFixes, writeFixes } from './migrate/checks/lint-fix.ts';
export type { Loss, ReadLossesOptions } from './migrate/checks/losses.ts';
export { readLosses } from './migrate/checks/losses.ts';
export type { DifferencesRenderOptions } from './migrate/checks/report.ts';
export {
  pipelineOfValidation,
  renderDifferences,
  renderFixes,
  renderLosses,
  renderValidation,
} from './migrate/checks/report.ts';
export { readRulePage } from './migrate/checks/rule-page.ts';
export type { DownProof, ProveDownsOptions } from './migrate/checks/shadow.ts';
export { proveDowns } from './migrate/checks/shadow.ts';
export type { StructureSource, StructureSourceOptions } from './migrate/checks/structure-source.ts';
export { readStructureOf } from './migrate/checks/structure-source.ts';
export type { Finding, ValidateOptions, ValidationResult } from './migrate/checks/validate.ts';
export { validateMigrations } from './migrate/checks/validate.ts';
export type { CreatedMigration, CreateOptions, InitResult } from './migrate/files/create.ts';
export { createMigration, initProject } from './migrate/files/create.ts';
export type { ScriptLocation, ServerReport } from './migrate/files/script-error.ts';
export { ScriptError } from './migrate/files/script-error.ts';
export type { MigrationFile } from './migrate/files/source.ts';
export { readToolVersion } from './migrate/ledger/provenance.ts';
export type { MigrateOptions } from './migrate/options.ts';
export { migrateOptionsOf } from './migrate/options.ts';
export type { MigrationState } from './migrate/plan/compare.ts';
export type {
  Direction,
  DownOptions,
  PendingMigration,
  PlanWarning,
  UpOptions,
} from './migrate/plan/plan.ts';
export type { Step } from './migrate/plan/prepare.ts';
export { requireMigrations } from './migrate/plan/read.ts';
export type { MigrationsStatus, StatusEntry } from './migrate/plan/status.ts';
export { readStatus } from './migrate/plan/status.ts';
export type { StatusRenderOptions } from './migrate/plan/status-report.ts';
export { renderStatus } from './migrate/plan/status-report.ts';
export type {
  Budget,
  BudgetFinding,
  BudgetLimit,
  BudgetVerdict,
} from './migrate/preview/budget.ts';
export { judgeBudget, parseBudget } from './migrate/preview/budget.ts';
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
} from './migrate/preview/impact-plan.ts';
export type { PlanImpactOptions } from './migrate/preview/plan-impact.ts';
export { planImpact } from './migrate/preview/plan-impact.ts';
export type { ImpactPlanRenderOptions } from './migrate/preview/report.ts';
export { pipelineOfPlan, renderImpactPlan } from './migrate/preview/report.ts';
export type { BaselineOptions, BaselineResult } from './migrate/repair/baseline.ts';
export { baselineMigrations, planMigrateBaseline } from './migrate/repair/baseline.ts';
export type {
  MigrateRepairOptions,
  MigrateRepairResult,
  RepairDecision,
  RepairedMigration,
} from './migrate/repair/repair.ts';
export { planMigrateRepair, repairMigrations } from './migrate/repair/repair.ts';
export type { Decision, RepairAction, RepairRequest } from './migrate/repair/repair-plan.ts';
export type { RepairRenderOptions } from './migrate/repair/report.ts';
export { renderBaseline, renderRepair } from './migrate/repair/report.ts';
export type { ResetOptions, ResetResult } from './migrate/repair/reset.ts';
export { resetSchema } from './migrate/repair/reset.ts';
export type { Field, PoolConnection, Queryable, QueryResult, Row } from './pool/handle.ts';
export type { PoolHealth } from './pool/health.ts';
export type { DurationStats } from './pool/histogram.ts';
export type { Instrument } from './pool/instruments.ts';
export type { DiscardReason, PoolEvents, PoolMetrics } from './pool/metrics.ts';
export type { PoolOptions, PoolSsl } from './pool/options.ts';
export { DatabasePool } from './pool/pool.ts';
export { renderPrometheus } from './pool/prometheus.ts';
export type { Isolation, Transaction, TransactionOptions } from './pool/transaction.ts';
export type { AdoptionRenderOptions } from './report/adoption.ts';
export { renderAdoption, renderUndoneAdoption } from './report/adoption.ts';
export type {
  ReportColumn,
  ReportNote,
  ReportView,
  StatsReport,
  Tone,
  Unit,
} from './report/columns.ts';
export { renderError } from './report/error.ts';
export type {
  BudgetDetails,
  DoctorData,
  DriftDetails,
  LintData,
  LintDetails,
  RuleDetails,
  ValidationData,
  ValidationDetails,
} from './report/findings.ts';
export {
  dataOfDoctor,
  dataOfLint,
  dataOfValidation,
  findingOfAdoption,
  findingOfRule,
  findingsOfBudget,
  findingsOfDrift,
  findingsOfStatus,
  pipelineOfStatus,
} from './report/findings.ts';
export {
  renderNothing,
  renderNotice,
  renderStepDone,
  renderSummary,
  renderWarning,
} from './report/migration.ts';
export type {
  PipelineCheck,
  PipelinePlace,
  PipelineProblem,
  PipelineReport,
  PipelineSeverity,
} from './report/pipeline.ts';
export { failureReport } from './report/pipeline.ts';
export type { PipelineFormat } from './report/pipeline-formats.ts';
export { renderPipeline } from './report/pipeline-formats.ts';
export type { ReportRenderOptions } from './report/render-report.ts';
export { renderReport } from './report/render-report.ts';
export type { Cell, Column, Style, TableRenderer } from './report/table.ts';
export { PLAIN } from './report/table.ts';
export { renderTerminalTable } from './report/terminal-table.ts';
export type { ScratchDatabase, ScratchOptions } from './scratch/server.ts';
export { withScratchDatabase } from './scratch/server.ts';
export { maskSecretLines, maskSecrets } from './sql/mask.ts';
export type { ParseFailure, SqlParser } from './sql/parser.ts';
export { loadParser } from './sql/parser.ts';
export type { ActivityOptions, ActivityRow } from './stats/activity.ts';
export { ACTIVITY_VIEW, readActivity } from './stats/activity.ts';
export type { CacheOptions, CacheRow } from './stats/cache.ts';
export { CACHE_VIEW, readCache } from './stats/cache.ts';
export type {
  ConnectionLimits,
  ConnectionRow,
  ConnectionsReport,
} from './stats/connections.ts';
export { CONNECTIONS_VIEW, readConnections } from './stats/connections.ts';
export type { DuplicateIndexRow } from './stats/duplicates.ts';
export { DUPLICATES_VIEW, readDuplicates } from './stats/duplicates.ts';
export type { IndexBuild } from './stats/index-catalog.ts';
export type { IndexRow } from './stats/indexes.ts';
export { INDEXES_VIEW, readIndexes } from './stats/indexes.ts';
export type { InvalidRow } from './stats/invalid.ts';
export { INVALID_VIEW, readInvalid } from './stats/invalid.ts';
export type { LockRow } from './stats/locks.ts';
export { LOCKS_VIEW, readLocks } from './stats/locks.ts';
export type { MissingFkRow } from './stats/missing-fk.ts';
export { MISSING_FK_VIEW, readMissingFk } from './stats/missing-fk.ts';
export type { PartitionsRow } from './stats/partitions.ts';
export { PARTITIONS_VIEW, readPartitions } from './stats/partitions.ts';
export type { QueriesOptions, QueryRow } from './stats/queries.ts';
export { QUERIES_VIEW, readQueries } from './stats/queries.ts';
export type { ReplicationRow } from './stats/replication.ts';
export { REPLICATION_VIEW, readReplication } from './stats/replication.ts';
export type { Precision, StatsOptions } from './stats/scope.ts';
export type { SequenceColumn, SequenceRow } from './stats/sequences.ts';
export { readSequences, SEQUENCES_VIEW } from './stats/sequences.ts';
export type { BloatUnknown, TableRow } from './stats/tables.ts';
export { readTables, TABLES_VIEW } from './stats/tables.ts';
export type { UnusedIndexRow, UnusedOptions } from './stats/unused.ts';
export { readUnused, UNUSED_VIEW } from './stats/unused.ts';
export type { UpdateOptions, UpdateRow } from './stats/update.ts';
export { UPDATE_VIEW, updateStatistics } from './stats/update.ts';
export type { RunningVacuum, VacuumOptions, VacuumReport, VacuumRow } from './stats/vacuum.ts';
export { readVacuum, VACUUM_VIEW } from './stats/vacuum.ts';
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
