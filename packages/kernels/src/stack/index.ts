// Tensors of one shape on a new first axis.
import { checkConfig, checkShapes, defineOp, stack, unstack, type Op, type Tensor } from '@mnemix/tensor';
import * as gpu from './gpu.ts';

type Parts = Record<string, Tensor>;

const nameOf = (i: number): string => `part${i}`;
const named = (parts: readonly Tensor[]): Parts =>
  Object.fromEntries(parts.map((part, i) => [nameOf(i), part]));

/** An op has a fixed list of outputs, so there is one for each number of parts. */
const unstackOps = new Map<number, Op<{ x: Tensor }, Parts, object>>();

function unstackOp(count: number): Op<{ x: Tensor }, Parts, object> {
  const op =
    unstackOps.get(count) ??
    defineOp<{ x: Tensor }, Parts, object>({
      name: `Unstack${count}`,
      outputs: Array.from({ length: count }, (_, i) => nameOf(i)),
      portable: ({ x }) => named(unstack(x)),
      kernels: gpu.unstack,
    });
  unstackOps.set(count, op);
  return op;
}

const stackOp = defineOp<Parts, { y: Tensor }, object>({
  name: 'Stack',
  outputs: ['y'],
  portable: (parts) => ({ y: stack(Object.values(parts)) }),
  gradient: ({ inputs, grads }) => unstackOp(Object.keys(inputs).length)({ x: grads.y }, {}),
});

/**
 * The parts on a new first axis, such as the weights of many memories for one {@link groupedLinear}. As tfjs's `stack`, except that
 * the gradient is one pass over all parts rather than one for each.
 *
 * @param parts of the same shape […], float32
 * @returns [number of parts, …]
 * @throws MnemixError `config` without parts, `shape` where they differ
 */
export function stackParts(parts: readonly Tensor[]): Tensor {
  const [first] = parts;
  checkConfig(first !== undefined, 'stackParts(parts)', 'there are none.', 'Pass at least one tensor.');
  const shape = (first as Tensor).shape;
  checkShapes('stackParts', Object.fromEntries(parts.map((part, i) => [nameOf(i), [part, shape] as const])));
  return stackOp(named(parts), {}).y;
}
