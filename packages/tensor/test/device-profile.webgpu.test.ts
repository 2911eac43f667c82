import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as m from '../src/index.ts';
import { onWebgpu } from './support.ts';

onWebgpu('a profile of the device', (name) => {
  beforeAll(() => m.openBackend(name));
  afterAll(m.closeBackend);

  it('times every dispatch, and says which op it was for and what it binds', async () => {
    const x = m.ones([64, 32]);
    const profile = await m.profileDevice(() => m.tidy(() => void m.softmax(m.mul(x, 2))));
    expect(profile.device.length).toBeGreaterThan(1);
    expect(profile.device[0]).toMatchObject({ name: 'BinaryOpProgram', op: 'Multiply', bytes: 2 * 8192 + 4 });
    let before = 0;
    for (const { start, milliseconds } of profile.device) {
      expect(milliseconds).toBeGreaterThanOrEqual(0);
      expect(start).toBeGreaterThanOrEqual(before);
      before = start;
    }
    expect(profile.host.map(({ name: op }) => op)).toEqual(expect.arrayContaining(['Multiply', 'Softmax']));
    x.dispose();
  });

  it('has room for more dispatches than a set of queries, and leaves nothing behind', async () => {
    const x = m.tensor1d([1]);
    const before = m.memory().numTensors;
    const add = (): void => m.tidy(() => void m.add(x, 1));
    const { device } = await m.profileDevice(() => {
      for (let i = 0; i < 2100; i++) add();
    });
    expect(device).toHaveLength(2100);
    expect(device.every(({ start }) => Number.isFinite(start))).toBe(true);
    expect((await m.profileDevice(() => {})).device).toEqual([]);
    expect(m.memory().numTensors).toBe(before);
    x.dispose();
  });
});

describe('a profile', () => {
  const span = { op: 'mnemix/A(x)', name: 'A forward', start: 1, milliseconds: 2, bytes: 4e6, flops: 8e6 };
  const profile: m.DeviceProfile = {
    device: [
      span,
      { ...span, start: 4, milliseconds: 6 },
      { ...span, name: 'B', start: 10, flops: undefined },
    ],
    host: [{ name: 'mnemix/A(x)', start: 0, milliseconds: 1, depth: 0 }],
    milliseconds: 12,
  };

  it('is added up by kernel, the slowest first', () => {
    expect(m.deviceKernelTimes(profile)).toEqual([
      { name: 'A forward', calls: 2, milliseconds: 8, share: 0.8, bytesPerSecond: 1e9, flopsPerSecond: 2e9 },
      { name: 'B', calls: 1, milliseconds: 2, share: 0.2, bytesPerSecond: 2e9 },
    ]);
  });

  it('is printed as a table, with shares of what the device can do', () => {
    const table = m.formatDeviceKernelTimes(m.deviceKernelTimes(profile), {
      bytesPerSecond: 4e9,
      flopsPerSecond: 1e12,
    });
    expect(table).toContain('| A forward | 2 | 8.000 | 80.0 % | 1.0 (25 %) | 0.002 (0 %) |');
    expect(table).toContain('| B | 1 | 2.000 | 20.0 % | 2.0 (50 %) | – |');
  });

  it('becomes a trace of complete events in microseconds, with a track for each clock', () => {
    const { traceEvents } = m.deviceTrace(profile);
    expect(traceEvents.filter(({ ph }) => ph === 'M').map(({ pid }) => pid)).toEqual([1, 2]);
    expect(traceEvents).toContainEqual({
      ph: 'X',
      name: 'A forward',
      pid: 2,
      tid: 1,
      ts: 1000,
      dur: 2000,
      args: { op: 'mnemix/A(x)', bytes: 4e6, flops: 8e6 },
    });
    expect(JSON.parse(JSON.stringify(m.deviceTrace(profile)))).toEqual(m.deviceTrace(profile));
  });

  it('is refused where the backend has no clock of its own', async () => {
    await m.openBackend('cpu');
    await expect(m.profileDevice(() => {})).rejects.toMatchObject({
      code: 'backend',
      where: 'profileDevice',
    });
  });
});
