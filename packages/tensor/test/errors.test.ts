import { beforeAll, describe, expect, it } from 'vitest';
import * as m from '../src/index.ts';

describe('shape checks', () => {
  beforeAll(async () => void (await m.openBackend('cpu')));

  it('return the size of every named dimension', () => {
    expect(
      m.checkShapes('f', { q: [m.zeros([2, 3]), ['N', 'd']], v: [m.zeros([2, 5]), ['N', 'dv']] }),
    ).toEqual({ N: 2, d: 3, dv: 5 });
  });

  it('name the argument, the expected and the found shape', () => {
    const check = () =>
      m.checkShapes('deltaRule', {
        q: [m.zeros([6, 2, 4]), ['N', 'H', 'dk']],
        beta: [m.zeros([6, 3]), ['N', 'H']],
      });
    expect(check).toThrow('deltaRule(beta): expected shape [N=6, H=2], found [6, 3]. Pass beta as [N, H].');
    expect(check).toThrow(
      expect.objectContaining({
        name: 'MnemixError',
        code: 'shape',
        where: 'deltaRule(beta)',
        detail: { argument: 'beta', expected: ['N', 'H'], found: [6, 3] },
      }),
    );
  });

  it('refuse another rank, and a fixed size that differs', () => {
    expect(() => m.checkShapes('f', { x: [m.zeros([2]), ['N', 'd']] })).toThrow(
      'expected shape [N, d], found [2]',
    );
    expect(() => m.checkShapes('f', { x: [m.zeros([2, 3]), ['N', 4]] })).toThrow(
      /expected shape \[N=2, 4\], found \[2, 3\]/,
    );
  });

  it('pass over absent arguments', () => {
    expect(m.checkShapes('f', { x: [undefined, ['N']] })).toEqual({});
  });
});

describe('dtype checks', () => {
  it('name the argument, the expected and the found dtype', () => {
    expect(() => m.checkDtype('oneHot(indices)', m.zeros([2]), 'int32')).toThrow(
      "oneHot(indices): expected int32, found float32. Pass a tensor of dtype 'int32', or cast it.",
    );
    expect(() => m.checkDtype('f(x)', m.zeros([2]), 'float32')).not.toThrow();
  });
});

describe('configuration checks', () => {
  it('name a key that is not known, and those that are', () => {
    expect(() => m.checkKeys('adamW: ', { beta1: 1, bta2: 1 }, ['beta1', 'beta2'])).toThrow(
      'adamW: bta2: unknown key. Use one of beta1, beta2.',
    );
    expect(() => m.checkKeys('adamW: ', { beta1: 1 }, ['beta1', 'beta2'])).not.toThrow();
  });

  it('throw where, what and how to mend it', () => {
    expect(() => m.checkConfig(false, 'mom(topK)', 'topK is 5 of 4 memories.', 'Choose at most 4.')).toThrow(
      expect.objectContaining({
        code: 'config',
        where: 'mom(topK)',
        fix: 'Choose at most 4.',
        message: 'mom(topK): topK is 5 of 4 memories. Choose at most 4.',
      }),
    );
    expect(() => m.checkConfig(true, '', '', '')).not.toThrow();
  });

  it('keep the cause', () => {
    const cause = new Error('why');
    expect(new m.MnemixError({ code: 'file', where: 'f', message: 'm.', fix: 'x.', cause }).cause).toBe(
      cause,
    );
  });
});
