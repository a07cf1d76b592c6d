import { EvdbError } from '../errors.ts';
import { dbmate } from './dbmate.ts';
import { diesel } from './diesel.ts';
import { flyway } from './flyway.ts';
import type { Adapter, AdoptableTool } from './foreign.ts';
import { golangMigrate } from './golang-migrate.ts';
import { goose } from './goose.ts';
import { graphileMigrate } from './graphile-migrate.ts';
import { nodePgMigrate } from './node-pg-migrate.ts';
import { pairs } from './pairs.ts';
import { prisma } from './prisma.ts';
import { sqlx } from './sqlx.ts';

const ADAPTERS: Record<AdoptableTool, Adapter> = {
  dbmate,
  'golang-migrate': golangMigrate,
  goose,
  flyway,
  'node-pg-migrate': nodePgMigrate,
  sqlx,
  'graphile-migrate': graphileMigrate,
  prisma,
  diesel,
  pairs,
};

/** @throws {EvdbError} USAGE for a tool that is not known */
export function requireAdapter(tool: string): Adapter {
  const adapter = Object.values(ADAPTERS).find((one) => one.tool === tool);
  if (adapter) return adapter;
  throw new EvdbError('USAGE', `${JSON.stringify(tool)} is not a tool that can be adopted`, {
    hint: `Known are: ${Object.keys(ADAPTERS).join(', ')}.`,
  });
}
