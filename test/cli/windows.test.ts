import { afterAll, describe, expect, it, vi } from 'vitest';
import { createCommandRenderer } from '../../src/cli/command-renderer.ts';
import { type CliContext, processContext } from '../../src/cli/context.ts';
import { buildProgram } from '../../src/cli/run.ts';
import { displayPath } from '../../src/migrate/files/version.ts';
import type { PipelineFinding } from '../../src/report/pipeline.ts';
import { renderPipeline } from '../../src/report/pipeline-formats.ts';
import { sameCommand, withCommandRenderer } from '../../src/text/command-line.ts';

// Files before this one have loaded the sources with this system's paths; those behind it get them back.
vi.hoisted(() => vi.resetModules());
afterAll(() => {
  vi.restoreAllMocks();
  vi.doUnmock('node:path');
  vi.resetModules();
});

// Paths as Node makes them on Windows. Files are not read here: the workflow `test` runs the suite there.
vi.mock('node:path', async (original) => {
  const { win32 } = await original<typeof import('node:path')>();
  return { ...win32, default: win32 };
});

const HOME = 'C:\\Users\\ann';

/** What is printed where evdb was called in a project of a Windows machine. */
function print(programPath: string, env: Record<string, string> = {}): string {
  const context: CliContext = {
    ...processContext(process),
    cwd: `${HOME}\\shop`,
    env: { Path: `C:\\Windows;${HOME}\\AppData\\Roaming\\npm`, ...env },
    programPath,
    platform: 'win32',
  };
  const build = () => buildProgram(context, { exitCode: 0, command: '' });
  const renderer = createCommandRenderer(build, ['migrate', 'reset'], context);
  return withCommandRenderer(renderer, () => sameCommand('migrate reset', { confirm: true }));
}

describe('on Windows the printed command', () => {
  it.each([
    [`${HOME}\\AppData\\Roaming\\npm\\evdb`, 'evdb migrate reset --confirm'],
    [`${HOME}\\shop\\node_modules\\.bin\\evdb`, 'npx evdb migrate reset --confirm'],
    ['D:\\tools\\evdb\\bin\\evdb.js', 'node D:\\tools\\evdb\\bin\\evdb.js migrate reset --confirm'],
    [`${HOME}\\shop\\vendor\\evdb.cmd`, 'vendor\\evdb.cmd migrate reset --confirm'],
  ])('calls %s as a person would', (programPath, expected) => {
    expect(print(programPath)).toBe(expected);
  });

  it('quotes a path with spaces for the shell', () => {
    const programPath = 'D:\\my tools\\evdb.js';
    expect(print(programPath)).toContain('node "D:\\my tools\\evdb.js" migrate');
    expect(print(programPath, { PSModulePath: 'a;b;c' })).toContain("node 'D:\\my tools\\evdb.js'");
  });
});

describe('on Windows a path', () => {
  it('is shown from the working folder, and whole on another drive', () => {
    vi.spyOn(process, 'cwd').mockReturnValue(`${HOME}\\shop`);
    expect(displayPath(`${HOME}\\shop\\migrations\\001_a.sql`)).toBe('migrations\\001_a.sql');
    expect(displayPath(`${HOME}\\lib\\001_a.sql`)).toBe('..\\lib\\001_a.sql');
    expect(displayPath('D:\\m\\001_a.sql')).toBe('D:\\m\\001_a.sql');
  });

  it.each(['sarif', 'github', 'gitlab', 'junit', 'markdown'] as const)(
    'is given to %s with slashes, from the root of the repository',
    (format) => {
      const finding = (file: string): PipelineFinding => ({
        check: '002_a',
        code: 'set-not-null',
        severity: 'error',
        message: 'reads all',
        objects: [],
        location: { file, line: 3 },
      });
      const text = renderPipeline(
        format,
        {
          command: 'lint',
          checks: [{ name: '002_a' }],
          findings: [finding('migrations\\002_a.sql'), finding(`${HOME}\\shop\\api\\m\\003_b.sql`)],
          summary: '2 errors',
        },
        { toolVersion: '1.0.0', prefix: 'api', root: `${HOME}\\shop`, fallbackFile: 'a' },
      );
      expect(text).toContain('api/migrations/002_a.sql');
      expect(text).toContain('api/m/003_b.sql');
      expect(text).not.toMatch(/\\(migrations|m|shop)/);
    },
  );
});
