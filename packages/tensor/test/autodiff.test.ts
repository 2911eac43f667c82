import { beforeAll, describe, expect, it } from 'vitest';
import * as m from '../src/index.ts';
import { host, leaked, onHostBackends } from './support.ts';

onHostBackends('valueAndGrad', (backend) => {
  beforeAll(async () => void (await m.openBackend(backend)));

  const tree = () => ({
    w: m.tensor2d([
      [1, 2],
      [3, 4],
    ]),
    b: { c: m.tensor1d([1, 1]) },
    unused: m.tensor1d([5, 6]),
  });
  type Params = ReturnType<typeof tree>;
  const loss = (p: Params) => {
    const y = m.add(m.matMul(m.tensor2d([[1, 1]]), p.w), p.b.c);
    return { value: m.sum(m.square(y)) as m.Scalar, aux: { y, doubled: [m.mul(y, 2)] } };
  };

  it('returns the value, a tree of gradients and what else the function returned', () => {
    const { value, grads, aux } = m.valueAndGrad(loss)(tree());
    expect(host(value)).toEqual([74]);
    expect(host(grads.w)).toEqual([10, 14, 10, 14]);
    expect(host(grads.b.c)).toEqual([10, 14]);
    expect(host(aux.y)).toEqual([5, 7]);
    expect(host(aux.doubled[0] as m.Tensor)).toEqual([10, 14]);
  });

  it('gives zeros to a leaf on which the value does not depend', () => {
    const { grads } = m.valueAndGrad(loss)(tree());
    expect(host(grads.unused)).toEqual([0, 0]);
  });

  it('gives zeros to every leaf when the value is a constant', () => {
    const { value, grads } = m.valueAndGrad((_: Params) => ({ value: m.scalar(3) }))(tree());
    expect([host(value), host(grads.w)]).toEqual([[3], [0, 0, 0, 0]]);
  });

  it('keeps absent branches absent', () => {
    const { grads } = m.valueAndGrad((p: { w: m.Tensor; bias?: m.Tensor }) => ({
      value: m.sum(p.w) as m.Scalar,
    }))({
      w: m.tensor1d([1]),
      bias: undefined,
    });
    expect(grads.bias).toBeUndefined();
  });

  it('leaves nothing behind but its result, inside and outside of tidy', () => {
    const params = tree();
    const step = m.valueAndGrad(loss);
    expect(leaked(() => step(params) as unknown as m.TensorTree)).toBe(0);
    expect(leaked(() => m.tidy(() => void step(params)))).toBe(0);
  });

  it('passes out what is a parameter itself, without freeing the parameter', () => {
    const params = tree();
    const { aux } = m.valueAndGrad((p: Params) => ({ value: m.sum(p.w) as m.Scalar, aux: p.b.c }))(params);
    m.disposeTree(aux);
    expect(host(params.b.c)).toEqual([1, 1]);
  });

  it('frees everything when the function throws', () => {
    const params = tree();
    const failing = m.valueAndGrad((p: Params): { value: m.Scalar } => {
      m.exp(m.square(p.w));
      throw new Error('no loss today');
    });
    expect(leaked(() => void expect(() => failing(params)).toThrow('no loss today'))).toBe(0);
    expect(host(m.valueAndGrad(loss)(params).grads.b.c)).toEqual([10, 14]);
  });

  it('frees everything when a gradient throws', () => {
    const params = tree();
    const noGradient = m.defineOp<{ x: m.Tensor; w: m.Tensor }, { y: m.Tensor }, object>({
      name: 'OnlyX',
      outputs: ['y'],
      portable: ({ x, w }) => ({ y: m.mul(x, w) }),
      gradient: ({ grads }) => ({ x: grads.y }),
    });
    const failing = m.valueAndGrad((p: Params) => {
      const { y } = noGradient({ x: p.b.c, w: m.exp(p.unused) }, {});
      return { value: m.sum(m.square(y)) as m.Scalar, aux: { y } };
    });
    expect(
      leaked(() => void expect(() => failing(params)).toThrow(/no gradient is defined for this input/)),
    ).toBe(0);
    expect(host(m.valueAndGrad(loss)(params).grads.b.c)).toEqual([10, 14]);
  });
});

onHostBackends('constants to a gradient', (backend) => {
  beforeAll(async () => void (await m.openBackend(backend)));

  const x = () => m.tensor1d([-1, 2, 3]);
  const gradient = (f: (x: m.Tensor) => m.Tensor) =>
    host(m.valueAndGrad((p: m.Tensor) => ({ value: m.sum(f(p)) as m.Scalar }))(x()).grads);

  it('stopGradient and noGrad let the values through and no gradient', () => {
    expect(gradient((p) => m.mul(p, m.stopGradient(p)))).toEqual([-1, 2, 3]);
    expect(
      gradient((p) =>
        m.mul(
          p,
          m.noGrad(() => m.square(p)),
        ),
      ),
    ).toEqual([1, 4, 9]);
  });

  it('refuses a value that is no scalar, and records nothing of it', () => {
    const before = m.memory().numTensors;
    const params = x();
    expect(() => m.valueAndGrad((p: m.Tensor) => ({ value: m.square(p) as m.Scalar }))(params)).toThrow(
      'valueAndGrad(value): expected shape [], found [3].',
    );
    params.dispose();
    expect(m.memory().numTensors).toBe(before);
  });

  it('noGrad restores recording when its function throws', () => {
    expect(() =>
      m.noGrad(() => {
        throw new Error('inside');
      }),
    ).toThrow('inside');
    expect(gradient((p) => m.square(p))).toEqual([-2, 4, 6]);
  });

  it('stopGradient shares memory and is freed apart from its source', () => {
    const source = x();
    const stopped = m.stopGradient(source);
    source.dispose();
    expect(host(stopped)).toEqual([-1, 2, 3]);
  });

  it.each(['equal', 'notEqual', 'greater', 'greaterEqual', 'less', 'lessEqual'] as const)(
    '%s of the parameter itself',
    (name) => {
      expect(gradient((p) => m.mul(p, m.cast(m[name](p, 2), 'float32')))).toEqual(
        host(m.cast(m[name](x(), 2), 'float32')),
      );
    },
  );

  it('logical ops, floor, argMax and oneHot', () => {
    const mask = (p: m.Tensor) =>
      m.logicalNot(m.logicalOr(m.less(p, 0), m.logicalAnd(m.greater(p, 2), m.greater(p, 1))));
    expect(gradient((p) => m.mul(p, m.cast(mask(p), 'float32')))).toEqual([0, 1, 0]);
    expect(gradient((p) => m.mul(p, m.floor(p)))).toEqual([-1, 2, 3]);
    expect(gradient((p) => m.mul(p, m.oneHot(m.argMax(p, 0), 3)))).toEqual([0, 0, 1]);
  });
});

describe('gradients without a backend of their own', () => {
  it('are registered by importing the package alone', async () => {
    const { getGradient } = await import('@tensorflow/tfjs-core');
    for (const kernel of ['Add', 'BatchMatMul', 'Cumsum', 'Slice', 'Concat'])
      expect(getGradient(kernel)).toBeDefined();
  });
});
