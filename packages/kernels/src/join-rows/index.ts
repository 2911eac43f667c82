// Tensors one behind the other along their first axis.
import { checkConfig, checkShapes, concat, defineOp, split, type Op, type Tensor } from '@mnemix/tensor';
import * as gpu from './gpu.ts';
import { named, nameOf, type Parts } from './parts.ts';

interface Attrs {
  /** Of each part. */
  readonly rows: readonly number[];
}

/** An op has a fixed list of outputs, so there is one for each number of parts. */
const splitOps = new Map<number, Op<{ x: Tensor }, Parts, Attrs>>();

function splitOp(count: number): Op<{ x: Tensor }, Parts, Attrs> {
  const op =
    splitOps.get(count) ??
    defineOp<{ x: Tensor }, Parts, Attrs>({
      name: `SplitRows${count}`,
      outputs: Array.from({ length: count }, (_, i) => nameOf(i)),
      portable: ({ x }, { rows }) => named(split(x, [...rows])),
      kernels: gpu.splitRows,
    });
  splitOps.set(count, op);
  return op;
}

const joinOp = defineOp<Parts, { y: Tensor }, object>({
  name: 'JoinRows',
  outputs: ['y'],
  portable: (parts) => ({ y: concat(Object.values(parts), 0) }),
  kernels: gpu.joinRows,
  gradient: ({ inputs, grads }) => {
    const rows = Object.values(inputs).map(({ shape }) => shape[0] as number);
    return splitOp(rows.length)({ x: grads.y }, { rows });
  },
});

/**
 * The rows of all parts, such as the weights of many memories for one {@link groupedLinear}. As tfjs's `concat`, except that many
 * parts are one pass on WebGPU, forward and for their gradients.
 *
 * @param parts [N_i, …], float32
 * @returns [Σ N_i, …]
 * @throws MnemixError `config` without parts, `shape` where they differ behind the first axis
 */
export function joinRows(parts: readonly Tensor[]): Tensor {
  const [first] = parts;
  checkConfig(first !== undefined, 'joinRows(parts)', 'there are none.', 'Pass at least one tensor.');
  const rest = (first as Tensor).shape.slice(1);
  const shapes = parts.map((part, i) => [nameOf(i), [part, [`N${i}`, ...rest]] as const]);
  checkShapes('joinRows', Object.fromEntries(shapes));
  return joinOp(named(parts), {}).y;
}
