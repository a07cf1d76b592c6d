import { commandLine, type PrintedFlags } from '../text/command-line.ts';

/** The command line for these migrations; for several the one that lists what there is to decide. */
export function repairCommand(
  [first, ...others]: { label: string }[],
  flags: PrintedFlags = {},
): string {
  const isOne = first !== undefined && others.length === 0;
  return commandLine('migrate repair', flags, isOne ? { args: [first.label] } : {});
}
