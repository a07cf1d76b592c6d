import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Ajv } from 'ajv';
import type { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { buildProgram } from '../../src/cli/run.ts';
import { checkJsonOutput } from '../support/json-schemas.ts';

const run = promisify(execFile);
const folder = new URL('../../schemas/', import.meta.url);

/** Every command with a `--json`, as its path has it: `migrate up`. */
function listCommands(command: Command, path: string[] = []): string[] {
  const own = command.options.some(({ long }) => long === '--json') ? [path.join(' ')] : [];
  return [
    ...own,
    ...command.commands.flatMap((child) => listCommands(child, [...path, child.name()])),
  ];
}

function build(): Command {
  const context = { env: {}, out: () => undefined, err: () => undefined };
  return buildProgram(context as never, { exitCode: 0, command: '' });
}

describe('the schemas of --json', () => {
  it('are as the types have them now', { timeout: 120_000 }, async () => {
    const script = fileURLToPath(new URL('../../scripts/schemas.mjs', import.meta.url));
    await expect(run(process.execPath, [script, '--check'])).resolves.toMatchObject({ stderr: '' });
  });

  it('exist for every command, the config and errors without a command', () => {
    const wanted = listCommands(build()).map((command) => `${command.replaceAll(' ', '-')}.json`);
    expect(wanted.length).toBeGreaterThan(40);
    expect(readdirSync(folder).sort()).toEqual(
      [...wanted, 'config-file.json', 'error.json', 'progress.json'].sort(),
    );
  });

  it('can be compiled, each alone', { timeout: 60_000 }, () => {
    for (const name of readdirSync(folder)) {
      const schema = JSON.parse(readFileSync(new URL(name, folder), 'utf8')) as object;
      const ajv = new Ajv({ strict: false, formats: { 'date-time': true } });
      expect(ajv.validateSchema(schema), name).toBe(true);
      ajv.compile(schema);
    }
  });

  it.each([
    ['a key that no schema names', { stopped: true, pid: 1, extra: 1 }],
    ['a key that is missing', { stopped: true }],
    ['a number as text', { stopped: true, pid: '1' }],
    ['a success that is called an error', { stopped: true, pid: 1, error: { code: 'USAGE' } }],
  ])('find %s', (_, data) => {
    const head = { formatVersion: 1, command: 'server stop', ok: true, exitCode: 0 };
    expect(checkJsonOutput({ ...head, stopped: true, pid: null } as never)).toEqual([]);
    expect(checkJsonOutput({ ...head, ...data })).not.toEqual([]);
  });

  it('take a config of every kind of value, and refuse a wrong one', () => {
    const text = readFileSync(new URL('config-file.json', folder), 'utf8');
    const check = new Ajv({ strict: false, formats: { 'date-time': true } }).compile(
      JSON.parse(text) as object,
    );
    const doctor = { ignore: [{ check: 'locks', reason: 'known' }] };
    const environments = { staging: { url: 'postgres://h/d', protected: true } };
    expect(check({ schema: 'app', lockTimeout: '2s', doctor, environments })).toBe(true);
    const secret = { password: 'a', environments: { a: { passwordCommand: ['b'] } } };
    expect(check({ $schema: './x.json', ...secret })).toBe(true);
    expect(check({ schema: 1 })).toBe(false);
    expect(check({ shcema: 'app' })).toBe(false);
    expect(check({ environments: { staging: { environments: {} } } })).toBe(false);
  });

  it('explain every key of the config', () => {
    const text = readFileSync(new URL('config-file.json', folder), 'utf8');
    const { definitions } = JSON.parse(text) as {
      definitions: Record<string, { properties?: Record<string, { description?: string }> }>;
    };
    const keys = Object.entries(definitions).flatMap(([type, { properties = {} }]) =>
      Object.entries(properties).map(([key, one]) => [`${type}.${key}`, one.description]),
    );
    expect(keys.length).toBeGreaterThan(20);
    expect(keys.filter(([, description]) => !description)).toEqual([]);
  });
});
