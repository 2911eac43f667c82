import * as m from '@mnemix/tensor';
import { afterAll, beforeAll, expect, it } from 'vitest';

/** `real`, `software` or `none`: what the test run has found. */
const adapter = process.env.MNEMIX_WEBGPU;
const isThere = adapter === 'real' || adapter === 'software';

beforeAll(async () => {
  if (isThere) await m.openBackend(adapter === 'real' ? 'webgpu' : 'webgpu-software');
}, 300_000);
afterAll(m.closeBackend);

it.skipIf(!isThere)(
  'what was dispatched is timed again and again, and leaves other tensors alone',
  async () => {
    const x = m.tensor([1, 2, 3, 4]);
    const run = (): void => m.tidy(() => void m.softmax(m.mul(x, 2)));
    run();
    const replay = await m.recordDevice(run);
    try {
      const names = replay.dispatches.map(({ name }) => name);
      expect(names.length).toBeGreaterThan(1);
      const other = m.tensor([5, 6, 7, 8]);
      const doubled = m.mul(other, 2);
      expect(await replay.time(3)).toBeGreaterThan(0);
      const spans = await replay.profile(3);
      expect(spans.map(({ name }) => name)).toEqual(names);
      for (const { milliseconds } of spans) expect(milliseconds).toBeGreaterThanOrEqual(0);
      expect([...(await doubled.data())]).toEqual([10, 12, 14, 16]);
      m.disposeTree([other, doubled]);
    } finally {
      replay.dispose();
    }
    run();
    expect([...(await x.data())]).toEqual([1, 2, 3, 4]);
    x.dispose();
  },
  300_000,
);

it('a backend without a clock is refused', async () => {
  await m.openBackend('cpu');
  await expect(m.recordDevice(() => {})).rejects.toMatchObject({ code: 'backend', where: 'recordDevice' });
});
