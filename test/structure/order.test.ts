import { describe, expect, it } from 'vitest';
import {
  beforeLastDot,
  beforeParenthesis,
  splitNames,
} from '../../src/structure/render/addresses.ts';
import { orderUnits, type Unit } from '../../src/structure/render/unit.ts';

function unit(key: string, needs: string[] = [], early?: true): Unit {
  return {
    keys: [key],
    section: 0,
    name: key,
    needs,
    statements: [key],
    ...(early && { early: { statements: [`${key}, a stand-in`], rest: [`${key}, whole`] } }),
  };
}

const order = (...units: Unit[]) => orderUnits(units).flat();

describe('the order of statements', () => {
  it('is that of names, whatever the order of the units', () => {
    expect(order(unit('b'), unit('c'), unit('a'))).toEqual(['a', 'b', 'c']);
  });

  it('puts what is needed first', () => {
    expect(order(unit('a', ['c']), unit('b'), unit('c', ['d']), unit('d'))).toEqual([
      ...['d', 'c', 'a', 'b'],
    ]);
  });

  it('goes by sections before names', () => {
    expect(order({ ...unit('a'), section: 1 }, unit('b'))).toEqual(['b', 'a']);
  });

  it('makes a stand-in where something is needed by what it needs', () => {
    expect(order(unit('view', ['function'], true), unit('function', ['view']))).toEqual([
      ...['view, a stand-in', 'function', 'view, whole'],
    ]);
  });

  it('makes it also where the circle is entered elsewhere', () => {
    expect(order(unit('a function', ['view']), unit('view', ['a function'], true))).toEqual([
      ...['view, a stand-in', 'a function', 'view, whole'],
    ]);
  });

  it('does not make it where there is no circle', () => {
    expect(order(unit('view', ['f'], true), unit('f'))).toEqual(['f', 'view']);
  });

  it('writes all there is even where nothing breaks the circle', () => {
    expect(order(unit('a', ['b']), unit('b', ['a'])).sort()).toEqual(['a', 'b']);
  });

  it('ignores what is not there', () => {
    expect(order(unit('a', ['elsewhere']))).toEqual(['a']);
  });
});

describe('names', () => {
  it('are split at commas outside of quotes', () => {
    expect(splitNames('public.a, "b, ""c""".d')).toEqual(['public.a', '"b, ""c""".d']);
  });

  it('end before the arguments of a routine', () => {
    expect(beforeParenthesis('public."f("(integer)')).toBe('public."f("');
  });

  it('lose the column behind the last dot', () => {
    expect(beforeLastDot('public."a.b"."c.""d"')).toBe('public."a.b"');
    expect(beforeLastDot('public.a.b')).toBe('public.a');
  });
});
