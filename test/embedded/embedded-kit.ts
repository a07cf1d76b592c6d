import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { findEmbeddedBinaries } from '../../src/embedded/binaries.ts';
import { stopEmbeddedServer } from '../../src/embedded/stop.ts';

const repository = resolve(import.meta.dirname, '../..');

export const isRoot = process.getuid?.() === 0;
export const isLinux = process.platform === 'linux';

/** Root in an ordinary container may neither mount a disk nor make a container of its own. */
export const mayMount =
  isLinux && isRoot && spawnSync('unshare', ['--mount', '--pid', '--fork', 'true']).status === 0;

/** A user without rights who is on every system: who the server runs as when root starts it. */
export const nobody = { uid: 65534, gid: 65534 };

/** A temporary folder that every user may enter; `.evdb` folders go into folders below it. */
export class Stage {
  private made: string | undefined;
  private projects: string[] = [];
  private outside: string[] = [];

  /** Made at first use, because nothing is removed after a file whose tests are all skipped. */
  get root(): string {
    if (this.made) return this.made;
    this.made = realpathSync(mkdtempSync(join(tmpdir(), 'evdb-embedded-')));
    chmodSync(this.made, 0o755);
    return this.made;
  }

  /** Makes a project folder and returns the path of its `.evdb` folder, which is not made. */
  project(mode = 0o755): string {
    const folder = mkdtempSync(join(this.root, 'project-'));
    chmodSync(folder, mode);
    const directory = join(folder, '.evdb');
    this.projects.push(directory);
    return directory;
  }

  /** Has the server of a folder below the stage stopped at the end. */
  stopLater(directory: string): void {
    this.projects.push(directory);
  }

  /** Has a folder outside the stage removed at the end. */
  removeLater(folder: string): void {
    this.outside.push(folder);
  }

  /** Compiles the embedded server, so that plain Node of any version runs it as any user. */
  compile(): void {
    const compiler = join(repository, 'node_modules/typescript/bin/tsc');
    const config = join(this.root, 'tsconfig.json');
    writeFileSync(
      config,
      JSON.stringify({
        extends: join(repository, 'tsconfig.json'),
        compilerOptions: {
          noEmit: false,
          rootDir: join(repository, 'src'),
          outDir: join(this.root, 'dist'),
          typeRoots: [join(repository, 'node_modules/@types')],
        },
        include: [],
        files: ['server', 'stop'].map((name) => join(repository, 'src/embedded', `${name}.ts`)),
      }),
    );
    execFileSync(process.execPath, [compiler, '-p', config], { stdio: 'pipe' });
    writeFileSync(join(this.root, 'package.json'), '{"type":"module"}');
    const modules = join(this.root, 'node_modules');
    mkdirSync(modules);
    cpSync(join(repository, 'node_modules/postgres'), join(modules, 'postgres'), {
      recursive: true,
    });
    writeFileSync(join(this.root, 'ensure.mjs'), ENSURE_SCRIPT);
  }

  /** A copy of the installed binaries without the links that install scripts make. */
  copyBinariesWithoutLinks(name: string): string {
    const { root } = findEmbeddedBinaries();
    const copy = join(this.root, name);
    cpSync(root, join(copy, 'native'), { recursive: true, verbatimSymlinks: true });
    const listed = JSON.parse(readFileSync(join(root, 'pg-symlinks.json'), 'utf8')) as {
      target: string;
    }[];
    for (const { target } of listed) rmSync(join(copy, target), { force: true });
    return copy;
  }

  /** Runs `ensureEmbeddedServer` in a process of its own. */
  ensureElsewhere(directory: string, options: ElsewhereOptions = {}): Elsewhere {
    const { uid, gid, prefix = [], ...rest } = options;
    const words = [...prefix, process.execPath, join(this.root, 'ensure.mjs')];
    const [program = process.execPath, ...args] = [
      ...words,
      JSON.stringify({ directory, binariesDir: findEmbeddedBinaries().root, ...rest }),
    ];
    const child = spawn(program, args, {
      cwd: '/',
      detached: true,
      // the last is one that Node knows nothing about and would pass on to its children
      stdio: ['ignore', 'pipe', 'pipe', ...Array(37).fill('ignore'), 'pipe'],
      ...(uid === undefined ? {} : { uid }),
      ...(gid === undefined ? {} : { gid }),
    });
    return { child, result: readResult(child) };
  }

  async remove(): Promise<void> {
    await Promise.all(this.projects.map((directory) => stopEmbeddedServer({ directory })));
    for (const folder of [this.made, ...this.outside]) {
      if (folder) rmSync(folder, { recursive: true, force: true });
    }
  }
}

export interface ElsewhereOptions {
  uid?: number;
  gid?: number;
  /** Words before `node`, such as `unshare --pid`. */
  prefix?: string[];
  binariesDir?: string;
  database?: string;
  /** Keeps the process alive for so long after the server is up. */
  lingerMs?: number;
}

export interface Elsewhere {
  child: ChildProcess;
  /** What the process printed when all its output was closed. */
  result: Promise<ElsewhereResult>;
}

export interface ElsewhereResult {
  pid?: number;
  port?: number;
  started?: boolean;
  initialised?: boolean;
  dataDirectory?: string;
  url?: string;
  /** Of the error, when it failed. */
  code?: string;
  message?: string;
  stderr: string;
}

const ENSURE_SCRIPT = `
import { ensureEmbeddedServer } from './dist/embedded/server.js';
const { lingerMs = 0, ...options } = JSON.parse(process.argv[2]);
try {
  const server = await ensureEmbeddedServer(options);
  console.log(JSON.stringify(server));
} catch (error) {
  console.log(JSON.stringify({ code: error.code, message: error.message }));
}
setTimeout(() => undefined, lingerMs);
`;

function readResult(child: ChildProcess): Promise<ElsewhereResult> {
  let [stdout, stderr] = ['', ''];
  child.stdout?.on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr?.on('data', (chunk) => {
    stderr += chunk;
  });
  return new Promise((done, fail) => {
    child.once('error', fail);
    child.once('close', () => {
      const line = stdout.trim();
      done({ ...(line ? (JSON.parse(line) as object) : {}), stderr });
    });
  });
}
