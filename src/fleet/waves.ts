import { EvdbError } from '../errors.ts';
import { commandLine } from '../text/command-line.ts';
import { renderCount } from '../text/units.ts';
import { renderSuggestion } from '../text/words.ts';
import type { FleetMember } from './members.ts';

/** Members that run together; the next ones begin when all of these are done. */
export interface Wave {
  /** From 1. */
  number: number;
  isCanary: boolean;
  members: FleetMember[];
}

/**
 * Selects members by what `--only` was given: `region=eu,us` takes one of both values, several conditions
 * must all hold, and `name=tenant_*` or a name alone takes members by their names. Pure.
 *
 * @param fleet its name, for messages
 * @throws {EvdbError} USAGE for a label that no member has, and where none is left
 * @example selectMembers(members, ['region=eu', 'plan=free,trial'])
 */
export function selectMembers(
  members: readonly FleetMember[],
  only: readonly string[],
  fleet = '<fleet>',
): FleetMember[] {
  const selected = thoseThatFit(members, only);
  if (selected.length > 0) return selected;
  throw new EvdbError('USAGE', `no member of the fleet fits --only ${only.join(' --only ')}`, {
    hint: `The fleet has ${renderCount(members.length, 'member')}; \`${commandLine('fleet list', {}, { args: [fleet] })}\` shows them with their labels.`,
  });
}

function thoseThatFit(members: readonly FleetMember[], said: readonly string[]): FleetMember[] {
  const conditions = said.map((text) => parseCondition(text, members));
  return members.filter((member) => conditions.every((holds) => holds(member)));
}

function parseCondition(
  text: string,
  members: readonly FleetMember[],
): (member: FleetMember) => boolean {
  const [label = '', ...rest] = text.split('=');
  const [key, list] = rest.length === 0 ? ['name', label] : [label, rest.join('=')];
  const patterns = list.split(',').map((one) => patternOf(one.trim()));
  const known = new Set(['name', ...members.flatMap(({ labels }) => Object.keys(labels))]);
  if (!known.has(key)) {
    throw new EvdbError('USAGE', `no member has the label "${key}"`, {
      hint: `Labels of this fleet: ${[...known].join(', ')}${renderSuggestion(key, known)}`,
    });
  }
  return ({ name, labels }) => {
    const value = key === 'name' ? name : labels[key];
    return value !== undefined && patterns.some((pattern) => pattern.test(value));
  };
}

/** `*` stands for any text. */
function patternOf(text: string): RegExp {
  const parts = text.split('*').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}$`, 's');
}

/** How a run is cut into waves. */
export interface WavePlan {
  /** A number of members, or a label such as `plan=internal`. */
  canary?: string | undefined;
  /** A number of members, or a share of them such as `10%`. */
  waveSize?: string | undefined;
}

/**
 * Puts members into waves: the canary group first, then as many at a time as a wave has. Pure.
 *
 * @throws {EvdbError} USAGE for a size that is none, and for a canary group that is empty
 * @example planWaves(members, { canary: '3', waveSize: '25%' })
 */
export function planWaves(members: readonly FleetMember[], { canary, waveSize }: WavePlan): Wave[] {
  const first = canary === undefined ? [] : canaryOf(members, canary);
  const isFirst = new Set(first);
  const others = members.filter((member) => !isFirst.has(member));
  const size = waveSize === undefined ? others.length : waveSizeOf(waveSize, others.length);
  const waves: Wave[] = [];
  if (first.length > 0) waves.push({ number: 1, isCanary: true, members: first });
  for (let from = 0; from < others.length; from += Math.max(1, size)) {
    const group = others.slice(from, from + Math.max(1, size));
    waves.push({ number: waves.length + 1, isCanary: false, members: group });
  }
  return waves;
}

function waveSizeOf(text: string, total: number): number {
  const size = countOf(text, total, '--wave-size');
  // A share of no members is 0 too, where the canary group has all of them.
  if (size > 0 || total === 0) return size;
  throw new EvdbError('USAGE', `--wave-size ${text}: a wave has at least one member`, {
    hint: 'Leave it out to have all members in one wave.',
  });
}

function canaryOf(members: readonly FleetMember[], canary: string): FleetMember[] {
  if (canary.includes('=')) {
    const selected = thoseThatFit(members, [canary]);
    if (selected.length > 0) return selected;
    throw new EvdbError('USAGE', `no member of this run fits --canary ${canary}`, {
      hint: 'Name a label that some of them have, or a number of members, such as --canary 1.',
    });
  }
  return members.slice(0, countOf(canary, members.length, '--canary'));
}

/**
 * A number of members, from a number or a share of all; a share is at least one member. Pure.
 *
 * @throws {EvdbError} USAGE
 * @example countOf('10%', 45, '--wave-size') // 5
 */
export function countOf(text: string, total: number, flag: string): number {
  const [, digits, percent] = /^(\d+(?:\.\d+)?)(%?)$/.exec(text.trim()) ?? [];
  const value = Number(digits);
  if (percent && value <= 100) return value === 0 ? 0 : Math.ceil((total * value) / 100);
  if (digits !== undefined && !percent && Number.isSafeInteger(value)) return value;
  throw new EvdbError('USAGE', `${flag} ${text}: that is no number of members and no share`, {
    hint: `Write for example: ${flag} 10, or ${flag} 10%.`,
  });
}
