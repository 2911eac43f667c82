import { rotary as oracle, seededRandom } from '@mnemix/testkit';
import { openBackend, tensor1d, tidy, zeros } from '@mnemix/tensor';
import { beforeAll, describe, expect, it } from 'vitest';
import { rotary } from '../src/index.ts';
import * as portable from '../src/rotary/portable.ts';
import { float32, toTensor } from './op-cases.ts';
import { expectRotation, rotaryCases } from './rotary-cases.ts';

describe.each(['cpu', 'wasm'] as const)('rotary on %s', (backend) => {
  beforeAll(() => openBackend(backend));

  it.each(rotaryCases)('matches the oracle, and so does its gradient, $name', expectRotation);

  it('has a portable form that turns there and back', () => {
    const x = float32(seededRandom(1).normals([6, 2, 10]));
    tidy(() => {
      const positions = tensor1d([0, 1, 2, 3, 4, 5]);
      const { y } = portable.forward({ x: toTensor(x), positions }, { base: 50, inverse: false });
      expect(y).toBeCloseRms(oracle(x, 0, 50), 1e-5);
      const { y: back } = portable.forward({ x: y, positions }, { base: 50, inverse: true });
      expect(back).toBeCloseRms(x, 1e-5);
    });
  });

  it('takes no rows', () => {
    const y = rotary({ x: zeros([0, 2, 4]), positions: tensor1d([]) });
    expect(y.shape).toEqual([0, 2, 4]);
  });

  it('says what is wrong with its arguments', () => {
    const positions = tensor1d([0, 1]);
    expect(() => rotary({ x: zeros([2, 1, 3]), positions })).toThrow(/rotary\(x\): heads 3 wide/);
    expect(() => rotary({ x: zeros([3, 1, 4]), positions })).toThrow(/rotary\(positions\)/);
    expect(() => rotary({ x: zeros([2, 1, 4]), positions }, { base: 0 })).toThrow(
      /rotary\(base\): 0 is no base/,
    );
  });
});
