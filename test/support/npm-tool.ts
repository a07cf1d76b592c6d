import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * The `node_modules` folder with a published tool, fetched from npm into `.cache/` where it is not
 * there yet. Not a development dependency, because only one test file needs each.
 *
 * @param packages with exact versions, such as `dbmate@2.36.0`
 */
export async function fetchNpmTool(name: string, packages: string[]): Promise<string> {
  const prefix = fileURLToPath(new URL(`../../.cache/tool-${name}`, import.meta.url));
  const done = join(prefix, `installed-${packages.join('-').replaceAll('/', '+')}`);
  if (!existsSync(done)) {
    await mkdir(prefix, { recursive: true });
    await writeFile(join(prefix, 'package.json'), '{ "private": true }\n');
    const flags = ['--ignore-scripts', '--no-package-lock', '--no-audit', '--no-fund'];
    // npm would take the project above for the one that is meant.
    const { code, output } = await run(
      'npm',
      ['install', '--prefix', prefix, ...flags, ...packages],
      {
        cwd: prefix,
        shell: process.platform === 'win32',
      },
    );
    if (code !== 0) throw new Error(`npm could not fetch ${packages.join(', ')}:\n${output}`);
    await writeFile(done, '');
  }
  return join(prefix, 'node_modules');
}

/** Runs a program to its end, and gives everything that it printed. */
export function run(
  command: string,
  args: string[],
  options: { cwd: string; env?: NodeJS.ProcessEnv; shell?: boolean },
): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        output += text;
      });
    }
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, output }));
  });
}
