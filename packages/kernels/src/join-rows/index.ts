// Tensors one behind the other along their first axis.
import { checkConfig, checkShapes, type Tensor } from '@mnemix/tensor';
import { joinOp } from './op.ts';
import { named, nameOf } from './parts.ts';

/**
 * The rows of all parts, such as the router's scores of many layers. As tfjs's `concat`, except that many parts are one pass on WebGPU,
 * forward and for their gradients.
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
