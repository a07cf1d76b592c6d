import { execFileSync } from 'node:child_process';
import { chownSync, mkdtempSync, rmSync, statfsSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type postgres from 'postgres';
import { dropDatabase } from '../support/databases.ts';

/** A database whose files are on a small disk of their own. */
export interface SmallDisk {
  /** Leaves so many bytes of it. */
  leave(bytes: number): void;
  free(): void;
  remove(): Promise<void>;
}

/**
 * Makes a disk in memory, and a database on it. The log of transactions stays where it is: where that
 * finds no place, the server ends as in a crash.
 *
 * @param dataDirectory of the server, whose owner gets the disk
 */
export async function makeSmallDisk(
  maintenance: postgres.Sql,
  database: string,
  dataDirectory: string,
): Promise<SmallDisk> {
  const folder = mkdtempSync(join(tmpdir(), 'evdb-test-disk-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=32m,mode=700', 'tmpfs', folder]);
  const { uid, gid } = statSync(dataDirectory);
  chownSync(folder, uid, gid);
  await maintenance.unsafe(`create tablespace small location '${folder}'`);
  await maintenance.unsafe(`create database ${database} template template0 tablespace small`);
  const ballast = join(folder, 'ballast');
  const free = () => rmSync(ballast, { force: true });
  return {
    leave: (bytes) => {
      free();
      const { bavail, bsize } = statfsSync(folder);
      writeFileSync(ballast, Buffer.alloc(Math.max(0, bavail * bsize - bytes)));
    },
    free,
    remove: async () => {
      free();
      await dropDatabase(maintenance, database);
      await maintenance.unsafe('drop tablespace small');
      execFileSync('umount', ['--lazy', folder]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
