// The declarations speak of Buffer and of Node's events; compilers no longer look for these alone.
/// <reference types="node" preserve="true" />
export type { DatabaseSession, DropDatabaseOptions } from './database/database.ts';
export { dropDatabase, ensureDatabase } from './database/database.ts';
export type { DatabasePing, WaitForDatabaseOptions } from './database/ping.ts';
export { pingDatabase, waitForDatabase } from './database/ping.ts';
export type { DatabaseSizeRow, ReadDatabaseSizesOptions } from './database/sizes.ts';
export { readDatabaseSizes } from './database/sizes.ts';
export type {
  DoctorCheck,
  DoctorCheckGroup,
  DoctorExamination,
  DoctorFinding,
  MigrationCounts,
} from './doctor/check.ts';
export type {
  DoctorCheckReport,
  DoctorCheckStatus,
  DoctorOptions,
  DoctorReport,
} from './doctor/doctor.ts';
export { DOCTOR_CHECK_NAMES, runDoctor } from './doctor/doctor.ts';
export type { DoctorIgnore } from './doctor/ignore.ts';
export type {
  CompareStructuresOptions,
  StructureSource,
  StructureSourceOptions,
} from './migrate/checks/drift.ts';
export { compareStructures, readStructureOf } from './migrate/checks/drift.ts';
export type { ReportNote, StatsReport } from './report/columns.ts';
export type { ScratchDatabase, ScratchDatabaseOptions } from './scratch/database.ts';
export { withScratchDatabase } from './scratch/database.ts';
export { type ActivityRow, type ReadActivityOptions, readActivity } from './stats/activity.ts';
export { type CacheRow, type ReadCacheOptions, readCache } from './stats/cache.ts';
export type { StatsOptions, StatsPrecision } from './stats/catalog-queries.ts';
export type { ConnectionLimits, ConnectionRow, ConnectionsReport } from './stats/connections.ts';
export { readConnections } from './stats/connections.ts';
export { type DuplicateIndexRow, readDuplicateIndexes } from './stats/duplicates.ts';
export type { IndexBuild } from './stats/index-catalog.ts';
export { type IndexRow, readIndexes } from './stats/indexes.ts';
export { type InvalidObjectRow, readInvalidObjects } from './stats/invalid.ts';
export { type LockRow, readLocks } from './stats/locks.ts';
export type { MissingForeignKeyIndexRow } from './stats/missing-fk.ts';
export { readMissingForeignKeyIndexes } from './stats/missing-fk.ts';
export { type PartitionedTableRow, readPartitions } from './stats/partitions.ts';
export { type QueryStatsRow, type ReadQueriesOptions, readQueries } from './stats/queries.ts';
export { type ReplicationRow, readReplication } from './stats/replication.ts';
export { readSequences, type SequenceColumn, type SequenceRow } from './stats/sequences.ts';
export { type BloatUnknown, readTables, type TableRow } from './stats/tables.ts';
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
