// The layers against float64, and the state checks.
import { packedSequences, uniformSequences } from '@mnemix/kernels';
import {
  openBackend,
  Rng,
  tensor1d,
  tidy,
  zeros,
  type Tensor,
  type Tensor2D,
  type Tensor3D,
} from '@mnemix/tensor';
import { nd, reshape, rotary as rotary64, rows, swiGlu } from '@mnemix/testkit';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  checkState,
  initSwiGluMlp,
  initLinear,
  linear,
  rotary,
  rowPositions,
  stateBytes,
  swiGluMlp,
  swiGluWidth,
  zeroState,
} from '../src/index.ts';

beforeAll(async () => {
  await openBackend('wasm');
});

const float64 = (t: Tensor) => nd(t.shape, t.dataSync());

describe('layers', () => {
  it('maps rows by Wx + b', () => {
    tidy(() => {
      const weight = Rng.of(1).normal([2, 3]);
      const x = Rng.of(2).normal([4, 3]) as Tensor2D;
      const y = linear(x, { weight: weight as Tensor2D, bias: tensor1d([10, 20]) });
      const expected = Array.from({ length: 4 }, (_, n) =>
        [0, 1].map(
          (o) =>
            10 * (o + 1) +
            [0, 1, 2].reduce((s, i) => s + x.dataSync()[3 * n + i]! * weight.dataSync()[3 * o + i]!, 0),
        ),
      );
      expect(y).toBeCloseRms(expected, 1e-6);
    });
  });

  it('names the argument and both shapes when widths differ', () => {
    const x = zeros([4, 5]) as Tensor2D;
    expect(() => linear(x, initLinear(Rng.of(1), 3, 2))).toThrow(
      /linear\(weight\): expected shape \[out=2, in=5\], found \[2, 3\]/,
    );
  });

  it('gates the MLP as float64 does', () => {
    tidy(() => {
      const params = initSwiGluMlp(Rng.of(1), 6, 10, 0.5);
      const x = Rng.of(2).normal([7, 6]) as Tensor2D;
      const [gate, up, down] = [params.gate_proj, params.up_proj, params.down_proj].map((p) =>
        float64(p.weight),
      );
      expect(swiGluMlp(params, x)).toBeCloseRms(
        swiGlu(float64(x), { gate: gate!, up: up!, down: down! }),
        1e-5,
      );
    });
  });

  it('rounds the MLP width as fla does', () => {
    expect([swiGluWidth(64, 4), swiGluWidth(1024, 3), swiGluWidth(2048, 4)]).toEqual([256, 2048, 5632]);
  });

  it('rotates by each row’s position in its own sequence', () => {
    tidy(() => {
      const segments = [
        { row: 0, start: 2, length: 5 },
        { row: 1, start: 0, length: 7 },
      ];
      const x = Rng.of(3).normal([14, 2, 6]) as Tensor3D;
      const y = rotary(x, rowPositions(packedSequences(2, 7, segments), tensor1d([0, 40])));
      for (const [first, count, offset] of [
        [2, 5, 0],
        [7, 7, 40],
      ] as const) {
        const part = (t: Tensor) => rows(nd([14, 2, 6], t.dataSync()), first, first + count);
        expect(reshape(part(y), [count, 2, 6])).toBeCloseRms(rotary64(part(x), offset), 1e-5);
      }
    });
  });

  it('counts positions the same way for a dense batch', () => {
    tidy(() => {
      expect([...rowPositions(uniformSequences(2, 3)).dataSync()]).toEqual([0, 1, 2, 0, 1, 2]);
    });
  });
});

describe('state', () => {
  const shape = { memory: [2, 3], windows: { q: [2, 4] } };

  it('is zeros of its shape, four bytes an element', () => {
    tidy(() => {
      const state = zeroState<{ memory: Tensor; windows: { q: Tensor } }>(shape);
      expect(state.windows.q.shape).toEqual([2, 4]);
      expect(stateBytes(shape)).toBe(4 * (6 + 8));
      expect(() => checkState('f', state, shape)).not.toThrow();
    });
  });

  it('is refused with every difference named', () => {
    tidy(() => {
      const wrong = { memory: zeros([1, 3]), other: zeros([1]) };
      expect(() => checkState('cell.forward', wrong, shape)).toThrow(
        /cell\.forward\(state\): .*memory is \[1, 3\] instead of \[2, 3\]; windows\.q is missing; other is unknown/,
      );
    });
  });
});
