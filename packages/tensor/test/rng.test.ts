import { describe, expect, it } from 'vitest';
import * as m from '../src/index.ts';
import { threefry } from '../src/threefry.ts';
import { host, hostBackends } from './support.ts';

const hex = (words: Iterable<number>) =>
  Array.from(words, (word) => word.toString(16).padStart(8, '0')).join(' ');
const mean = (values: ArrayLike<number>) => Array.from(values).reduce((a, b) => a + b, 0) / values.length;
const moment = (values: ArrayLike<number>, power: number) =>
  mean(Array.from(values, (value) => value ** power));

describe('Threefry-2x32-20', () => {
  // The known answers of the Random123 distribution (tests/kat_vectors): counter, key, result.
  it.each([
    [[0, 0], [0, 0], '6b200159 99ba4efe'],
    [[0xffffffff, 0xffffffff], [0xffffffff, 0xffffffff], '1cb996fc bb002be7'],
    [[0x243f6a88, 0x85a308d3], [0x13198a2e, 0x03707344], 'c4923a9c 483df7a0'],
  ])('at counter %j with key %j is %s', ([c0, c1], [k0, k1], expected) => {
    expect(hex(threefry(k0!, k1!, c0!, c1!))).toBe(expected);
  });
});

describe('Rng', () => {
  it('gives the generator’s words for its key', () => {
    expect(hex(m.Rng.fromJSON([0, 0]).bits(2))).toBe('6b200159 99ba4efe');
  });

  it('gives the same numbers again, and the same first numbers however many are asked for', () => {
    const rng = m.Rng.of(1);
    expect(rng.bits(6)).toEqual(rng.bits(6));
    expect(rng.bits(7).slice(0, 5)).toEqual(rng.bits(5));
    expect(rng.normalArray(7).slice(0, 5)).toEqual(rng.normalArray(5));
  });

  it('gives other numbers for another seed, also far apart or negative', () => {
    const seeds = [0, 1, 2, -1, 2 ** 32, 2 ** 32 - 1, 2 ** 40 + 1, Number.MAX_SAFE_INTEGER];
    expect(new Set(seeds.map((seed) => hex(m.Rng.of(seed).bits(2)))).size).toBe(seeds.length);
  });

  it('gives the same tensors on every backend', async () => {
    const found: number[][] = [];
    for (const backend of hostBackends) {
      await m.openBackend(backend);
      const rng = m.Rng.of(7);
      found.push([...host(rng.normal([3, 5])), ...host(rng.uniform([4], -1, 1))]);
    }
    expect(found[1]).toEqual(found[0]);
  });

  it('folds to keys that are independent of each other and of their parent', () => {
    const rng = m.Rng.of(3);
    const keys = [
      rng,
      rng.fold('a'),
      rng.fold('b'),
      rng.fold(0),
      rng.fold(1),
      rng.fold('0'),
      rng.fold('a').fold('b'),
      rng.fold('b').fold('a'),
    ];
    expect(new Set(keys.map((key) => hex(key.bits(2)))).size).toBe(keys.length);
    const [x, y] = [rng.fold(0).normalArray(20000), rng.fold(1).normalArray(20000)];
    expect(Math.abs(mean(x.map((value, i) => value * y[i]!)))).toBeLessThan(4 / Math.sqrt(20000));
  });

  it('survives JSON', () => {
    const rng = m.Rng.of(-5).fold('layer');
    const copy = m.Rng.fromJSON(JSON.parse(JSON.stringify(rng)) as [number, number]);
    expect(copy.bits(4)).toEqual(rng.bits(4));
    expect(copy.fold('x').bits(4)).toEqual(rng.fold('x').bits(4));
  });

  it('draws normal numbers with the right moments', () => {
    const values = m.Rng.of(11).normalArray(50000);
    expect(mean(values)).toBeCloseTo(0, 1);
    expect(moment(values, 2)).toBeCloseTo(1, 1);
    expect(moment(values, 3)).toBeCloseTo(0, 1);
    expect(Math.abs(moment(values, 4) - 3)).toBeLessThan(0.15);
    const scaled = m.Rng.of(11).normalArray(50000, 5, 0.1);
    expect(mean(scaled)).toBeCloseTo(5, 2);
  });

  it('draws uniform numbers that fill [low, high) evenly and never reach high', () => {
    const values = m.Rng.of(12).uniformArray(32000, -1, 3);
    const counts = new Array<number>(16).fill(0);
    for (const value of values) counts[Math.floor((value + 1) * 4)]!++;
    const chiSquare = counts.reduce((sum, count) => sum + (count - 2000) ** 2 / 2000, 0);
    expect(chiSquare).toBeLessThan(37.7); // 15 degrees of freedom, p = 0.001
    // The largest word would round up to 1 as float32.
    const top = m.Rng.of(0);
    top.bits = () => Uint32Array.of(0xffffffff);
    expect(host(top.uniform([1]))[0]).toBeLessThan(1);
    for (const [low, high] of [
      [1, 2],
      [-2, -1],
      [-1, 0],
      [100, 100.1],
      [0, 0.1],
    ] as const) {
      const [value] = host(top.uniform([1], low, high)) as [number];
      expect(value).toBeLessThan(high);
      expect(value).toBeGreaterThan(low + 0.99 * (high - low));
    }
    expect(host(top.uniform([1], 0.5, 0.5))).toEqual([0.5]);
  });

  it('draws integers of the whole range', () => {
    const values = m.Rng.of(13).integers(500, -2, 3);
    expect([...new Set(values)].sort((a, b) => a - b)).toEqual([-2, -1, 0, 1, 2]);
  });

  it('shuffles every number once, with every place as likely', () => {
    expect([...m.Rng.of(14).permutation(50)].sort((a, b) => a - b)).toEqual([...Array(50).keys()]);
    const first = Array.from({ length: 3000 }, (_, i) => m.Rng.of(15).fold(i).permutation(3)[0]!);
    for (const value of [0, 1, 2])
      expect(Math.abs(first.filter((x) => x === value).length - 1000)).toBeLessThan(110);
  });
});
