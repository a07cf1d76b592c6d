import { describe, expect, it } from 'vitest';
import {
  commandLine,
  flagWords,
  type PrintedCommand,
  pathWords,
  sameCommand,
  withCommandFlags,
  withCommandRenderer,
  writtenCommands,
} from '../../src/text/command-line.ts';

describe('a command that is printed', () => {
  it('is one that can be pasted where nobody says how evdb was called', () => {
    expect(commandLine('migrate status', { all: true })).toBe('evdb migrate status --all');
    expect(sameCommand('migrate down', { steps: 2 })).toBe('evdb migrate down --steps 2');
    expect(commandLine('migrate repair', {}, { args: ["it's"] })).toBe(
      "evdb migrate repair 'it'\\''s'",
    );
    expect(commandLine('', { version: true })).toBe('evdb --version');
  });

  it('has each option as the shell takes it for one', () => {
    expect(flagWords({ all: true, none: undefined, to: '003', steps: 2, url: '-x' })).toEqual([
      '--all',
      '--to',
      '003',
      '--steps',
      '2',
      '--url=-x',
    ]);
    expect(flagWords({ steps: -1, name: 'a-' })).toEqual(['--steps=-1', '--name', 'a-']);
  });

  it('has its path in words', () => {
    expect(pathWords('migrate up')).toEqual(['migrate', 'up']);
    expect(pathWords('')).toEqual([]);
  });

  it('is written by who knows how evdb was called, and is remembered', () => {
    const asked: PrintedCommand[] = [];
    const render = (command: PrintedCommand) => {
      asked.push(command);
      return `npx ${command.path}`;
    };
    withCommandRenderer(render, () => {
      expect([...writtenCommands()]).toEqual([]);
      expect(commandLine('ping')).toBe('npx ping');
      expect(sameCommand('migrate up', { yes: true }, { args: ['a'], without: ['to'] })).toBe(
        'npx migrate up',
      );
      expect([...writtenCommands()]).toEqual(['npx ping', 'npx migrate up']);
    });
    expect(asked).toEqual([
      { path: 'ping', flags: {}, isAgain: false, args: undefined, without: [] },
      { path: 'migrate up', flags: { yes: true }, isAgain: true, args: ['a'], without: ['to'] },
    ]);
    expect([...writtenCommands()]).toEqual([]);
  });

  it('is remembered with what must not be given again', () => {
    const without: (readonly string[])[] = [];
    withCommandRenderer(
      (command) => {
        without.push(command.without);
        return 'x';
      },
      () => {
        commandLine('a', {}, { without: ['url'] });
        sameCommand('a');
      },
    );
    expect(without).toEqual([['url'], []]);
  });

  it('names the target that the work concerns, unless it names another', () => {
    const forTenant = ({ path }: PrintedCommand) => ({ schema: `for-${path}`, env: 'test' });
    expect(
      withCommandFlags(forTenant, () => [
        commandLine('ping'),
        commandLine('ping', { schema: 'mine' }),
      ]),
    ).toEqual(['evdb ping --schema for-ping --env test', 'evdb ping --schema mine --env test']);
    withCommandRenderer(
      ({ flags }) => `x ${flagWords(flags).join(' ')}`,
      () => {
        const inner = withCommandFlags(forTenant, () => commandLine('up'));
        expect(inner).toBe('x --schema for-up --env test');
        // Written inside, and kept in one piece outside as well.
        expect([...writtenCommands()]).toEqual([inner]);
      },
    );
  });
});
