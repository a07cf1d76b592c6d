import type { StructureKind } from '../structure.ts';

/** Statements that stand together, and what must stand before them. */
export interface Unit {
  /** The keys of the objects that are there after it. */
  keys: string[];
  /** Where it stands unless another needs it earlier: a section, then its name. */
  section: number;
  name: string;
  needs: readonly string[];
  statements: string[];
  /** Where it is needed by what it needs itself: a stand-in, and what makes it whole afterwards. */
  early?: { statements: string[]; rest: string[] };
}

/**
 * Puts the units in an order in which each finds what it needs. It depends on names alone, so that
 * the same structure gives the same text, and a new object is a new place in it and nothing else.
 */
export function orderUnits(units: readonly Unit[]): string[][] {
  const sorted = [...units].sort((a, b) => a.section - b.section || compareText(a.name, b.name));
  const ordering = new Ordering(sorted);
  for (const unit of sorted) ordering.visit(unit);
  return ordering.blocks.filter((block) => block.length > 0);
}

class Ordering {
  readonly blocks: string[][] = [];
  readonly #byKey = new Map<string, Unit>();
  readonly #states = new Map<Unit, 'begun' | 'done'>();
  /** Those that are begun, each needed by the one before. */
  readonly #stack: Unit[] = [];
  /** Units of which a stand-in was made, with the unit that has to be whole before they can be. */
  readonly #early = new Map<Unit, Unit>();

  constructor(units: readonly Unit[]) {
    for (const unit of units) for (const key of unit.keys) this.#byKey.set(key, unit);
  }

  visit(unit: Unit): void {
    const state = this.#states.get(unit);
    if (state === 'begun') this.#breakCircle(unit);
    if (state !== undefined) return;
    this.#states.set(unit, 'begun');
    this.#stack.push(unit);
    for (const key of unit.needs) {
      const needed = this.#byKey.get(key);
      if (needed && needed !== unit) this.visit(needed);
    }
    this.#stack.pop();
    this.#states.set(unit, 'done');
    const waitsFor = this.#early.get(unit);
    if (waitsFor === undefined) this.blocks.push(unit.statements);
    else if (waitsFor === unit) this.blocks.push(unit.early?.rest ?? []);
    for (const [other, awaited] of this.#early) {
      if (awaited === unit && other !== unit) this.blocks.push(other.early?.rest ?? []);
    }
  }

  /** Makes a stand-in of one unit in the circle, and completes it when its needs are there. */
  #breakCircle(unit: Unit): void {
    const circle = this.#stack.slice(this.#stack.indexOf(unit));
    const broken = circle.find((one) => this.#early.has(one)) ?? circle.find((one) => one.early);
    if (!broken || this.#early.has(broken)) return;
    this.blocks.push(broken.early?.statements ?? []);
    this.#early.set(broken, unit);
  }
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

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
  statistics: 46,
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
/** Before foreign keys and triggers: Citus refuses to distribute some tables that have them. */
export const SECTION_DISTRIBUTION = 45;
export const SECTION_VIEW_INDEXES = 52;
export const SECTION_ROWS = 59;
export const SECTION_FOREIGN_KEYS = 60;
export const SECTION_REFRESHES = 70;
