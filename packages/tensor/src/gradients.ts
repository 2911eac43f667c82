// Gradients of the tfjs kernels that our ops use. tfjs ships its own only in a path that plain Node cannot import
// (traps 6, 7), and some are wrong or slow; registering ours makes them the same in Node, bundlers and browsers.
import * as tf from '@tensorflow/tfjs-core';
import type { NamedAttrMap, Tensor } from '@tensorflow/tfjs-core';
import { cumsum } from './cumsum.ts';
import { sizeOf } from './shape.ts';

type Thunks = Record<string, () => Tensor>;
interface Rule {
  readonly inputs?: readonly string[];
  /** Save the (single) output too; it comes after the inputs. */
  readonly output?: true;
  readonly grad: (dy: Tensor, saved: Tensor[], attrs: NamedAttrMap) => Thunks;
}

/** Sums a gradient over the axes along which its tensor was broadcast. */
function unbroadcast(dy: Tensor, shape: readonly number[]): Tensor {
  const lead = dy.rank - shape.length;
  const axes = dy.shape.flatMap((size, axis) =>
    axis < lead || (shape[axis - lead] === 1 && size !== 1) ? [axis] : [],
  );
  return tf.reshape(axes.length === 0 ? dy : tf.sum(dy, axes), [...shape]);
}

/** An elementwise function of one argument: `dx = slope(dy, x or y)`. */
const unary = (from: 'x' | 'y', dx: (dy: Tensor, saved: Tensor) => Tensor): Rule => ({
  ...(from === 'x' ? { inputs: ['x'] } : { output: true as const }),
  grad: (dy, [saved]) => ({ x: () => dx(dy, saved as Tensor) }),
});

/** An elementwise function of two arguments, with broadcasting. */
const binary = (
  da: (dy: Tensor, a: Tensor, b: Tensor) => Tensor,
  db: (dy: Tensor, a: Tensor, b: Tensor) => Tensor,
): Rule => ({
  inputs: ['a', 'b'],
  grad: (dy, [a, b]) => ({
    a: () => unbroadcast(da(dy, a as Tensor, b as Tensor), (a as Tensor).shape),
    b: () => unbroadcast(db(dy, a as Tensor, b as Tensor), (b as Tensor).shape),
  }),
});

/** Restores the axes that a reduction removed, as ones. */
function keepAxes(dy: Tensor, shape: readonly number[], axes: readonly number[]): Tensor {
  const reduced = new Set(axes.map((axis) => (axis < 0 ? axis + shape.length : axis)));
  return tf.reshape(
    dy,
    shape.map((size, axis) => (reduced.has(axis) ? 1 : size)),
  );
}

const asList = (axis: unknown, rank: number): number[] =>
  axis === undefined || axis === null
    ? [...Array(rank).keys()]
    : Array.isArray(axis)
      ? (axis as number[])
      : [axis as number];

/** Where a maximum or minimum is attained; ties share nothing: every winner gets the whole gradient, as in tfjs. */
const extremum: Rule = {
  inputs: ['x'],
  output: true,
  grad: (dy, [x, y], { reductionIndices, axis }) => ({
    x: () => {
      const axes = asList(reductionIndices ?? axis, (x as Tensor).rank);
      const wide = keepAxes(y as Tensor, (x as Tensor).shape, axes);
      return tf.mul(keepAxes(dy, (x as Tensor).shape, axes), tf.cast(tf.equal(x as Tensor, wide), 'float32'));
    },
  }),
};

const matMulGrad: Rule = {
  inputs: ['a', 'b'],
  grad: (dy, [a, b], { transposeA, transposeB }) => {
    const [A, B] = [a as Tensor, b as Tensor];
    // a and b may differ in batch dimensions of size 1: products first, sums over the broadcast batch after.
    const da = () =>
      transposeA ? tf.matMul(B, dy, Boolean(transposeB), true) : tf.matMul(dy, B, false, !transposeB);
    const db = () =>
      transposeB ? tf.matMul(dy, A, true, Boolean(transposeA)) : tf.matMul(A, dy, !transposeA, false);
    return { a: () => unbroadcast(da(), A.shape), b: () => unbroadcast(db(), B.shape) };
  },
};

const rules: Record<string, Rule> = {
  [tf.Identity]: { grad: (dy) => ({ x: () => dy.clone() }) },
  [tf.Cast]: { grad: (dy) => ({ x: () => dy.clone() }) },
  [tf.ZerosLike]: { grad: (dy) => ({ x: () => tf.zerosLike(dy) }) },
  [tf.OnesLike]: { grad: (dy) => ({ x: () => tf.zerosLike(dy) }) },

  [tf.Add]: binary(
    (dy) => dy,
    (dy) => dy,
  ),
  [tf.Sub]: binary(
    (dy) => dy,
    (dy) => tf.neg(dy),
  ),
  [tf.Multiply]: binary(
    (dy, _, b) => tf.mul(dy, b),
    (dy, a) => tf.mul(dy, a),
  ),
  [tf.RealDiv]: binary(
    (dy, _, b) => tf.div(dy, b),
    (dy, a, b) => tf.neg(tf.div(tf.mul(dy, a), tf.square(b))),
  ),
  [tf.Maximum]: binary(
    (dy, a, b) => tf.mul(dy, tf.cast(tf.greaterEqual(a, b), 'float32')),
    (dy, a, b) => tf.mul(dy, tf.cast(tf.less(a, b), 'float32')),
  ),
  [tf.Minimum]: binary(
    (dy, a, b) => tf.mul(dy, tf.cast(tf.lessEqual(a, b), 'float32')),
    (dy, a, b) => tf.mul(dy, tf.cast(tf.greater(a, b), 'float32')),
  ),
  [tf.Pow]: binary(
    (dy, a, b) => tf.mul(dy, tf.mul(b, tf.pow(a, tf.sub(b, 1)))),
    (dy, a, b) =>
      tf.mul(
        dy,
        tf.where(tf.greater(a, 0), tf.mul(tf.pow(a, b), tf.log(tf.maximum(a, 1e-38))), tf.zerosLike(a)),
      ),
  ),

  [tf.Neg]: { grad: (dy) => ({ x: () => tf.neg(dy) }) },
  [tf.Exp]: unary('y', (dy, y) => tf.mul(dy, y)),
  [tf.Log]: unary('x', (dy, x) => tf.div(dy, x)),
  [tf.Log1p]: unary('x', (dy, x) => tf.div(dy, tf.add(x, 1))),
  [tf.Sigmoid]: unary('y', (dy, y) => tf.mul(dy, tf.mul(y, tf.sub(1, y)))),
  [tf.Softplus]: unary('x', (dy, x) => tf.mul(dy, tf.sigmoid(x))),
  [tf.Tanh]: unary('y', (dy, y) => tf.mul(dy, tf.sub(1, tf.square(y)))),
  [tf.Relu]: unary('x', (dy, x) => tf.mul(dy, tf.cast(tf.greater(x, 0), 'float32'))),
  [tf.Sqrt]: unary('y', (dy, y) => tf.div(dy, tf.mul(y, 2))),
  [tf.Rsqrt]: unary('y', (dy, y) => tf.mul(dy, tf.mul(-0.5, tf.mul(y, tf.square(y))))),
  [tf.Square]: unary('x', (dy, x) => tf.mul(dy, tf.mul(x, 2))),
  [tf.Abs]: unary('x', (dy, x) => tf.mul(dy, tf.sign(x))),
  [tf.Sin]: unary('x', (dy, x) => tf.mul(dy, tf.cos(x))),
  [tf.Cos]: unary('x', (dy, x) => tf.neg(tf.mul(dy, tf.sin(x)))),
  [tf.ClipByValue]: {
    inputs: ['x'],
    grad: (dy, [x], { clipValueMin, clipValueMax }) => ({
      x: () => {
        const inside = tf.logicalAnd(
          tf.greaterEqual(x as Tensor, clipValueMin as number),
          tf.lessEqual(x as Tensor, clipValueMax as number),
        );
        return tf.mul(dy, tf.cast(inside, 'float32'));
      },
    }),
  },
  [tf.Select]: {
    inputs: ['condition'],
    grad: (dy, [condition]) => ({
      condition: () => tf.zeros((condition as Tensor).shape),
      t: () => tf.mul(dy, tf.cast(condition as Tensor, 'float32')),
      e: () => tf.mul(dy, tf.cast(tf.logicalNot(condition as Tensor), 'float32')),
    }),
  },

  [tf.Sum]: {
    inputs: ['x'],
    grad: (dy, [x], { axis }) => ({
      x: () =>
        tf.mul(
          keepAxes(dy, (x as Tensor).shape, asList(axis, (x as Tensor).rank)),
          tf.ones((x as Tensor).shape),
        ),
    }),
  },
  [tf.Mean]: {
    inputs: ['x'],
    grad: (dy, [x], { axis }) => ({
      x: () => {
        const { shape, size } = x as Tensor;
        return tf.mul(keepAxes(dy, shape, asList(axis, shape.length)), tf.fill(shape, dy.size / size));
      },
    }),
  },
  [tf.Max]: extremum,
  [tf.Min]: extremum,
  [tf.Softmax]: {
    output: true,
    grad: (dy, [y], { dim }) => ({
      logits: () => {
        const weighted = tf.mul(dy, y as Tensor);
        return tf.sub(weighted, tf.mul(tf.sum(weighted, [dim as number], true), y as Tensor));
      },
    }),
  },
  [tf.LogSoftmax]: {
    output: true,
    grad: (dy, [y], { axis }) => ({
      logits: () => tf.sub(dy, tf.mul(tf.sum(dy, axis as number, true), tf.exp(y as Tensor))),
    }),
  },
  [tf.Cumsum]: {
    grad: (dy, _, { axis, exclusive, reverse }) => ({
      x: () => cumsum(dy, axis as number, { exclusive: Boolean(exclusive), reverse: !reverse }),
    }),
  },
  [tf.BatchMatMul]: matMulGrad,

  [tf.Reshape]: { inputs: ['x'], grad: (dy, [x]) => ({ x: () => tf.reshape(dy, (x as Tensor).shape) }) },
  [tf.ExpandDims]: {
    inputs: ['input'],
    grad: (dy, [x]) => ({ input: () => tf.reshape(dy, (x as Tensor).shape) }),
  },
  [tf.Transpose]: {
    grad: (dy, _, { perm }) => ({
      x: () =>
        tf.transpose(
          dy,
          (perm as number[]).map((__, i) => (perm as number[]).indexOf(i)),
        ),
    }),
  },
  [tf.Slice]: {
    inputs: ['x'],
    grad: (dy, [x], { begin }) => ({
      x: () =>
        tf.pad(
          dy,
          (x as Tensor).shape.map((size, i) => {
            const before = (begin as number[])[i] ?? 0;
            return [before, size - before - (dy.shape[i] as number)] as [number, number];
          }),
        ),
    }),
  },
  [tf.PadV2]: {
    inputs: ['x'],
    grad: (dy, [x], { paddings }) => ({
      x: () =>
        tf.slice(
          dy,
          (paddings as number[][]).map(([before]) => before as number),
          (x as Tensor).shape,
        ),
    }),
  },
  [tf.Reverse]: { grad: (dy, _, { dims }) => ({ x: () => tf.reverse(dy, dims as number[]) }) },
  [tf.Tile]: {
    inputs: ['x'],
    grad: (dy, [x], { reps }) => ({
      x: () => {
        const { shape } = x as Tensor;
        // One axis at a time keeps the rank low: high ranks fall to slow paths.
        let sum = dy;
        shape.forEach((size, axis) => {
          const count = (reps as number[])[axis] ?? 1;
          if (count === 1) return;
          const [lead, tail] = [sum.shape.slice(0, axis), sum.shape.slice(axis + 1)];
          const summed = tf.sum(tf.reshape(sum, [sizeOf(lead), count, size * sizeOf(tail)]), 1);
          sum = tf.reshape(summed, [...lead, size, ...tail]);
        });
        return tf.reshape(sum, shape);
      },
    }),
  },
  [tf.BroadcastTo]: { inputs: ['x'], grad: (dy, [x]) => ({ x: () => unbroadcast(dy, (x as Tensor).shape) }) },
};

for (const [kernelName, { inputs = [], output = false, grad }] of Object.entries(rules)) {
  tf.registerGradient({
    kernelName,
    inputsToSave: [...inputs],
    outputsToSave: [output],
    gradFunc: (dy, saved, attrs) => grad(dy as Tensor, saved, attrs),
  });
}

// Kernels with a list of inputs or outputs.
tf.registerGradient({
  kernelName: tf.Concat,
  saveAllInputs: true,
  gradFunc: (dy, saved, { axis }) => {
    const dim = (axis as number) < 0 ? (axis as number) + (dy as Tensor).rank : (axis as number);
    const parts = tf.split(
      dy as Tensor,
      saved.map((x) => x.shape[dim] as number),
      dim,
    );
    return Object.fromEntries(parts.map((part, i) => [String(i), () => part]));
  },
});
tf.registerGradient({
  kernelName: tf.SplitV,
  // One part alone comes without a list around it.
  gradFunc: (dys, _, { axis }) => ({ x: () => tf.concat([dys].flat() as Tensor[], axis as number) }),
});
tf.registerGradient({
  kernelName: tf.Pack,
  saveAllInputs: true,
  gradFunc: (dy, _, { axis }) => {
    const parts = tf.unstack(dy as Tensor, axis as number);
    return Object.fromEntries(parts.map((part, i) => [String(i), () => part]));
  },
});
tf.registerGradient({
  kernelName: tf.Unpack,
  gradFunc: (dys, _, { axis }) => ({
    value: () => tf.stack(Array.isArray(dys) ? dys : [dys as Tensor], axis as number),
  }),
});
