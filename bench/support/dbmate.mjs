import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const VERSION = '2.36.0';

/**
 * The path of dbmate's binary, fetched from npm into `.cache/` where it is not there yet. The
 * binary itself, because npm's wrapper would add the start of a Node process to each run.
 *
 * @returns {{ path: string } | { missing: string }}
 */
export function ensureDbmate() {
  const prefix = fileURLToPath(new URL(`../../.cache/dbmate-${VERSION}`, import.meta.url));
  const extension = process.platform === 'win32' ? '.exe' : '';
  const platform = `${process.platform}-${process.arch}`;
  const path = join(prefix, 'node_modules/@dbmate', platform, 'bin', `dbmate${extension}`);
  if (existsSync(path)) return { path };
  mkdirSync(prefix, { recursive: true });
  const args = ['install', '--prefix', prefix, '--no-save', '--ignore-scripts', '--no-audit'];
  const { status } = spawnSync('npm', [...args, `dbmate@${VERSION}`], {
    stdio: ['ignore', 'ignore', 'inherit'],
    shell: process.platform === 'win32',
  });
  if (status === 0 && existsSync(path)) return { path };
  return { missing: `dbmate ${VERSION} could not be fetched from npm for ${platform}` };
}
