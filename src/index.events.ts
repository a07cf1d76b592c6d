// The declarations speak of Buffer and of Node's events; compilers no longer look for these alone.
/// <reference types="node" preserve="true" />
export type {
  AuditCleanupDone,
  AuditCleanupOptions,
  AuditCleanupPreview,
  AuditCleanupProgress,
  AuditCleanupResult,
  DroppedAuditPartition,
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
export type { EventSchemaTarget } from './events/event-schema.ts';
export type {
  EventDetails,
  EventPage,
  EventRow,
  EventSeats,
  FindEventsOptions,
} from './events/events.ts';
export { findEvents, readEvent, readEventSeats } from './events/events.ts';
export type {
  RegisterUsersOptions,
  RegistrationOutcome,
  RegistrationReport,
  UnregisterUsersOptions,
} from './events/register-users.ts';
export { registerUsers, unregisterUsers } from './events/register-users.ts';
export type {
  Registrar,
  RegistrarBatchSizes,
  RegistrarMetrics,
  RegistrarOptions,
} from './events/registrar.ts';
export { createRegistrar } from './events/registrar.ts';
export type { RegistrarPool } from './events/registrar-turn.ts';
export {
  checkRegistrationOptions,
  createRegistrationClient,
  getEventStats,
  type RegistrationClient,
  type RegistrationClientOptions,
  type RegistrationOptions,
  requireIds,
  safeEventRegistration,
  safeEventUnregistration,
  type UnregistrationOptions,
} from './events/registration.ts';
export type {
  EventStats,
  RawEventStats,
  RawRegistration,
  RegistrationRefusal,
  RegistrationResult,
  SuccessfulRegistration,
  UnregistrationResult,
} from './events/registration-answer.ts';
export type {
  BusinessRule,
  BusinessRuleDetails,
  BusinessRuleRepair,
  BusinessRuleSeverity,
  BusinessRuleViolation,
  CheckBusinessRulesOptions,
  RepairBusinessRulesOptions,
  RepairBusinessRulesResult,
} from './events/rules.ts';
export { checkBusinessRules, listBusinessRules, repairBusinessRules } from './events/rules.ts';
