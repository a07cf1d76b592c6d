import { Option } from 'commander';
import { type CommandGroup, type CommandSpec, handlersOf } from '../define.ts';
import { eventSchemaOptions, reportOptions } from '../options.ts';

const handler = handlersOf(() => import('../handlers/events.ts'));

const severity = () =>
  new Option('--severity <level>', 'error leaves warnings out; warning has both')
    .choices(['error', 'warning'])
    .default('warning');

const CHECK: CommandSpec = {
  name: 'check',
  summary: 'look for data that breaks a rule of the event schema',
  description:
    'Looks for rows that break a rule in spite of constraints and triggers, and for guards that are gone. Changes nothing. Exits 3 when a rule is broken.',
  fleet: { writes: false, shows: 'line' },
  options: () => [severity(), ...reportOptions(), ...eventSchemaOptions()],
  examples: ['rules check', 'rules check --severity error --json'],
  hasFormats: true,
  run: handler('handleRulesCheck'),
};

const LIST: CommandSpec = {
  name: 'list',
  summary: 'list the rules, and what repairs each',
  options: () => [...reportOptions(), ...eventSchemaOptions()],
  examples: ['rules list'],
  run: handler('handleRulesList'),
};

const REPAIR: CommandSpec = {
  name: 'repair',
  summary: 'repair what can be repaired without taking anything from anybody',
  description:
    'Repairs the broken rules that have a repair, each in a transaction of its own, and looks again. With --dry-run it does the same, shows every change and rolls it back. Exits 3 when a rule is still broken afterwards. Refused where the environment is protected.',
  arguments: [['[rule...]', 'only these rules (default: all that are broken)']],
  options: () => [
    severity(),
    new Option('--dry-run', 'show what would change, and roll it back'),
    new Option('--confirm', 'consent: without it nothing is changed'),
    ...eventSchemaOptions(),
  ],
  examples: ['rules repair --dry-run', 'rules repair registration_count_mismatch --confirm'],
  run: handler('handleRulesRepair'),
};

export const RULES_COMMANDS: CommandGroup = {
  name: 'rules',
  summary: 'check the data against the rules of the event schema, and repair it',
  examples: ['rules check', 'rules repair --dry-run'],
  commands: [CHECK, LIST, REPAIR],
};
