// What a Mixture-of-Memories must satisfy over every cell.
import { cells } from '@mnemix/cells';
import type { AnyCell } from '@mnemix/layers';
import {
  concat,
  entries,
  fill,
  flatten,
  leaves,
  mapTree,
  memory,
  mul,
  openBackend,
  reshape,
  Rng,
  slice,
  sum,
  tidy,
  valueAndGrad,
  type ParamTree,
  type Scalar,
  type Tensor,
  type Tensor2D,
  type Tensor3D,
  type TensorTree,
} from '@mnemix/tensor';
import { cells as oracleCells, momForward, nd, rows as oracleRows, type NdArray } from '@mnemix/testkit';
import { beforeAll, describe, expect, it } from 'vitest';
import { mom } from '../src/index.ts';

beforeAll(async () => {
  await openBackend('wasm');
});

const width = 12;

/** Each cell, small, with fla's names for the same options, as the oracle reads them. */
const rows: [
  name: string,
  cell: AnyCell,
  oracle: keyof typeof oracleCells,
  options: Record<string, unknown>,
][] = [
  [
    'gated_delta_net',
    cells.gated_delta_net.create({ width, heads: 2, headWidth: 5, expandV: 1 }),
    'gated_deltanet',
    { num_heads: 2, head_dim: 5, expand_v: 1 },
  ],
  ['delta_net', cells.delta_net.create({ width, heads: 2 }), 'delta_net', { num_heads: 2 }],
  ['gla', cells.gla.create({ width, heads: 2, expandK: 1 }), 'gla', { num_heads: 2, expand_k: 1 }],
  ['retnet', cells.retnet.create({ width, heads: 2 }), 'retnet', { num_heads: 2 }],
  ['linear_attention', cells.linear_attention.create({ width, heads: 2 }), 'linear_attn', { num_heads: 2 }],
];

const part = (x: Tensor3D, from: number, to: number): Tensor3D =>
  slice(x, [0, from, 0], [x.shape[0], to - from, x.shape[2]]) as Tensor3D;
const row = (x: Tensor3D, b: number): Tensor3D =>
  slice(x, [b, 0, 0], [1, x.shape[1], x.shape[2]]) as Tensor3D;
const at = (x: Tensor3D, t: number): Tensor2D =>
  reshape(part(x, t, t + 1), [x.shape[0], x.shape[2]]) as Tensor2D;
const near = (actual: TensorTree, expected: TensorTree): void => {
  const found = flatten(actual);
  for (const [path, leaf] of Object.entries(flatten(expected)))
    expect(found[path], path).toBeCloseRms(leaf, 1e-5);
};
const float64 = (t: Tensor): NdArray => nd(t.shape, t.dataSync());

describe.each(rows)('over %s', (_name, cell, oracle, options) => {
  const mixer = mom({ cell, memories: 3, topK: 2 });
  /** Wider weights than the usual start, so that routing and gates are far from even. */
  const setUp = (tokens: number, batch = 2) => {
    const params = mixer.init(Rng.of(7)) as ParamTree;
    const wide = mapTree(params, (leaf, path) =>
      leaf.rank === 2 ? Rng.of(3).fold(path).normal(leaf.shape, 0, 0.4) : leaf,
    );
    return { params: wide, x: Rng.of(8).normal([batch, tokens, width]) as Tensor3D };
  };

  it('equals the float64 layer that steps through its memories token by token', () => {
    tidy(() => {
      const { params, x } = setUp(21);
      const { y } = mixer.forward(params as never, x);
      const named = Object.fromEntries(Array.from(entries(params), ([path, leaf]) => [path, float64(leaf)]));
      const config = {
        hidden_size: width,
        num_memories: 3,
        topk: 2,
        shared_mem: true,
        norm_eps: 1e-5,
        ...options,
      };
      for (const b of [0, 1]) {
        const tokens = oracleRows(nd([2 * 21, width], x.dataSync()), b * 21, (b + 1) * 21);
        const expected = momForward(named, config as never, tokens, { cell: oracleCells[oracle]! as never });
        expect(reshape(row(y, b), [21, width])).toBeCloseRms(expected.y, 1e-5);
      }
    });
  });

  it.each(['wasm', 'cpu'] as const)(
    'keeps a token that is NaN to its own sequence, on %s',
    async (backend) => {
      await openBackend(backend);
      tidy(() => {
        const { params, x } = setUp(9);
        const clean = mixer.forward(params as never, x).y;
        const hole = fill([1, 1, width], NaN) as Tensor3D;
        const first = concat([part(row(x, 0), 0, 4), hole, part(row(x, 0), 5, 9)], 1);
        const { y, aux } = mixer.forward(params as never, concat([first, row(x, 1)], 0) as Tensor3D);
        near(row(y, 1), row(clean, 1));
        // The portable form masks products of a whole chunk, and 0 · NaN is NaN.
        if (backend === 'wasm') near(part(row(y, 0), 0, 4), part(row(clean, 0), 0, 4));
        expect([...part(row(y, 0), 4, 5).dataSync()].every(Number.isNaN)).toBe(true);
        const { choices } = aux.routing as { choices: Tensor };
        for (const choice of choices.dataSync()) expect([0, 1, 2]).toContain(choice);
      });
      await openBackend('wasm');
    },
  );

  it.each([1, 2, 15, 64])(
    'continues from a carried state after %i tokens as if it were one pass',
    (tokens) => {
      tidy(() => {
        const { params, x } = setUp(tokens + 7);
        const whole = mixer.forward(params as never, x);
        const first = mixer.forward(params as never, part(x, 0, tokens));
        const second = mixer.forward(params as never, part(x, tokens, tokens + 7), { state: first.state });
        near(concat([first.y, second.y], 1), whole.y);
        near(second.state, whole.state);
      });
    },
  );

  it('gives the same outputs a token at a time, and leaves memories alone that were not chosen', () => {
    tidy(() => {
      const { params, x } = setUp(9);
      const whole = mixer.forward(params as never, x);
      let state = mixer.initialState(2);
      for (let t = 0; t < 9; t++) {
        const result = mixer.step(params as never, at(x, t), state);
        near(result.y, at(whole.y, t));
        state = result.state;
      }
      near(state, whole.state);
    });
  });

  it('keeps packed documents apart, and routes no padding', () => {
    tidy(() => {
      const { params, x } = setUp(20);
      const segments = [
        { row: 0, start: 0, length: 8 },
        { row: 0, start: 8, length: 5 },
        { row: 1, start: 6, length: 14 },
      ];
      const packed = mixer.forward(params as never, x, { segments });
      for (const { row: b, start, length } of segments) {
        const alone = mixer.forward(params as never, part(row(x, b), start, start + length));
        near(part(row(packed.y, b), start, start + length), alone.y);
      }
      expect(
        packed.y
          .dataSync()
          .slice(13 * width, 20 * width)
          .every((value) => value === 0),
      ).toBe(true);
    });
  });

  it('does not look ahead', () => {
    tidy(() => {
      const { params, x } = setUp(16);
      const changed = concat([part(x, 0, 9), mul(part(x, 9, 10), -3), part(x, 10, 16)], 1) as Tensor3D;
      const [before, after] = [x, changed].map((input) =>
        part(mixer.forward(params as never, input).y, 0, 9),
      );
      expect(after!.dataSync()).toEqual(before!.dataSync());
    });
  });

  it('leaks no tensor, and gives every parameter a finite gradient', () => {
    const { params, x } = tidy(() => setUp(10) as never) as ReturnType<typeof setUp>;
    const before = memory().numTensors;
    tidy(() => {
      const { grads } = valueAndGrad((tree: ParamTree) => ({
        value: sum(mixer.forward(tree as never, x).y) as Scalar,
      }))(params);
      for (const [path, leaf] of entries(grads))
        expect(leaf.dataSync().every(Number.isFinite), path).toBe(true);
    });
    expect(memory().numTensors).toBe(before);
    for (const leaf of [x, ...leaves(params)]) leaf.dispose();
  });
});

describe('mom', () => {
  const cell = cells.gla.create({ width, heads: 2 });

  it('refuses more choices than memories', () => {
    expect(() => mom({ cell, memories: 2, topK: 3 })).toThrow(/mom\(topK\).*Choose topK between 1 and 2/);
  });

  it('counts the memories that a token is not routed to as idle', () => {
    tidy(() => {
      const mixer = mom({ cell, memories: 5, topK: 2 });
      const params = mixer.init(Rng.of(0));
      const own = Array.from(entries(params as ParamTree)).filter(([path]) =>
        /^(k|v|gk)_proj\.0\./.test(path),
      );
      const single = own.reduce((n, [, leaf]) => n + leaf.size, 0);
      const total = leaves(params as ParamTree).reduce((n, leaf) => n + leaf.size, 0);
      expect(total - mixer.activatedParameters(params)).toBe(3 * single);
    });
  });

  it('grows its state with the number of memories, shared one included', () => {
    const bytes = (memories: number, shared: boolean) =>
      mom({ cell, memories, topK: 1, shared }).stateBytes(1);
    expect(bytes(5, false)).toBe(5 * bytes(1, false));
    expect(bytes(4, true)).toBe(bytes(5, false));
  });
});
