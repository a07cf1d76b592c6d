// The declarations speak of Buffer and of Node's events; compilers no longer look for these alone.
/// <reference types="node" preserve="true" />
export type {
  FleetEntry,
  FleetInput,
  FleetMemberInput,
  FleetSettings,
} from './config/fleet-settings.ts';
export { createSessionKeeper, type SessionKeeper } from './connection/session-keeper.ts';
export type { DatabaseSession, DropDatabaseOptions } from './database/database.ts';
export { dropDatabase, ensureDatabase } from './database/database.ts';
export type { DatabasePing, WaitForDatabaseOptions } from './database/ping.ts';
export { pingDatabase, waitForDatabase } from './database/ping.ts';
export type { DatabaseSizeRow, ReadDatabaseSizesOptions } from './database/sizes.ts';
export { readDatabaseSizes } from './database/sizes.ts';
export type {
  Diagram,
  DiagramColumn,
  DiagramColumns,
  DiagramKey,
  DiagramReference,
  DiagramSelection,
  DiagramTable,
} from './diagram/diagram.ts';
export type { DiagramFormat, DrawDiagramOptions, DrawnDiagram } from './diagram/draw.ts';
export { drawDiagram } from './diagram/draw.ts';
export type {
  DoctorCheck,
  DoctorCheckGroup,
  DoctorExamination,
  DoctorFinding,
  MigrationCounts,
  ReadOnce,
} from './doctor/check.ts';
export type {
  DoctorCheckReport,
  DoctorCheckStatus,
  DoctorOptions,
  DoctorReport,
} from './doctor/doctor.ts';
export { DOCTOR_CHECK_NAMES, runDoctor } from './doctor/doctor.ts';
export type { DoctorIgnore } from './doctor/ignore.ts';
export type { FleetGroup, FleetMatrix, MemberStanding } from './fleet/matrix.ts';
export { compareMembers, standingOf } from './fleet/matrix.ts';
export { type MemberConfigOptions, resolveMemberConfig } from './fleet/member-config.ts';
export { type MemberStructure, readMemberStructure } from './fleet/member-structure.ts';
export { type FleetMember, type ReadFleetOptions, readFleet } from './fleet/members.ts';
export { digestOfRun, type FleetRecord, type FleetRun, openFleetRecord } from './fleet/record.ts';
export type {
  FleetResult,
  MemberOutcome,
  MemberState,
  MemberUse,
  MemberVerdict,
  RunFleetOptions,
} from './fleet/run.ts';
export { runFleet } from './fleet/run.ts';
export type { AddedTenant, AddTenantOptions, TenantOptions } from './fleet/tenants.ts';
export { addTenant, removeTenant } from './fleet/tenants.ts';
export { type CheckWaveOptions, checkFleetWave, parseWaveCheck } from './fleet/wave-check.ts';
export { countOf, planWaves, selectMembers, type Wave, type WavePlan } from './fleet/waves.ts';
export type {
  FindingChangeRow,
  IndexChangeRow,
  QueryChangeRow,
  ScanChangeRow,
  SettingChangeRow,
  SnapshotHead,
  StatsDiff,
  TableChangeRow,
} from './history/diff.ts';
export { diffSnapshots } from './history/diff.ts';
export { type ReadStatsSnapshotOptions, readStatsSnapshot } from './history/snapshot.ts';
export type {
  CompareStructuresOptions,
  StructureSource,
  StructureSourceOptions,
} from './migrate/checks/drift.ts';
export { compareStructures, readStructureOf } from './migrate/checks/drift.ts';
export { withFilesRead } from './migrate/files/read-once.ts';
export { endSession, type SessionAction, type SessionTarget } from './monitor/end-session.ts';
export { frameOf, type MonitorFrame } from './monitor/frame.ts';
export type {
  CounterName,
  EventOnSale,
  EventQueue,
  MonitorLook,
  MonitorPulse,
  MonitorView,
  SaleLook,
  StatementCounters,
} from './monitor/look.ts';
export { MONITOR_VIEWS } from './monitor/look.ts';
export type { EventRate, StatementRate } from './monitor/rates.ts';
export {
  createMonitorReader,
  type MonitorReader,
  type MonitorReaderOptions,
} from './monitor/read.ts';
export type {
  MonitorEffect,
  MonitorEvent,
  MonitorKey,
  MonitorState,
} from './monitor/state.ts';
export { monitorStep, startMonitor } from './monitor/state.ts';
export type {
  Overview,
  OverviewAudit,
  OverviewServer,
  ReadOverviewOptions,
} from './overview/overview.ts';
export { readOverview } from './overview/overview.ts';
export { renderOverviewPage } from './overview/page.ts';
export type {
  ComingEvent,
  FillLevel,
  OverviewRegistrations,
  RegistrationsOfDay,
  SoldOutEvent,
  WaitingList,
} from './overview/registrations.ts';
export type { OverviewSection } from './overview/section.ts';
export type { OverviewIndex, OverviewSizes, OverviewTable, SizePoint } from './overview/sizes.ts';
export type { ReportNote, StatsReport } from './report/columns.ts';
export type { ScratchDatabase, ScratchDatabaseOptions } from './scratch/database.ts';
export { withScratchDatabase } from './scratch/database.ts';
export { type ActivityRow, type ReadActivityOptions, readActivity } from './stats/activity.ts';
export {
  type IndexAdvice,
  type ReadIndexAdviceOptions,
  readIndexAdvice,
} from './stats/advise/advise.ts';
export type { IndexAdviceRow, IndexAdviceStatement } from './stats/advise/rows.ts';
export { type CacheRow, type ReadCacheOptions, readCache } from './stats/cache.ts';
export type { StatsOptions, StatsPrecision } from './stats/catalog-queries.ts';
export type { ConnectionLimits, ConnectionRow, ConnectionsReport } from './stats/connections.ts';
export { readConnections } from './stats/connections.ts';
export { type DuplicateIndexRow, readDuplicateIndexes } from './stats/duplicates.ts';
export type {
  HistoryOptions,
  KeepSnapshotsOptions,
  ListSnapshotsOptions,
  SnapshotEntry,
} from './stats/history.ts';
export { chooseSnapshot, keepSnapshots, listSnapshots, readSnapshot } from './stats/history.ts';
export type { IndexBuild } from './stats/index-catalog.ts';
export { type IndexRow, readIndexes } from './stats/indexes.ts';
export { type InvalidObjectRow, readInvalidObjects } from './stats/invalid.ts';
export { type LockRow, readLocks } from './stats/locks.ts';
export type { MissingForeignKeyIndexRow } from './stats/missing-fk.ts';
export { readMissingForeignKeyIndexes } from './stats/missing-fk.ts';
export { type PartitionedTableRow, readPartitions } from './stats/partitions.ts';
export { type QueryStatsRow, type ReadQueriesOptions, readQueries } from './stats/queries.ts';
export { type ReplicationRow, readReplication } from './stats/replication.ts';
export type { ReadSequencesOptions, SequenceColumn, SequenceRow } from './stats/sequences.ts';
export { readSequences } from './stats/sequences.ts';
export type {
  SnapshotFinding,
  SnapshotIndex,
  SnapshotReason,
  SnapshotSequence,
  SnapshotServer,
  SnapshotStatement,
  SnapshotTable,
  StatsSnapshot,
} from './stats/snapshot-format.ts';
export { parseSnapshotFile, renderSnapshotFile } from './stats/snapshot-format.ts';
export { type BloatUnknown, readTables, type TableRow } from './stats/tables.ts';
export { readTrends, type Trends } from './stats/trends.ts';
export type { ReadUnusedIndexesOptions, UnusedIndexRow } from './stats/unused.ts';
export { readUnusedIndexes } from './stats/unused.ts';
export type { UpdateStatisticsOptions, UpdateStatisticsRow } from './stats/update.ts';
export { updateStatistics } from './stats/update.ts';
export type { ReadVacuumOptions, RunningVacuum, VacuumReport, VacuumRow } from './stats/vacuum.ts';
export { readVacuum } from './stats/vacuum.ts';
export type { StructureDifference, StructurePartDifference } from './structure/diff.ts';
export { describeDifferences, diffStructures } from './structure/diff.ts';
export type {
  ReadDatabaseStructureOptions,
  ReadStructureOptions,
} from './structure/read/structure.ts';
export { readDatabaseStructure, readStructure } from './structure/read/structure.ts';
export { renderStructure } from './structure/render/structure.ts';
export type { Structure, StructureKind, StructureObject } from './structure/structure.ts';
export { withoutPartitions } from './structure/structure.ts';
export type { StructureFileCheck, StructureFileResult } from './structure/structure-file.ts';
export { checkStructureFile, writeStructureFile } from './structure/structure-file.ts';
export type { GeneratedTypes, GenerateTypesOptions, TypesSource } from './typescript/generate.ts';
export { generateTypes } from './typescript/generate.ts';
export type { TypesStyle } from './typescript/render.ts';
