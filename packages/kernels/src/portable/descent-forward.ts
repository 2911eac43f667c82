// Memories that learn by gradient descent, forward: chunk after chunk, and what the blocks of their state
// have to do with it. See descent.ts for the equations.
import {
  add,
  concat,
  gatherRows,
  matMul,
  mul,
  reshape,
  split,
  transpose,
  zeros,
  type Tensor,
} from '@mnemix/tensor';
import type { DescentAttrs, DescentInputs, DescentOutputs } from './descent.ts';
import { innerPoint } from './reconstruction.ts';
import { perChunk } from './state-scan.ts';

export function descentForward(inputs: DescentInputs, { eps }: DescentAttrs): DescentOutputs {
  const { keys, offset, squaredWeight, border } = inputs;
  const lanes = inputs.state.shape[0] as number;
  const [, slots, height] = keys.shape as [number, number, number];
  const each = (x: Tensor) => perChunk(x, lanes);
  const transition = transitionOfEach(inputs.transition, lanes);
  const offsets = each(offset);
  // What G does to S and to the chunk's own reads, in one product.
  const effects = each(concat([transpose(inputs.writes, [0, 2, 1]), inputs.scores], 1));

  let blocks = blocksOf(inputs.state, height);
  const parts = [...blocks.map(() => height), slots];
  const anchors = [inputs.anchor ?? (blocks[0] as Tensor)];
  const states: Tensor[][] = [];
  const [answers, gradients, own]: [Tensor[], Tensor[], Tensor[]] = [[], [], []];
  for (const [chunk, key] of each(keys).entries()) {
    const z = matMul(key, anchors[chunk] as Tensor);
    const { gradient } = innerPoint(z, { squaredWeight, offset: offsets[chunk] as Tensor, eps });
    const written = split(matMul(effects[chunk] as Tensor, gradient), parts, 1);
    states.push(blocks);
    answers.push(z);
    gradients.push(gradient);
    own.push(written.pop() as Tensor);
    const moved = transition(blocks, chunk);
    blocks = moved.map((block, i) => add(block, written[i] as Tensor));
    anchors.push(blocks[0] as Tensor);
  }
  const inTime = (parts: readonly (Tensor | undefined)[]) => concat(parts as Tensor[], 0);
  const entering = concat(
    blocks.map((_, i) => inTime(states.map((all) => all[i]))),
    1,
  );
  return {
    o: add(matMul(inputs.reads, entering), inTime(own)),
    state: concat(blocks, 1),
    anchor: border ? atBorder(inTime(anchors), border, lanes) : zeros([0]),
    gradients: inTime(gradients),
    states: entering,
    answers: inTime(answers),
  };
}

/** M, and Z where there is one: [L, r, D] each. */
export const blocksOf = (state: Tensor, height: number): Tensor[] =>
  state.shape[1] === height ? [state] : split(state, (state.shape[1] as number) / height, 1);

/** S ← transition S for the blocks of S, or for those of its gradient S ← transitionᵀ S. */
export function transitionOfEach(transition: Tensor | undefined, lanes: number, transposed = false) {
  const weights = transition && split(transition, transition.shape[2] as number, 2);
  const [kept, carried, slowed] = (weights ?? []).map((x) => perChunk(x, lanes));
  return ([memory, momentum]: readonly Tensor[], chunk: number): Tensor[] => {
    const at = (x: Tensor | undefined, weight: Tensor[] | undefined) =>
      mul(x as Tensor, weight?.[chunk] as Tensor);
    const stays = kept ? at(memory, kept) : (memory as Tensor);
    if (!momentum) return [stays];
    return transposed
      ? [stays, add(at(momentum, slowed), at(memory, carried))]
      : [add(stays, at(momentum, carried)), at(momentum, slowed)];
  };
}

/** [(n + 1)·L, r, D] → [L, r, D]. */
function atBorder(anchors: Tensor, border: Tensor, lanes: number): Tensor {
  const [count, height, width] = anchors.shape as [number, number, number];
  const heads = lanes / border.size;
  const bySequence = reshape(anchors, [count / heads, heads * height * width]);
  return reshape(gatherRows(bySequence, border), [lanes, height, width]);
}
