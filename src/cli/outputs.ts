import type { AdoptionResult } from '../adopt/adopt.ts';
import type { UndoneAdoption } from '../adopt/record.ts';
import type { ConfigEntry } from '../config/resolve.ts';
import type { DatabaseSession } from '../database/database.ts';
import type { DatabasePing } from '../database/ping.ts';
import type { DatabaseSizeRow } from '../database/sizes.ts';
import type { DrawnDiagram } from '../diagram/draw.ts';
import type { DoctorCheckStatus, DoctorReport } from '../doctor/doctor.ts';
import type { ListedServer } from '../embedded/registry.ts';
import type { EmbeddedServerStatus } from '../embedded/stop.ts';
import type { AuditCleanupPreview, AuditCleanupResult } from '../events/audit-cleanup.ts';
import type { AuditEntry, AuditLogPage, AuditSummaryRow } from '../events/audit-log.ts';
import type { EventDetails, EventPage, EventSeats } from '../events/events.ts';
import type { RegistrationReport } from '../events/register-users.ts';
import type { BusinessRule, BusinessRuleDetails, BusinessRuleRepair } from '../events/rules.ts';
import type { Finding, FindingLocation, SuppressedFinding } from '../finding.ts';
import type { FleetMatrix } from '../fleet/matrix.ts';
import type { FleetMember } from '../fleet/members.ts';
import type { AddedTenant } from '../fleet/tenants.ts';
import type { StatsDiff } from '../history/diff.ts';
import type { LintReport } from '../lint/engine.ts';
import type { LintDetails } from '../lint/finding.ts';
import type { LINT_RULES } from '../lint/rules.ts';
import type { BackfillStatus, BackfillsStatus } from '../migrate/apply/backfill-control.ts';
import type { MigrationResult } from '../migrate/apply/migrator.ts';
import type { StructureComparison } from '../migrate/checks/drift.ts';
import type { RollbackLoss } from '../migrate/checks/losses.ts';
import type { DriftDetails } from '../migrate/checks/report.ts';
import type { ValidationResult } from '../migrate/checks/validate.ts';
import type { Expansion } from '../migrate/expand/expand.ts';
import type { CreatedMigration } from '../migrate/files/create.ts';
import type { InitProjectResult } from '../migrate/files/init.ts';
import type { MigrationsStatus } from '../migrate/plan/status.ts';
import type { Budget, BudgetDetails } from '../migrate/preview/budget.ts';
import type { ImpactPlan } from '../migrate/preview/impact-plan.ts';
import type { MigrationProgress } from '../migrate/progress.ts';
import type { BaselineResult } from '../migrate/repair/baseline.ts';
import type { MigrateRepairResult } from '../migrate/repair/repair.ts';
import type { ResetSchemaResult } from '../migrate/repair/reset.ts';
import type { RestoreResult } from '../migrate/repair/restore.ts';
import type { SeedPlan, SeedResult } from '../migrate/seed/seeds.ts';
import type { Squash } from '../migrate/squash/squash.ts';
import type { Overview } from '../overview/overview.ts';
import type { StatsReport } from '../report/columns.ts';
import type { ActivityRow } from '../stats/activity.ts';
import type { IndexAdvice } from '../stats/advise/advise.ts';
import type { CacheRow } from '../stats/cache.ts';
import type { ConnectionsReport } from '../stats/connections.ts';
import type { DuplicateIndexRow } from '../stats/duplicates.ts';
import type { SnapshotEntry } from '../stats/history.ts';
import type { IndexRow } from '../stats/indexes.ts';
import type { InvalidObjectRow } from '../stats/invalid.ts';
import type { LockRow } from '../stats/locks.ts';
import type { MissingForeignKeyIndexRow } from '../stats/missing-fk.ts';
import type { PartitionedTableRow } from '../stats/partitions.ts';
import type { QueryStatsRow } from '../stats/queries.ts';
import type { ReplicationRow } from '../stats/replication.ts';
import type { SequenceRow } from '../stats/sequences.ts';
import type { StatsSnapshot } from '../stats/snapshot-format.ts';
import type { TableRow } from '../stats/tables.ts';
import type { UnusedIndexRow } from '../stats/unused.ts';
import type { UpdateStatisticsRow } from '../stats/update.ts';
import type { VacuumReport } from '../stats/vacuum.ts';
import type { Structure } from '../structure/structure.ts';
import type { GeneratedTypes } from '../typescript/generate.ts';
import type { TypesFileResult } from '../typescript/report.ts';
import type { FleetSummary } from './fleet.ts';

/** What every document begins with. */
export interface Envelope {
  /** Rises when a shape changes in a way that breaks its readers. */
  formatVersion: 1;
  /** Such as `migrate up`; empty if there was none on the command line. */
  command: string;
  /** Whether the exit code is 0. */
  ok: boolean;
  exitCode: 0 | 1 | 2 | 3 | 4 | 130;
  /** With `--fleet`: whose result this is. The last document has none: it is about all members. */
  member?: string;
}

/** What a command prints that could not do its work. */
export interface ErrorOutput extends Envelope {
  ok: false;
  error: {
    /** One of docs/reference/errors.md; more may be added. */
    code: string;
    message: string;
    hint?: string;
    /** Facts for programs, without secrets. */
    details: Record<string, unknown>;
  };
}

/** What `migrate expand` wrote, or would write. */
interface Expanded extends Expansion {
  dryRun: boolean;
}

interface Ran extends MigrationResult {
  dryRun: false;
}

interface Planned extends ImpactPlan {
  dryRun: true;
  /** What `down` or `redo` would lose. */
  losses?: RollbackLoss[];
  /** The limits that the plan is checked against. */
  budget?: Budget;
  /** What exceeds the budget, and what is unknown. */
  findings?: Finding<BudgetDetails>[];
}

interface Status extends MigrationsStatus {
  /** What is not applied as in the files, and with `--drift` what was changed by hand. */
  findings: (Finding | Finding<DriftDetails>)[];
  drift?: StructureComparison;
}

interface Adoption extends Omit<AdoptionResult, 'findings'> {
  dryRun: boolean;
  findings: Finding[];
}

interface Linted extends Omit<LintReport, 'findings' | 'suppressed'> {
  findings: Finding<LintDetails>[];
  suppressed: SuppressedFinding<LintDetails>[];
}

interface Validated extends Omit<ValidationResult, 'suppressed'> {
  suppressed: SuppressedFinding<LintDetails>[];
}

interface LintFixed extends Linted {
  dryRun: boolean;
  /** How many findings the edits fix. */
  fixed: number;
  /** What has to be fixed by hand, and why. */
  left: { code: string; reason: string; location: FindingLocation }[];
  written: { file: string; isNew: boolean }[];
}

type LintRule = Pick<(typeof LINT_RULES)[number], 'name' | 'group' | 'severity' | 'summary'> & {
  isOptional: boolean;
  /** The page that explains it, relative to the package. */
  page: string;
};

interface Difference extends StructureComparison {
  from: string;
  to: string;
  findings: Finding<DriftDetails>[];
}

interface DumpFile {
  file: string;
  state: 'written' | 'unchanged' | 'same' | 'different' | 'missing';
  objects: number;
  diff?: string;
}

interface DiagramFile extends Omit<DrawnDiagram, 'text'> {
  file: string;
  state: 'written' | 'unchanged';
}

export interface TypesDetails {
  diff?: string;
}

interface TypesFile extends TypesFileResult {
  findings: Finding<TypesDetails>[];
}

interface DoctorOutput extends DoctorReport {
  /** Which statuses set the exit code 3. */
  failOn: DoctorCheckStatus[];
}

interface ReportOutput extends Overview {
  /** The page that was written; null without `--out`. */
  file: string | null;
}

interface SnapshotKept extends Pick<StatsSnapshot, 'takenAt' | 'reason' | 'notes'> {
  /** In the history; null if it is in a file. */
  id: number | null;
  file: string | null;
  /** In the table, compressed, or of the file. */
  sizeBytes: number;
  counts: {
    tables: number;
    indexes: number;
    /** Null if they are unknown. */
    statements: number | null;
    settings: number;
    findings: number | null;
  };
}

type Notes = Pick<StatsReport<never>, 'countedSince' | 'notes'>;

interface Repaired {
  dryRun: boolean;
  repairs: BusinessRuleRepair[];
  /** What is still broken. */
  findings: Finding<BusinessRuleDetails>[];
}

/** A line of `--progress json`. */
export type ProgressLine = Pick<Envelope, 'formatVersion' | 'command'> & {
  /** ISO 8601. */
  at: string;
} & MigrationProgress;

/** What each command gives beside the envelope: `schemas/` is made from this. */
export interface Outputs {
  init: InitProjectResult;
  config: { entries: ConfigEntry[]; warnings: string[] };
  version: { version: string };
  completion: { shell: string; script: string };
  'migrate up': Ran | Planned | FleetSummary;
  'migrate down': Ran | Planned;
  'migrate redo': Ran | Planned;
  'migrate plan': Planned | FleetSummary;
  'migrate reset': ResetSchemaResult & { dryRun: false };
  /** A repeatable has no version. */
  'migrate create': Omit<CreatedMigration, 'version'> & Partial<Pick<CreatedMigration, 'version'>>;
  'migrate expand rename-column': Expanded;
  'migrate expand change-type': Expanded;
  'migrate expand set-not-null': Expanded;
  'migrate expand split-column': Expanded;
  'migrate expand add-foreign-key': Expanded;
  'migrate expand add-unique': Expanded;
  'migrate expand add-check': Expanded;
  'migrate squash': Squash & { dryRun: boolean };
  'migrate status': Status | FleetSummary;
  'migrate validate': Validated | FleetSummary;
  'migrate repair': MigrateRepairResult & { dryRun: boolean };
  'migrate baseline': BaselineResult & { dryRun: boolean };
  'migrate restore': RestoreResult & { dryRun: boolean };
  'migrate adopt': Adoption | (UndoneAdoption & { dryRun: boolean; undo: true });
  seed: ((SeedPlan | SeedResult) & { dryRun: boolean }) | FleetSummary;
  'backfill status': BackfillsStatus | FleetSummary;
  'backfill run': Ran;
  'backfill pause': { backfill: BackfillStatus };
  'backfill resume': { backfill: BackfillStatus };
  'backfill cancel': { backfill: BackfillStatus };
  lint: Linted | LintFixed | { rules: LintRule[] } | { rule: string; page: string };
  'schema dump': (Structure & { sql: string }) | DumpFile;
  'schema diff': Difference | FleetSummary;
  'schema diagram': DrawnDiagram | DiagramFile;
  types: GeneratedTypes | TypesFile;
  'stats advise': IndexAdvice & {
    /** The migration of `--write`; null without it. */
    written: Pick<Expansion, 'migrations' | 'findings'> | null;
  };
  'stats indexes': StatsReport<IndexRow> | FleetSummary;
  'stats unused': StatsReport<UnusedIndexRow> | FleetSummary;
  'stats duplicates': StatsReport<DuplicateIndexRow> | FleetSummary;
  'stats invalid': StatsReport<InvalidObjectRow> | FleetSummary;
  'stats missing-fk': StatsReport<MissingForeignKeyIndexRow> | FleetSummary;
  'stats tables': StatsReport<TableRow> | FleetSummary;
  'stats queries': StatsReport<QueryStatsRow> | FleetSummary;
  'stats locks': StatsReport<LockRow> | FleetSummary;
  'stats activity': StatsReport<ActivityRow> | FleetSummary;
  'stats connections': ConnectionsReport | FleetSummary;
  'stats sequences': StatsReport<SequenceRow> | FleetSummary;
  'stats vacuum': VacuumReport | FleetSummary;
  'stats cache': StatsReport<CacheRow> | FleetSummary;
  'stats replication': StatsReport<ReplicationRow> | FleetSummary;
  'stats partitions': StatsReport<PartitionedTableRow> | FleetSummary;
  'stats snapshot': SnapshotKept | { snapshots: SnapshotEntry[] };
  'stats diff': StatsDiff;
  'stats update': StatsReport<UpdateStatisticsRow> & { isInterrupted: boolean };
  monitor: {
    /** How many were printed, each as a line of its own. */
    looks?: number;
  };
  doctor: DoctorOutput | FleetSummary;
  report: ReportOutput;
  'db ping': DatabasePing;
  'db wait': DatabasePing & { waitedMs: number; tries: number };
  'db create': { database: string; created: boolean };
  'db drop': { database: string; dropped: boolean; endedSessions: DatabaseSession[] };
  'db sizes': StatsReport<DatabaseSizeRow>;
  'rules check': (Notes & { findings: Finding<BusinessRuleDetails>[] }) | FleetSummary;
  'fleet list': { fleet: string; members: Omit<FleetMember, 'url'>[] };
  'fleet status': FleetMatrix & { fleet: string };
  'fleet add': AddedTenant & { fleet: string; member: string };
  'fleet remove': {
    fleet: string;
    member: string;
    kind: 'schema' | 'database';
    database: string;
    schema: string;
    dropped: boolean;
  };
  'rules list': StatsReport<BusinessRule>;
  'rules repair': Repaired;
  'audit log': AuditLogPage | AuditEntry;
  'audit summary': StatsReport<AuditSummaryRow>;
  'audit cleanup':
    | (AuditCleanupResult & { dryRun: false })
    | (StatsReport<AuditCleanupPreview> & { dryRun: true; days: number })
    | FleetSummary;
  'events list': EventPage;
  'events search': EventPage;
  'events show': { event: EventDetails };
  'events stats': { stats: EventSeats };
  'events register': RegistrationReport;
  'events unregister': RegistrationReport;
  'server start': {
    running: true;
    started: boolean;
    port: number;
    pid: number;
    version: string;
    dataDirectory: string;
  };
  'server stop': { stopped: boolean; pid: number | null } | { servers: ListedServer[] };
  'server list': { servers: ListedServer[] };
  'server status': EmbeddedServerStatus;
  'server url': { url: string };
}
