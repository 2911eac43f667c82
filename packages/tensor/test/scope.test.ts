import { beforeAll, describe, expect, it } from 'vitest';
import * as m from '../src/index.ts';
import { host } from './support.ts';

const pause = () => new Promise((resolve) => setTimeout(resolve, 1));
const count = () => m.memory().numTensors;

describe('scopes', () => {
  beforeAll(async () => void (await m.openBackend('cpu')));

  it('tidy frees all but its result, also when it throws', () => {
    const before = count();
    const kept = m.tidy(() => m.add(m.zeros([2]), 1));
    expect(count()).toBe(before + 1);
    kept.dispose();
    expect(() =>
      m.tidy(() => {
        m.zeros([2]);
        throw new Error('inside');
      }),
    ).toThrow('inside');
    expect(count()).toBe(before);
  });

  it('an AsyncScope owns what is made in run, across awaits', async () => {
    const before = count();
    const scope = new m.AsyncScope();
    const x = scope.run(() => m.add(m.zeros([2]), 1));
    await pause();
    expect(host(x)).toEqual([1, 1]);
    scope.dispose();
    expect(x.isDisposed).toBe(true);
    expect(count()).toBe(before);
  });

  it('an AsyncScope keeps its tensors from an enclosing tidy', () => {
    const before = count();
    const scope = new m.AsyncScope();
    const x = m.tidy(() => {
      scope.run(() => m.zeros([2]));
      return scope.run(() => m.ones([2]));
    });
    expect(host(x)).toEqual([1, 1]);
    expect(count()).toBe(before + 2);
    scope.dispose();
    expect(count()).toBe(before);
  });

  it('an AsyncScope owns what was made before an exception', () => {
    const before = count();
    const scope = new m.AsyncScope();
    expect(() =>
      scope.run(() => {
        m.zeros([2]);
        throw new Error('inside');
      }),
    ).toThrow('inside');
    scope.dispose();
    expect(count()).toBe(before);
  });

  it('an AsyncScope tracks, releases and frees single tensors', () => {
    const before = count();
    const scope = new m.AsyncScope();
    const tracked = scope.track({ x: m.zeros([2]) });
    const released = scope.release(scope.run(() => m.ones([2])));
    const freed = scope.run(() => m.ones([3]));
    scope.free(freed);
    expect(freed.isDisposed).toBe(true);
    scope[Symbol.dispose]();
    expect([tracked.x.isDisposed, released.isDisposed]).toEqual([true, false]);
    released.dispose();
    expect(count()).toBe(before);
  });

  it('asyncTidy frees all but its result', async () => {
    const before = count();
    const result = await m.asyncTidy(async (scope) => {
      const x = scope.run(() => m.add(m.zeros([2]), 1));
      await pause();
      return { y: scope.run(() => m.mul(x, 3)) };
    });
    expect(host(result.y)).toEqual([3, 3]);
    expect(count()).toBe(before + 1);
    m.disposeTree(result);
  });

  it('asyncTidy frees everything when its function fails', async () => {
    const before = count();
    const failing = m.asyncTidy(async (scope) => {
      scope.run(() => m.zeros([2]));
      await pause();
      throw new Error('later');
    });
    await expect(failing).rejects.toThrow('later');
    expect(count()).toBe(before);
  });

  it('scopes that run at the same time do not free each other’s tensors', async () => {
    const before = count();
    const work = (value: number) =>
      m.asyncTidy(async (scope) => {
        let x = scope.run(() => m.add(m.zeros([2]), value));
        for (let i = 0; i < 5; i++) {
          await pause();
          x = scope.run(() => m.add(x, value));
        }
        return x;
      });
    const results = await Promise.all([1, 10, 100].map(work));
    expect(results.map((x) => host(x)[0])).toEqual([6, 60, 600]);
    m.disposeTree(results);
    expect(count()).toBe(before);
  });
});
