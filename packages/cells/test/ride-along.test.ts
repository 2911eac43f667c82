// What rides along in a memory's reads: in padding it is 0, like the reads themselves.
import { asMixer, type AnyCell } from '@mnemix/layers';
import {
  mapTree,
  openBackend,
  Rng,
  slice,
  sum,
  tidy,
  valueAndGrad,
  type ParamTree,
  type Scalar,
  type Tensor,
  type Tensor3D,
} from '@mnemix/tensor';
import { beforeAll, describe, expect, it } from 'vitest';
import { rwkv6, rwkv7 } from '../src/index.ts';

beforeAll(async () => {
  await openBackend('wasm');
});

const size = { width: 12, heads: 2, decayRank: 3 };

describe.each<[string, AnyCell]>([
  ['rwkv6', rwkv6({ ...size, mixRank: 2 })],
  ['rwkv7', rwkv7({ ...size, learningRateRank: 2, gateRank: 2 })],
])('%s', (_, cell) => {
  it('gives 0 in padding, whatever the norm adds, and no gradient to it', () => {
    tidy(() => {
      const mixer = asMixer(cell);
      const params = mapTree(mixer.init(Rng.of(1)) as ParamTree, (leaf, path) =>
        Rng.of(3).fold(path).normal(leaf.shape, 0, 0.5),
      );
      const x = Rng.of(2).normal([1, 6, cell.width]) as Tensor3D;
      const { grads, aux } = valueAndGrad((tree: { x: Tensor3D }) => {
        const { y } = mixer.forward(params as never, tree.x, {
          segments: [{ row: 0, start: 2, length: 3 }],
        });
        return { value: sum(y) as Scalar, aux: { y } };
      })({ x });
      const token = (all: Tensor, t: number): number[] => [
        ...slice(all, [0, t, 0], [1, 1, cell.width]).dataSync(),
      ];
      for (const all of [aux.y, grads.x]) {
        for (const t of [0, 1, 5]) expect(token(all, t).every((value) => value === 0)).toBe(true);
        for (const t of [2, 3, 4]) expect(token(all, t).every((value) => value !== 0)).toBe(true);
      }
    });
  });
});
