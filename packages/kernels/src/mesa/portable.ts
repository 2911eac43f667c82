// The systems of all tokens in plain tensor ops: what does not change from step to step is computed once.
import {
  abs,
  add,
  concat,
  disposeTree,
  div,
  greater,
  logicalAnd,
  matMul,
  max,
  maximum,
  mul,
  oneHot,
  ones,
  range,
  reshape,
  rsqrt,
  slice,
  square,
  sub,
  sum,
  tidy,
  tile,
  where,
  zerosLike,
  type Tensor,
} from '@mnemix/tensor';
import { diagonalDecayChunks, type DiagonalDecayChunks } from '../diagonal-decay/chunk.ts';
import { portableForm } from '../portable/scan-options.ts';
import type { MesaSolveAttrs, MesaSolveInputs, MesaSolveOutputs } from './op.ts';

type Product = (x: Tensor) => Tensor;

/**
 * With R = Diag(λ)^{-½}, (R H R + I) (R^{-1} x) = R q: scaling the keys once stands for the preconditioner.
 */
export function solveInTensorOps(inputs: MesaSolveInputs, attrs: MesaSolveAttrs): MesaSolveOutputs {
  const [, heads, dk] = inputs.q.shape as [number, number, number];
  const form = portableForm(attrs);
  const chunks = diagonalDecayChunks(inputs, form === 'chunk' ? attrs : { ...attrs, chunkSize: 1 });
  const { layout, q, states } = chunks;
  const copies = layout.chunks * attrs.count;
  const root = reshape(tile(rsqrt(inputs.ridge), [copies, 1]), [copies * heads, 1, dk]);
  const product = form === 'chunk' ? chunkProduct(chunks, root) : tokenProduct(chunks, root);
  const solution = conjugateGradients((x) => add(product(x), x), mul(q, root), attrs);
  return {
    x: layout.join(mul(solution, root)),
    state: reshape(states.final, [attrs.count, heads, dk, dk]),
  };
}

/** R S R of the states [P, dk, dk]. */
const scaledState = (state: Tensor, root: Tensor): Tensor =>
  mul(mul(state, root), reshape(root, [root.shape[0] as number, root.shape[2] as number, 1]));

/** R H R x by the state that enters the chunk and the scores with its tokens. */
function chunkProduct({ layout, k, v, scores, toQuery, states }: DiagonalDecayChunks, root: Tensor): Product {
  const [keys, writes, entering] = [mul(k, root), mul(v, root), scaledState(states.entering, root)];
  const { chunkSize } = layout;
  const one = ones([k.shape[0] as number, chunkSize, 1]);
  const own = oneHot(range(0, chunkSize, 1, 'int32'), chunkSize);
  const [fromState, fromTokens] = [toQuery(one), add(scores.of(one, one), own)];
  return (x) => {
    const weights = mul(matMul(x, keys, false, true), fromTokens);
    return add(matMul(mul(x, fromState), entering), matMul(weights, writes));
  };
}

/** The same where each token is a chunk, by the state that leaves it. */
function tokenProduct({ layout, states }: DiagonalDecayChunks, root: Tensor): Product {
  const { entering, final } = states;
  const [count, dk] = entering.shape as [number, number, number];
  const { lanes } = layout;
  const leaving = concat([slice(entering, [lanes, 0, 0], [count - lanes, dk, dk]), final], 0);
  const scaled = scaledState(leaving, root);
  return (x) => matMul(x, scaled);
}

interface Iterate {
  readonly x: Tensor;
  /** b − A x. */
  readonly residual: Tensor;
  readonly direction: Tensor;
  /** ‖residual‖² of every row, [P, C, 1]. */
  readonly error: Tensor;
}

/** About the least normal float32: right-hand sides of 0 are divided by it. */
const SMALLEST = 1.2e-38;

/**
 * A x = b by conjugate gradients (Hestenes & Stiefel 1952) from x = 0 on, with an A of its own for each row
 * of b [P, C, d]. Rows whose residual is below `tolerance` times b stay as they are, so that nothing is
 * divided by what is only rounding.
 */
function conjugateGradients(product: Product, b: Tensor, { steps, tolerance }: MesaSolveAttrs): Tensor {
  const squaredNorm = (x: Tensor) => sum(square(x), 2, true);
  // Squares of small gradients would be 0.
  const largest = maximum(max(abs(b), 2, true), SMALLEST);
  const unit = div(b, largest);
  const whole = squaredNorm(unit);
  const enough = mul(whole, tolerance ** 2);
  const step = ({ x, residual, direction, error }: Iterate): Iterate => {
    const image = product(direction);
    const curvature = sum(mul(direction, image), 2, true);
    const active = logicalAnd(greater(error, enough), greater(curvature, 0));
    const ratio = (a: Tensor, c: Tensor) => where(active, div(a, c), zerosLike(a));
    const size = ratio(error, curvature);
    const rest = sub(residual, mul(size, image));
    const next = squaredNorm(rest);
    return {
      x: add(x, mul(size, direction)),
      residual: rest,
      direction: add(rest, mul(ratio(next, error), direction)),
      error: next,
    };
  };
  let iterate: Iterate = { x: zerosLike(b), residual: unit, direction: unit, error: whole };
  for (let i = 0; i < steps; i++) {
    const last = iterate;
    // The vectors of one step at a time: there would be a dozen for each.
    iterate = tidy(() => step(last) as never) as Iterate;
    disposeTree({ ...last });
  }
  return mul(iterate.x, largest);
}
