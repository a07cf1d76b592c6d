import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** A folder as a user of evdb has it: a package.json, and migrations beside it. */
export interface TestProject {
  dir: string;
  /** Writes a file, with the folders it needs, and returns its path. */
  write(path: string, text: string | Uint8Array): Promise<string>;
  /** Writes `migrations/<name>.sql` and, where given, its down script; returns the first path. */
  migration(name: string, up: string, down?: string): Promise<string>;
  remove(): Promise<void>;
}

/** Creates a project in a folder of its own below the system's temporary one. */
export async function createProject(): Promise<TestProject> {
  // Reported paths are real ones, and the temporary folder of macOS is a link.
  const dir = await realpath(await mkdtemp(join(tmpdir(), 'evdb-test-project-')));
  const write: TestProject['write'] = async (path, text) => {
    const file = join(dir, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
    return file;
  };
  await write('package.json', '{ "name": "project", "private": true }\n');
  return {
    dir,
    write,
    migration: async (name, up, down) => {
      if (down !== undefined) await write(`migrations/${name}.down.sql`, down);
      return write(`migrations/${name}.sql`, up);
    },
    remove: () => rm(dir, { recursive: true, force: true }),
  };
}
