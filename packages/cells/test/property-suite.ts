// What every cell must satisfy.
import { batchSequences } from '@mnemix/kernels';
import { asMixer, soloContext, type AnyCell, type Mixer } from '@mnemix/layers';
import {
  concat,
  flatten,
  leaves,
  mapTree,
  memory,
  mul,
  reshape,
  Rng,
  slice,
  sum,
  tensor3d,
  tidy,
  valueAndGrad,
  type ParamTree,
  type Scalar,
  type Tensor2D,
  type Tensor3D,
  type TensorTree,
} from '@mnemix/tensor';
import '@mnemix/testkit';
import { describe, expect, it } from 'vitest';

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

export function describeProperties(
  cases: readonly { readonly name: string; readonly small: () => AnyCell }[],
): void {
  describe.each(cases)('$name', ({ small }) => {
    const cell = small();
    const mixer = asMixer(cell) as Mixer;
    const setUp = (tokens: number, batch = 2) => ({
      params: mixer.init(Rng.of(7)),
      x: Rng.of(8).normal([batch, tokens, mixer.width]) as Tensor3D,
    });

    it.each([1, 2, 15, 64, 75, 131])(
      'continues from a carried state as if %i tokens were one pass',
      (tokens) => {
        tidy(() => {
          const { params, x } = setUp(tokens + 9);
          const whole = mixer.forward(params, x);
          const first = mixer.forward(params, part(x, 0, tokens));
          const second = mixer.forward(params, part(x, tokens, tokens + 9), { state: first.state });
          near(concat([first.y, second.y], 1), whole.y);
          near(second.state, whole.state);
        });
      },
    );

    it.each([1, 16, 32, 64])('reads the same in chunks of %i tokens and token by token', (chunkSize) => {
      tidy(() => {
        const { params, x } = setUp(75);
        const sequences = batchSequences(2, 75);
        const rows = reshape(x, [150, mixer.width]) as Tensor2D;
        const inputs = cell.project(params, soloContext(rows, sequences, undefined));
        const [chunks, tokens] = [{ form: 'chunk', chunkSize } as const, { form: 'recurrent' } as const].map(
          (algorithm) => cell.scan(inputs, undefined, sequences, algorithm),
        );
        expect(chunks!.o).toBeCloseRms(tokens!.o, 1e-5);
        near(chunks!.state, tokens!.state);
      });
    });

    it('stays finite, forward and backward, where any of its projections drives gates to their extremes', () => {
      tidy(() => {
        const { params, x } = setUp(20);
        const paths = Object.entries(flatten(params)).filter(([, leaf]) => leaf.rank === 2);
        for (const [extreme] of paths) {
          const driven = mapTree(params as ParamTree, (leaf, path) =>
            path === extreme ? mul(leaf, 1e4) : leaf,
          );
          const { value, grads } = valueAndGrad((tree: { x: Tensor3D; params: ParamTree }) => ({
            value: sum(mixer.forward(tree.params, tree.x).y) as Scalar,
          }))({ x, params: driven });
          for (const [path, leaf] of Object.entries({ value, ...flatten(grads as never) }))
            expect(leaf.dataSync().every(Number.isFinite), `${path} with extreme ${extreme}`).toBe(true);
        }
      });
    });

    it('gives the same outputs a token at a time', () => {
      tidy(() => {
        const { params, x } = setUp(11);
        const whole = mixer.forward(params, x);
        let state = mixer.initialState(2);
        for (let t = 0; t < 11; t++) {
          const result = mixer.step(params, at(x, t), state);
          near(result.y, at(whole.y, t));
          state = result.state;
        }
        near(state, whole.state);
      });
    });

    it('does not look ahead: earlier outputs stay bit-identical when a token changes', () => {
      tidy(() => {
        const { params, x } = setUp(40);
        const changed = concat([part(x, 0, 23), mul(part(x, 23, 24), -3), part(x, 24, 40)], 1) as Tensor3D;
        const [before, after] = [x, changed].map((input) => part(mixer.forward(params, input).y, 0, 23));
        expect(after!.dataSync()).toEqual(before!.dataSync());
      });
    });

    it('treats the rows of a batch alike', () => {
      tidy(() => {
        const { params, x } = setUp(17, 3);
        const { y } = mixer.forward(params, x);
        const swapped = mixer.forward(params, concat([row(x, 2), row(x, 0), row(x, 1)], 0) as Tensor3D).y;
        near(swapped, concat([row(y, 2), row(y, 0), row(y, 1)], 0));
      });
    });

    it('keeps packed documents apart, and skips padding', () => {
      tidy(() => {
        const { params, x } = setUp(30);
        const segments = [
          { row: 0, start: 0, length: 13 },
          { row: 0, start: 13, length: 10 },
          { row: 1, start: 4, length: 26 },
        ];
        const packed = mixer.forward(params, x, { segments });
        segments.forEach(({ row: b, start, length }, s) => {
          const alone = mixer.forward(params, part(row(x, b), start, start + length));
          near(part(row(packed.y, b), start, start + length), alone.y);
          for (const [path, leaf] of Object.entries(flatten(alone.state))) {
            const all = flatten(packed.state)[path]!;
            near(slice(all, [s, ...all.shape.slice(1).map(() => 0)], [1, ...all.shape.slice(1)]), leaf);
          }
        });
        expect(sum(part(row(packed.y, 0), 23, 30)).dataSync()[0]).toBe(0);
        expect(sum(part(row(packed.y, 1), 0, 4)).dataSync()[0]).toBe(0);
      });
    });

    it('leaks no tensor, forward or backward', () => {
      const { params, x } = setUp(9);
      const state = mixer.initialState(2);
      const before = memory().numTensors;
      tidy(() => {
        valueAndGrad((tree: ParamTree) => ({ value: sum(mixer.forward(tree, x, { state }).y) as Scalar }))(
          params,
        );
      });
      expect(memory().numTensors).toBe(before);
      for (const leaf of [x, ...leaves(params), ...leaves(state)]) leaf.dispose();
    });

    it('refuses the state of another batch, by name', () => {
      tidy(() => {
        const { params, x } = setUp(3);
        expect(() => mixer.forward(params, x, { state: mixer.initialState(5) })).toThrow(
          /state.*memory is \[5/,
        );
      });
    });

    it('refuses another width, naming both shapes', () => {
      tidy(() => {
        const { params } = setUp(3);
        expect(() => mixer.forward(params, tensor3d([[[1, 2]]]))).toThrow(
          `expected shape [B=1, T=1, ${mixer.width}], found [1, 1, 2]`,
        );
      });
    });
  });
}
