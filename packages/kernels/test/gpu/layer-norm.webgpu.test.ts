// LayerNorm on WebGPU against the CPU backend, which the other tests hold against the oracle.
import { describeOnWebgpu, seededRandom } from '@mnemix/testkit';
import { closeBackend, concat, openBackend, type Tensor } from '@mnemix/tensor';
import { afterAll, it } from 'vitest';
import { layerNorm } from '../../src/index.ts';
import { expectToMatch, float32, runOp, type Tensors } from '../op-cases.ts';

const random = seededRandom(5);
const draw = (...shape: number[]) => float32(random.normals(shape));

/** With a row that is there behind those of x, since tfjs has no sum of nothing on WebGPU. */
const withRow = ({ row, ...inputs }: Tensors) => concat([layerNorm(inputs as never), row as Tensor], 0);

describeOnWebgpu('layerNorm', (backend) => {
  afterAll(closeBackend);

  it.each([
    { name: 'with one weight and bias', rows: [5], affine: [7] },
    { name: 'with those of heads', rows: [4], affine: [2, 9] },
    { name: 'with rows in vectors, longer than a workgroup has lanes', rows: [2], affine: [1028] },
    { name: 'with more rows than a workgroup has slots, and heads', rows: [150], affine: [3, 8] },
    { name: 'of no rows', rows: [0], affine: [2, 5] },
  ])('matches the CPU $name', async ({ rows, affine }) => {
    const inputs = {
      x: draw(...rows, ...affine),
      weight: draw(...affine),
      bias: draw(...affine),
      row: draw(1, ...affine),
    };
    const dy = draw(rows[0]! + 1, ...affine);
    const run = async (on: typeof backend | 'cpu') => {
      await openBackend(on);
      return runOp(inputs, (t) => ({ y: withRow(t) }), { y: dy });
    };
    const wanted = await run('cpu');
    expectToMatch(await run(backend), wanted);
  });
});
