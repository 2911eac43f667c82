// Which tokens a memory of fixed size holds, block after block: the highest scores so far.
import { checkConfig, checkCount, checkShapes, defineOp, type Tensor } from '@mnemix/tensor';
import * as gpu from './gpu.ts';
import * as host from './host.ts';
import * as portable from './portable.ts';

const selectOp = defineOp<portable.Inputs, portable.Outputs, portable.Attrs>({
  name: 'SelectSlots',
  outputs: ['ids', 'scores'],
  portable: portable.forward,
  kernels: { ...host.forward, ...gpu.forward },
});

export interface SelectSlotsOptions {
  /** m, the slots of the memory. */
  readonly slots: number;
  /** Tokens of a block; divides n. */
  readonly block: number;
}

export interface SelectSlotsResult {
  /** What each slot holds: 0 … m0−1 a slot held before, m0 + i token i, −1 nothing; int32 [S, n/block, m]. */
  readonly ids: Tensor;
  /** Its score, −Infinity where it holds nothing, [S, n/block, m]. */
  readonly scores: Tensor;
}

/**
 * The admission and eviction of B'MOJO's eidetic memory (Zancato et al. 2024, Algorithm 1) for every block of a pass:
 * memory_b = the m highest of memory_{b−1} ∪ the tokens of block b, memory_{−1} = what was held, the highest first.
 *
 * Among equal scores the older stays, and comes first: held slots before tokens, the lower index first. So the memory
 * after a block is the same whether tokens come one by one, block by block, or all at once. A constant to gradients.
 *
 * Host backends refuse NaN. On WebGPU that would take a read-back; there, what a sequence with NaN selects is
 * undefined. The lowest finite float32 counts as −Infinity.
 *
 * @param inputs.scores [S, n], in time order; −Infinity is no candidate
 * @param inputs.held [S, m0], m0 ≥ 1, scores of the slots held before; −Infinity is an empty slot. m0 = 0 if absent
 * @throws MnemixError `shape`; `config` for slots or a block that are not whole numbers from 1 on, a block that does
 *   not divide n, m0 = 0; `value` for NaN, naming sequence and token
 */
export function selectSlots(
  { scores, held }: { scores: Tensor; held?: Tensor | undefined },
  { slots, block }: SelectSlotsOptions,
): SelectSlotsResult {
  const { n = 0, m0 } = checkShapes('selectSlots', {
    scores: [scores, ['S', 'n']],
    held: [held, ['S', 'm0']],
  });
  for (const [name, size] of Object.entries({ slots, block })) {
    checkCount(`selectSlots(${name})`, size);
  }
  checkConfig(
    n % block === 0,
    'selectSlots(block)',
    `blocks of ${block} do not divide ${n} tokens.`,
    'Fill the last block with scores of −Infinity.',
  );
  checkConfig(m0 !== 0, 'selectSlots(held)', 'it has no slots.', 'Leave it out where nothing was held.');
  return selectOp({ scores, held }, { slots, block });
}
