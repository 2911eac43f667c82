import { beforeAll, describe, expect, it, vi } from 'vitest';
import * as m from '../src/index.ts';
import { host, leaked, onHostBackends } from './support.ts';

type Axpy = { x: m.Tensor; y: m.Tensor; bias: m.Tensor | undefined };
type Both = { sum: m.Tensor; product: m.Tensor };
interface Scale {
  readonly scale: number;
}

/** scale·x + y (+ bias), and x·y. */
const axpy = m.defineOp<Axpy, Both, Scale>({
  name: 'TestAxpy',
  outputs: ['sum', 'product'],
  portable: ({ x, y, bias }, { scale }) => {
    const sum = m.add(m.mul(x, scale), y);
    return { sum: bias ? m.add(sum, bias) : sum, product: m.mul(x, y) };
  },
  gradient: ({ inputs: { x, y, bias }, grads, attrs: { scale } }) => ({
    x: m.add(m.mul(grads.sum, scale), m.mul(grads.product, y)),
    y: m.add(grads.sum, m.mul(grads.product, x)),
    bias: bias && m.sum(grads.sum, 0),
  }),
});

onHostBackends('defineOp', (backend) => {
  beforeAll(async () => void (await m.openBackend(backend)));

  const x = () =>
    m.tensor2d([
      [1, 2],
      [3, 4],
    ]);
  const y = () =>
    m.tensor2d([
      [5, 6],
      [7, 8],
    ]);
  const bias = () => m.tensor1d([10, 20]);

  it('returns several outputs by name', () => {
    const { sum, product } = axpy({ x: x(), y: y(), bias: undefined }, { scale: 2 });
    expect([host(sum), host(product)]).toEqual([
      [7, 10, 13, 16],
      [5, 12, 21, 32],
    ]);
  });

  it('refuses an input of a dtype that it does not declare', () => {
    const integers = m.tensor2d([[1, 2]], undefined, 'int32');
    expect(() => axpy({ x: integers, y: y(), bias: undefined }, { scale: 2 })).toThrow(
      'TestAxpy(x): expected float32, found int32.',
    );
    expect(() => m.gatherRows(integers, m.tensor1d([0], 'int32'))).toThrow(
      /GatherRows\(x\): expected float32/,
    );
  });

  it('differentiates through one output, with zeros for the other', () => {
    const { grads } = m.valueAndGrad((p: { x: m.Tensor; y: m.Tensor }) => ({
      value: m.sum(axpy({ ...p, bias: undefined }, { scale: 2 }).product) as m.Scalar,
    }))({ x: x(), y: y() });
    expect([host(grads.x), host(grads.y)]).toEqual([
      [5, 6, 7, 8],
      [1, 2, 3, 4],
    ]);
  });

  it.each([true, false])('takes an optional output that is there: %s', (isKept) => {
    const seen: string[][] = [];
    const op = m.defineOp<{ x: m.Tensor }, { y: m.Tensor; kept?: m.Tensor }, { isKept: boolean }>({
      name: 'TestOptional',
      outputs: ['y', 'kept'],
      optionalOutputs: ['kept'],
      savedOutputs: ['kept'],
      portable: ({ x: input }, attrs) => ({
        y: m.square(input),
        ...(attrs.isKept && { kept: m.mul(input, 2) }),
      }),
      gradient: ({ inputs, outputs: { kept = m.mul(inputs.x, 2) }, grads, used }) => {
        seen.push([...used]);
        return { x: m.mul(grads.y, kept) };
      },
    });
    expect(Object.keys(op({ x: x() }, { isKept }))).toEqual(isKept ? ['y', 'kept'] : ['y']);
    const { grads } = m.valueAndGrad((p: m.Tensor) => ({
      value: m.sum(op({ x: p }, { isKept }).y) as m.Scalar,
    }))(x());
    expect(host(grads)).toEqual([2, 4, 6, 8]);
    expect(seen).toEqual([['y']]);
  });

  it('tells which outputs the result depends on, call by call, whatever runs unrecorded between', () => {
    const seen: string[][] = [];
    const op = m.defineOp<{ x: m.Tensor }, { once: m.Tensor; twice: m.Tensor }, Scale>({
      name: 'TestUsed',
      outputs: ['once', 'twice'],
      portable: ({ x: input }, { scale }) => ({ once: m.mul(input, scale), twice: m.mul(input, 2 * scale) }),
      gradient: ({ grads, used, attrs: { scale } }) => {
        seen.push([...used]);
        return { x: m.add(m.mul(grads.once, scale), m.mul(grads.twice, 2 * scale)) };
      },
    });
    const { grads } = m.valueAndGrad((p: m.Tensor) => {
      const first = op({ x: p }, { scale: 3 });
      m.noGrad(() => op({ x: p }, { scale: 100 }));
      const second = op({ x: first.twice }, { scale: 5 });
      return { value: m.sum(m.add(second.once, second.twice)) as m.Scalar };
    })(m.tensor1d([1, 2]));
    expect(host(grads)).toEqual([90, 90]);
    expect(seen).toEqual([['once', 'twice'], ['twice']]);
  });

  it('takes optional inputs, each set with a gradient of its own', () => {
    const { grads, value } = m.valueAndGrad((p: Axpy) => ({
      value: m.sum(axpy(p, { scale: 2 }).sum) as m.Scalar,
    }))({
      x: x(),
      y: y(),
      bias: bias(),
    });
    expect(host(value)).toEqual([106]);
    expect([host(grads.x), host(grads.y), host(grads.bias as m.Tensor)]).toEqual([
      [2, 2, 2, 2],
      [1, 1, 1, 1],
      [2, 2],
    ]);
  });

  it('leaves no tensor behind, forward and backward', () => {
    const params = { x: x(), y: y(), bias: bias() };
    expect(leaked(() => axpy(params, { scale: 2 }))).toBe(0);
    const step = m.valueAndGrad((p: Axpy) => ({ value: m.sum(axpy(p, { scale: 2 }).sum) as m.Scalar }));
    expect(leaked(() => step(params) as unknown as m.TensorTree)).toBe(0);
  });

  it("runs the backend's kernel where it takes the shapes, and the portable form elsewhere", () => {
    const portable = vi.fn(({ x: input }: { x: m.Tensor }) => ({ y: m.mul(input, 2) }));
    const onHost = m.hostKernel<{ x: m.Tensor }, object>({
      outputs: ({ x: { shape } }) => [{ shape }],
      run: (inputs, [out]) => {
        for (const [i, value] of inputs.x.data.entries()) (out as m.HostArray).data[i] = value + value;
      },
    });
    const double = m.defineOp<{ x: m.Tensor }, { y: m.Tensor }, object>({
      name: `TestDouble/${backend}`,
      outputs: ['y'],
      portable,
      kernels: {
        [backend]: (call: m.KernelCall<{ x: m.Tensor }, object>) =>
          call.inputs.x.shape.length === 1 ? onHost[backend]?.(call) : undefined,
      },
    });
    expect(host(double({ x: m.tensor1d([1, 2]) }, {}).y)).toEqual([2, 4]);
    expect(portable).not.toHaveBeenCalled();
    expect(host(double({ x: x() }, {}).y)).toEqual([2, 4, 6, 8]);
    expect(portable).toHaveBeenCalledOnce();
  });

  it('is a constant to gradients where it defines none', () => {
    const round = m.defineOp<{ x: m.Tensor }, { y: m.Tensor }, object>({
      name: 'TestRound',
      outputs: ['y'],
      portable: ({ x: input }) => ({ y: m.floor(m.add(input, 0.5)) }),
    });
    const { grads } = m.valueAndGrad((p: m.Tensor) => ({
      value: m.sum(m.mul(p, round({ x: p }, {}).y)) as m.Scalar,
    }))(m.tensor1d([1.2, 2.7]));
    expect(host(grads)).toEqual([1, 3]);
  });

  it('names the op and the input whose gradient is missing', () => {
    const half = m.defineOp<{ x: m.Tensor; w: m.Tensor }, { y: m.Tensor }, object>({
      name: 'TestHalf',
      outputs: ['y'],
      portable: ({ x: input, w }) => ({ y: m.mul(input, w) }),
      gradient: ({ grads }) => ({ x: grads.y }),
    });
    const run = () =>
      m.valueAndGrad((p: { x: m.Tensor; w: m.Tensor }) => ({ value: m.sum(half(p, {}).y) as m.Scalar }))({
        x: x(),
        w: y(),
      });
    expect(run).toThrow(
      expect.objectContaining({
        code: 'kernel',
        where: 'TestHalf(w)',
        fix: expect.stringContaining('stopGradient'),
      }),
    );
  });

  it('saves outputs for the gradient in the order in which the op declares them', () => {
    const op = m.defineOp<{ x: m.Tensor }, { first: m.Tensor; second: m.Tensor; third: m.Tensor }, object>({
      name: 'TestSaved',
      outputs: ['first', 'second', 'third'],
      savedOutputs: ['third', 'first'],
      portable: ({ x: input }) => ({
        first: m.mul(input, 1),
        second: m.mul(input, 2),
        third: m.mul(input, 3),
      }),
      gradient: ({ outputs }) => ({ x: m.sub(m.mul(outputs.third, 10), outputs.first) }),
    });
    const { grads } = m.valueAndGrad((p: m.Tensor) => ({
      value: m.sum(op({ x: p }, {}).second) as m.Scalar,
    }))(m.tensor1d([1, 2]));
    expect(host(grads)).toEqual([29, 58]);
  });

  describe('inputs that an op passes on', () => {
    type Inputs = { x: m.Tensor; w: m.Tensor | undefined };
    const seen: string[][] = [];
    const square = m.defineOp<Inputs, { y: m.Tensor; kept?: m.Tensor }, object, 'x' | 'w'>({
      name: 'TestPasses',
      outputs: ['y', 'kept'],
      optionalOutputs: ['kept'],
      savedOutputs: ['y'],
      passes: ['x', 'w'],
      portable: ({ x: input, w }) => ({ y: w ? m.mul(m.square(input), w) : m.square(input) }),
      gradient: ({ inputs: { x: input, w }, outputs: { y: made }, grads, used }) => {
        seen.push([...used]);
        const slope = m.div(m.mul(m.mul(grads.y, made), 2), input);
        return {
          x: used.has('x') ? m.add(slope, grads.x) : slope,
          w: w && m.add(m.mul(grads.y, m.square(input)), grads.w as m.Tensor),
        };
      },
    });
    const params = () => ({ x: m.tensor1d([1, 2]), w: m.tensor1d([3, 4]) });

    it('are the same data, which lives on when either is disposed of', () => {
      const given = params();
      const { x: passed, y: made } = square({ ...given, w: undefined }, {});
      expect(passed).not.toBe(given.x);
      expect(passed.dataId).toBe(given.x.dataId);
      given.x.dispose();
      expect([host(passed), host(made)]).toEqual([
        [1, 2],
        [1, 4],
      ]);
      const kept = m.tidy(() => square({ x: passed, w: undefined }, {}).x);
      passed.dispose();
      expect(host(kept)).toEqual([1, 2]);
      expect(leaked(() => square({ ...given, x: kept }, {}) as Record<string, m.Tensor>)).toBe(0);
    });

    it('come only where they were given', () => {
      const given = params();
      expect(Object.keys(square({ ...given, w: undefined }, {}))).toEqual(['x', 'y']);
      expect(Object.keys(square(given, {}))).toEqual(['x', 'w', 'y']);
    });

    it.each([
      { through: ['x', 'y'], dx: [6 + 5, 16 + 5] },
      { through: ['y'], dx: [6, 16] },
      { through: ['x'], dx: [5, 5] },
    ])('bring the op the gradient of what uses them: $through', ({ through, dx }) => {
      seen.length = 0;
      const step = m.valueAndGrad((p: { x: m.Tensor; w: m.Tensor }) => {
        const { x: passed, y: made } = square(p, {});
        const parts = [
          through.includes('x') ? m.sum(m.mul(passed, 5)) : 0,
          through.includes('y') ? m.sum(made) : 0,
        ];
        return { value: m.add(...(parts as [m.Tensor, m.Tensor])) as m.Scalar };
      });
      const given = params();
      const { grads } = step(given);
      expect([host(grads.x), host(grads.w)]).toEqual([dx, through.includes('y') ? [1, 4] : [0, 0]]);
      expect(seen).toEqual([through]);
      expect(leaked(() => step(given) as unknown as m.TensorTree)).toBe(0);
    });

    it('keep their part of the gradient when a result takes nothing else of the op', () => {
      const chain = m.valueAndGrad((p: m.Tensor) => {
        const { x: first, y: made } = square({ x: p, w: undefined }, {});
        const { x: second } = square({ x: first, w: undefined }, {});
        return { value: m.sum(m.mul(second, made)) as m.Scalar };
      });
      expect(host(chain(m.tensor1d([1, 2])).grads)).toEqual([3, 12]);
    });
  });

  it('may pass an input through as an output', () => {
    const pass = m.defineOp<{ x: m.Tensor; state: m.Tensor }, { y: m.Tensor; state: m.Tensor }, object>({
      name: 'TestPass',
      outputs: ['y', 'state'],
      portable: ({ x: input, state }) => ({ y: m.mul(input, 3), state }),
      gradient: ({ grads }) => ({ x: m.mul(grads.y, 3), state: grads.state }),
    });
    const params = { x: m.tensor1d([1, 2]), state: m.tensor1d([5]) };
    const { grads } = m.valueAndGrad((p: typeof params) => {
      const { y, state } = pass(p, {});
      return { value: m.add(m.sum(y), m.sum(m.square(state))) as m.Scalar };
    })(params);
    expect([host(grads.x), host(grads.state)]).toEqual([[3, 3], [10]]);
    expect(leaked(() => pass(params, {}))).toBe(0);
    expect(host(params.state)).toEqual([5]);
  });
});
