// What a training step costs besides the kernels themselves, counted on a device that does nothing: the model of `mnemix-bench lm-gpu`
// with fewer layers and tokens in its vocabulary. docs/kernels.md tells how these numbers came about.
import { closeBackend, disposeTree, openBackend, tidy, type Precision } from '@mnemix/tensor';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { disposeTrained, gpu, idsOf, modelOf, train, untrained } from './idle-training.ts';

vi.setConfig({ testTimeout: 120_000 });

/** Lets what the device says late be heard: that kernels are valid. */
const settle = () => new Promise((resolve) => setTimeout(resolve));

describe.each<[Precision, most: number]>([
  ['float32', 59],
  ['mixed', 78],
])('a training step in %s', (precision, most) => {
  afterEach(closeBackend);

  const ids = () => idsOf(8, 2048);

  it(`has at most ${most} dispatches a block`, async () => {
    await openBackend('webgpu-software', { precision });
    const given = ids();
    const counts: number[] = [];
    for (const layers of [3, 2]) {
      const { params, gradients } = modelOf(layers, given);
      gpu.clear();
      tidy(() => void gradients(params));
      counts.push(gpu.account.dispatches.length);
      disposeTree(params);
    }
    const [more = 0, fewer = 0] = counts;
    expect(more - fewer).toBeLessThanOrEqual(most);
    expect(more - fewer).toBeGreaterThan(most / 2);
  });

  it('makes no buffer and no bind group that the step before did not have, and has a kernel for all ops', async () => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => {});
    await openBackend('webgpu-software', { precision });
    const given = ids();
    const { params, gradients } = modelOf(1, given);
    let trained = untrained(params);
    for (let step = 0; step < 5; step++) {
      gpu.clear();
      trained = await train(trained, gradients);
      await settle();
    }
    // Those of tfjs's own programs bear no name, and are made every time.
    expect(gpu.account.bindGroups.filter((name) => name !== undefined)).toEqual([]);
    expect(gpu.account.buffers).toEqual([]);
    expect(warn.mock.calls).toEqual([]);
    warn.mockRestore();
    disposeTrained(trained);
    given.dispose();
  });
});
