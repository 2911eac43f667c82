import { nd } from '@mnemix/testkit';
import { openBackend, zeros } from '@mnemix/tensor';
import { beforeAll, describe, expect, it } from 'vitest';
import { withShared } from '../src/index.ts';
import { int32, runOp } from './op-cases.ts';

describe.each(['cpu', 'wasm'] as const)('withShared on %s', (backend) => {
  beforeAll(() => openBackend(backend));

  it('adds a choice of weight 1, which has no gradient', async () => {
    const choices = int32([3, 1, 0, 2], [2, 2]);
    const weights = nd([2, 2], [0.25, 0.75, 0.5, 0.5]);
    const made = withShared({ choices, weights: zeros([2, 2]) }, 4).choices;
    expect([...made.dataSync()]).toEqual([3, 1, 4, 0, 2, 4]);
    const upstream = { y: nd([2, 3], [1, 2, 3, 4, 5, 6]) };
    const { outputs, gradients } = await runOp(
      { weights },
      (t) => ({ y: withShared({ choices, weights: t['weights']! }, 4).weights }),
      upstream,
    );
    expect([...outputs['y']!.data]).toEqual([0.25, 0.75, 1, 0.5, 0.5, 1]);
    expect([...gradients['weights']!.data]).toEqual([1, 2, 4, 5]);
  });

  it('names the argument of a wrong shape', () => {
    const choices = int32([0, 1], [2, 1]);
    expect(() => withShared({ choices, weights: zeros([2, 2]) }, 4)).toThrow(/withShared\(weights\)/);
  });
});
