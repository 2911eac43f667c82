// Outputs that nothing depends on have zeros as their gradient: made once for each shape in a backward pass.
import { describeOnWebgpu } from '@mnemix/testkit';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import {
  add,
  closeBackend,
  defineOp,
  memory,
  mul,
  openBackend,
  sum,
  tensor,
  valueAndGrad,
  type Tensor,
} from '../src/index.ts';
import { recordKernels } from '../src/profile.ts';

vi.setConfig({ testTimeout: 300_000 });

/** Large enough to be made on the device. */
const SIZE = 2 ** 15;

describeOnWebgpu('zeros in a backward pass', (backend) => {
  beforeAll(() => openBackend(backend));
  afterAll(closeBackend);

  it('are made once, and freed', async () => {
    const op = defineOp<{ x: Tensor }, { y: Tensor; z: Tensor }, object>({
      name: 'TestUnused',
      outputs: ['y', 'z'],
      portable: ({ x }) => ({ y: mul(x, 2), z: mul(x, 3) }),
      // What is passed on as a gradient may be freed by whoever gets it.
      gradient: ({ grads }) => ({ x: add(mul(grads.y, 2), grads.z) }),
    });
    const x = tensor(new Float32Array(SIZE).fill(1));
    const before = memory().numTensors;
    for (let i = 0; i < 2; i++) {
      const { host, stop } = recordKernels();
      const { value, grads } = valueAndGrad((p: { x: Tensor }) => ({
        value: sum(op({ x: op({ x: op({ x: p.x }, {}).y }, {}).y }, {}).y) as never,
      }))({ x });
      stop();
      expect(host().filter(({ name }) => name === 'Fill')).toHaveLength(1);
      expect(Array.from((await grads.x.data()).slice(0, 3))).toEqual([8, 8, 8]);
      value.dispose();
      grads.x.dispose();
      expect(memory().numTensors).toBe(before);
    }
    x.dispose();
  });
});
