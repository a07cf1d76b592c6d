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
export { assertConnectionConfigured } from './config/configured.ts';
export { parseDuration } from './config/duration.ts';
export type { ConfigFileInput } from './config/file-schema.ts';
export { maskUrl } from './config/mask.ts';
export type { Config, ConfigEntry, ConfigFlags, ResolveInput } from './config/resolve.ts';
export { resolveConfig } from './config/resolve.ts';
export { parseConnectionUrl } from './config/url.ts';
export type {
  EnsuredServer,
  EnsureServerOptions,
} from './connection/embedded/server.ts';
export { ensureEmbeddedServer } from './connection/embedded/server.ts';
export type { EmbeddedServerStatus } from './connection/embedded/status.ts';
export { readEmbeddedServer } from './connection/embedded/status.ts';
export type { StopResult } from './connection/embedded/stop.ts';
export { stopEmbeddedServer } from './connection/embedded/stop.ts';
export type { ConnectionOptions, HostAddress, SslMode } from './connection/options.ts';
export { QueryError } from './connection/query-error.ts';
export type { Session } from './connection/session.ts';
export type { EvdbErrorCode, EvdbErrorOptions } from './errors.ts';
export { EvdbError } from './errors.ts';
export type { StepResult } from './migrate/apply.ts';
export type { Blocker } from './migrate/blockers.ts';
export { describeBlocker } from './migrate/blockers.ts';
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
export type { InitResult } from './migrate/init.ts';
export { initProject } from './migrate/init.ts';
export type { MigrationPlan, MigrationResult } from './migrate/migrator.ts';
export type { MigrateOptions } from './migrate/options.ts';
export type { Direction, DownOptions, PlanWarning, UpOptions } from './migrate/plan.ts';
export type { Step } from './migrate/prepare.ts';
export type { OnProgress, Progress, StepName } from './migrate/progress.ts';
export type { ResetOptions, ResetResult } from './migrate/reset.ts';
export { resetSchema } from './migrate/reset.ts';
export type { ScriptLocation, ServerReport } from './migrate/script-error.ts';
export { ScriptError } from './migrate/script-error.ts';
export type { MigrationsStatus, StatusEntry } from './migrate/status.ts';
export { readStatus } from './migrate/status.ts';
export type { Finding, ValidateOptions, ValidationResult } from './migrate/validate.ts';
export { validateMigrations } from './migrate/validate.ts';
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
export { renderConfig } from './report/config.ts';
export { renderError } from './report/error.ts';
export {
  renderPlan,
  renderStepDone,
  renderSummary,
  renderWarning,
} from './report/migration.ts';
export { renderPrometheus } from './report/prometheus.ts';
export { renderServer } from './report/server.ts';
export type { StatusRenderOptions } from './report/status.ts';
export { renderStatus } from './report/status.ts';
export type { Style } from './report/style.ts';
export { PLAIN } from './report/style.ts';
export type { Cell, Column, TableRenderer } from './report/table.ts';
export { renderTerminalTable } from './report/terminal-table.ts';
export { renderCount, renderDuration, renderTime } from './report/units.ts';
export { renderValidation } from './report/validation.ts';
