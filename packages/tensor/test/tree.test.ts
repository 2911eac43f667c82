import { beforeAll, describe, expect, it } from 'vitest';
import * as m from '../src/index.ts';
import { host } from './support.ts';

describe('parameter trees', () => {
  beforeAll(async () => void (await m.openBackend('cpu')));

  const tree = () => ({
    embed: m.tensor1d([1]),
    layers: [{ w: m.tensor1d([2, 3]), bias: undefined }, { w: m.tensor1d([4]) }],
  });

  it('name leaves by their path, in order', () => {
    expect(Array.from(m.entries(tree()), ([path]) => path)).toEqual(['embed', 'layers.0.w', 'layers.1.w']);
    expect(Object.keys(m.flatten(tree()))).toEqual(['embed', 'layers.0.w', 'layers.1.w']);
    expect(m.leaves(tree()).map(host)).toEqual([[1], [2, 3], [4]]);
    expect(m.countElements(tree())).toBe(4);
  });

  it('may be a single tensor, or nothing', () => {
    expect(m.leaves(m.tensor1d([1])).length).toBe(1);
    expect(m.leaves(undefined)).toEqual([]);
    expect(m.mapTree(undefined, (leaf) => leaf)).toBeUndefined();
  });

  it('are mapped with path and form', () => {
    const seen: string[] = [];
    const doubled = m.mapTree(tree(), (leaf, path) => (seen.push(path), m.mul(leaf, 2)));
    expect(seen).toEqual(['embed', 'layers.0.w', 'layers.1.w']);
    expect(Array.isArray(doubled.layers)).toBe(true);
    expect(host(doubled.layers[0]!.w)).toEqual([4, 6]);
    expect('bias' in doubled.layers[0]!).toBe(true);
  });

  it('are rebuilt from path names', () => {
    const original = tree();
    const copy = m.unflatten(original, m.flatten(original));
    expect(copy).toEqual(original);
  });

  it('say which path is missing', () => {
    const { embed } = tree();
    expect(() => m.unflatten(tree(), { embed })).toThrow(
      expect.objectContaining({
        code: 'value',
        message: expect.stringContaining('layers.0.w'),
        detail: { path: 'layers.0.w' },
      }),
    );
  });

  it('free all their leaves', () => {
    const before = m.memory().numTensors;
    m.disposeTree(tree());
    expect(m.memory().numTensors).toBe(before);
  });
});
