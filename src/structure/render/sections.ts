import type { StructureKind } from '../structure.ts';

/** Where the objects of a kind stand. Functions come first of what tables may need in expressions. */
export const SECTIONS: Record<StructureKind, number> = {
  schema: 0,
  extension: 1,
  language: 2,
  'access method': 3,
  'foreign data wrapper': 4,
  server: 5,
  'user mapping': 6,
  collation: 10,
  conversion: 11,
  'base type': 12,
  enum: 13,
  'composite type': 14,
  domain: 15,
  range: 16,
  'text search parser': 17,
  'text search template': 18,
  'text search dictionary': 19,
  'text search configuration': 20,
  function: 30,
  procedure: 31,
  aggregate: 32,
  operator: 33,
  'operator family': 34,
  'operator class': 35,
  cast: 36,
  transform: 37,
  sequence: 40,
  // behind its table, see `indexSection`
  index: 41,
  table: 41,
  'foreign table': 41,
  column: 41,
  identity: 41,
  constraint: 42,
  statistics: 45,
  view: 50,
  'materialized view': 51,
  rule: 61,
  trigger: 62,
  policy: 63,
  publication: 80,
  'default privileges': 81,
  privileges: 82,
  // last of all: it would fire for what is made behind it
  'event trigger': 90,
};

/** A partition made of a table that has its indexes would get them by itself, under other names. */
export const SECTION_PARTITION_INDEXES = 43;
export const SECTION_OWNED_SEQUENCES = 44;
export const SECTION_VIEW_INDEXES = 52;
export const SECTION_FOREIGN_KEYS = 60;
export const SECTION_REFRESHES = 70;
