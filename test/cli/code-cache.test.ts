import { expect, test } from 'vitest';
import { GROUPS } from '../../src/cli/code-cache.ts';
import { processContext } from '../../src/cli/context.ts';
import { buildProgram } from '../../src/cli/run.ts';

test('names the files of kept code by the groups that the program has', () => {
  const program = buildProgram(processContext(process), { exitCode: 0, command: '' });
  const groups = program.commands.filter((command) => command.commands.length > 0);
  expect([...GROUPS].sort()).toEqual(groups.map((group) => group.name()).sort());
});
