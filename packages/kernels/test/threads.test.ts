import { closeBackend, openBackend } from '@mnemix/tensor';
import { seededRandom } from '@mnemix/testkit';
import { afterEach, expect, it } from 'vitest';
import { deltaRule, linear, rmsNormGated } from '../src/index.ts';
import { float32, runOp } from './op-cases.ts';
import { runScan, scanCase } from './scan-cases.ts';

afterEach(closeBackend);

/** On a backend with so many threads; with two, the kernels are those for shared memory. */
async function withThreads<T>(threads: number, run: () => Promise<T>): Promise<T> {
  expect(await openBackend('wasm', { threads })).toMatchObject({ threads, rejected: [] });
  try {
    return await run();
  } finally {
    await closeBackend();
  }
}

const random = seededRandom(3);
const draw = (...shape: number[]) => float32(random.normals(shape));
const rows = 33;
const norm = { x: draw(rows, 21), gate: draw(rows, 21), weight: draw(21) };
const map = { x: draw(rows, 19), weight: draw(21, 19), bias: draw(21) };
const dy = draw(rows, 21);

it.each([
  {
    name: 'a scan',
    run: () => {
      const scan = scanCase({
        batch: 2,
        tokens: 37,
        heads: 2,
        keyWidth: 6,
        valueWidth: 5,
        gate: 'scalar',
        beta: true,
      });
      return runScan(scan, (inputs) => deltaRule(inputs, { sequences: scan.sequences }));
    },
  },
  {
    name: 'a norm',
    run: () => runOp(norm, (t) => ({ y: rmsNormGated(t as never) }), { y: dy }),
  },
  {
    name: 'a linear map',
    run: () => runOp(map, (t) => ({ y: linear(t as never) }), { y: dy }),
  },
])('$name has the same bits on two threads as on one, forward and backward', async ({ run }) => {
  const one = await withThreads<object>(1, run);
  expect(await withThreads<object>(2, run)).toEqual(one);
});
