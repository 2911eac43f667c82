// AdamW over parameter trees (Loshchilov & Hutter 2019, "Decoupled weight decay regularization"), as PyTorch has it.
import { adamWAll, globalNorms, type AdamWTensors } from '@mnemix/kernels';
import {
  checkConfig,
  checkKeys,
  checkShapes,
  entries,
  leaves as leavesOf,
  leavesAt,
  mapTree,
  MnemixError,
  withLeaves,
  zerosLike,
  type ParamTree,
  type Scalar,
  type Tensor,
  type Tensor1D,
  type TensorTree,
} from '@mnemix/tensor';
import { checkRange } from './check.ts';
import { settingsFor, standardGroups, type GroupSettings, type ParameterGroup } from './groups.ts';

/** Settings for all parameters; groups may change them for some. */
export interface AdamWOptions {
  /** β₁, decay of the running mean of the gradient (default 0.9). */
  readonly beta1?: number;
  /** β₂, decay of the running mean of its square (default 0.999). */
  readonly beta2?: number;
  /** ε, added to the root of the mean square (default 1e-8). */
  readonly epsilon?: number;
  /** λ, decoupled weight decay (default 0.01). */
  readonly weightDecay?: number;
  /** Longer gradients, all parameters taken together, are scaled down to this norm. Left out: no clipping. */
  readonly clipNorm?: number;
  /** Exceptions, the last match wins (default {@link standardGroups}: no decay of norms, biases and the like). */
  readonly groups?: readonly ParameterGroup[];
}

/** What a checkpoint has to hold besides the parameters: two trees of their form, and a count. */
export interface AdamWState<P extends ParamTree> {
  /** Updates made so far. */
  readonly step: number;
  /** Running mean of the gradients. */
  readonly m: P;
  /** Running mean of their squares. */
  readonly v: P;
}

export interface AdamWUpdate<P extends ParamTree> {
  readonly params: P;
  readonly state: AdamWState<P>;
  /** Norm of the whole gradient before clipping; not finite if any of its entries is not. The caller's to dispose. */
  readonly gradNorm: Scalar;
  /** Norm of the gradient of each leaf, in the order of `entries`, for `checkFinite`. The caller's to dispose. */
  readonly leafNorms: Tensor1D;
}

export interface AdamW {
  /** @throws MnemixError `config` for a leaf that is not float32, or that stands in the tree twice */
  init<P extends ParamTree>(params: P): AdamWState<P>;
  /**
   * One step. In place as far as the caller can see: it consumes (disposes) `params`, `grads` and `state`, and gives
   * back new ones. Reads nothing back from the device.
   *
   * @throws MnemixError, before anything is consumed: `value` where the gradients or the state lack a leaf of the
   *   parameters, `shape` where one has another shape, `config` for a learning rate that is negative or NaN
   */
  update<P extends ParamTree>(
    params: P,
    grads: P,
    state: AdamWState<P>,
    options: { readonly learningRate: number },
  ): AdamWUpdate<P>;
}

/**
 * The optimiser: settings in a closure, everything that changes in its arguments and results.
 *
 * ```ts
 * const optimiser = adamW({ weightDecay: 0.1, clipNorm: 1 });
 * let state = optimiser.init(params);
 * const updated = optimiser.update(params, grads, state, { learningRate: 3e-3 });
 * ({ params, state } = updated);
 * disposeTree([updated.gradNorm, updated.leafNorms]);
 * ```
 *
 * @throws MnemixError `config`, naming the option that is unknown or out of range
 */
export function adamW(options: AdamWOptions = {}): AdamW {
  checkKeys('adamW: ', options, ['beta1', 'beta2', 'epsilon', 'weightDecay', 'clipNorm', 'groups']);
  const {
    beta1 = 0.9,
    beta2 = 0.999,
    epsilon = 1e-8,
    weightDecay = 0.01,
    clipNorm,
    groups = standardGroups(),
  } = options;
  const defaults = { beta1, beta2, epsilon, weightDecay, learningRateScale: 1 };
  checkSettings('adamW: ', defaults);
  groups.forEach((group, i) => {
    const prefix = `adamW: groups[${i}].`;
    checkKeys(prefix, group, ['match', ...Object.keys(defaults)]);
    checkSettings(prefix, { ...defaults, ...group });
  });
  if (clipNorm !== undefined) checkRange('adamW: clipNorm', clipNorm, Number.MIN_VALUE);

  return {
    init(params) {
      checkParams(params);
      return {
        step: 0,
        m: mapTree(params, (leaf) => zerosLike(leaf)),
        v: mapTree(params, (leaf) => zerosLike(leaf)),
      };
    },

    update(params, grads, state, { learningRate }) {
      checkRange('adamW.update(learningRate)', learningRate, 0);
      const leaves = matchLeaves(params, grads, state);
      const { norms, norm: gradNorm, clipFactor } = globalNorms(leavesOf(grads), { clipNorm });
      const step = {
        step: state.step + 1,
        consume: true,
        ...(clipNorm !== undefined && { gradScale: clipFactor }),
      };
      const updated = batches(leaves).flatMap((batch) =>
        adamWAll(
          batch.map(([path, { param, grad, m, v }]) => {
            const own = settingsFor(path, param, groups, defaults);
            return { ...own, param, grad, m, v, learningRate: learningRate * own.learningRateScale };
          }),
          step,
        ),
      );
      clipFactor.dispose();
      const treeOf = (name: keyof AdamWTensors) =>
        withLeaves(
          params,
          updated.map((tensors) => tensors[name]),
        );
      return {
        params: treeOf('param'),
        state: { step: state.step + 1, m: treeOf('m'), v: treeOf('v') },
        gradNorm,
        leafNorms: norms,
      };
    },
  };
}

function checkSettings(prefix: string, settings: Required<GroupSettings>): void {
  const { beta1, beta2, epsilon, weightDecay, learningRateScale } = settings;
  checkRange(`${prefix}beta1`, beta1, 0, 1 - Number.EPSILON);
  checkRange(`${prefix}beta2`, beta2, 0, 1 - Number.EPSILON);
  checkRange(`${prefix}epsilon`, epsilon, 0);
  checkRange(`${prefix}weightDecay`, weightDecay, 0);
  checkRange(`${prefix}learningRateScale`, learningRateScale, 0);
}

function checkParams(params: ParamTree): void {
  const owners = new Map<Tensor, string>();
  for (const [path, leaf] of entries(params)) {
    const where = `adamW.init(params): ${path}`;
    checkConfig(
      leaf.dtype === 'float32',
      where,
      `this is ${leaf.dtype}.`,
      'Keep only float32 tensors in the parameters.',
    );
    const owner = owners.get(leaf);
    checkConfig(
      owner === undefined,
      where,
      `this is the same tensor as ${owner}.`,
      'Keep tied weights once in the tree.',
    );
    owners.set(leaf, path);
  }
}

type Leaf = Record<'param' | 'grad' | 'm' | 'v', Tensor>;

/** The four tensors of each parameter, once it is sure that the trees agree. */
function matchLeaves(
  params: ParamTree,
  grads: TensorTree,
  { m, v }: AdamWState<ParamTree>,
): [path: string, leaf: Leaf][] {
  const leaves = entries(params);
  const matched = (name: string, tree: TensorTree): Tensor[] => {
    const found = leavesAt(params, tree);
    // The text of what is asked for is written only where it is needed: there are hundreds of leaves in every step.
    leaves.forEach(([path, param], i) => {
      const leaf = found[i];
      if (leaf === undefined) throw unlike(name, `there is no tensor for "${path}".`);
      if (!isSameShape(leaf.shape, param.shape)) {
        checkShapes('adamW.update', { [`${name}: ${path}`]: [leaf, param.shape] });
      }
    });
    if (leavesOf(tree).length > leaves.length) {
      const known = new Set(leaves.map(([path]) => path));
      const [unknown] = entries(tree).find(([path]) => !known.has(path)) ?? [];
      throw unlike(name, `there is no parameter "${unknown}".`);
    }
    return found as Tensor[];
  };
  const [ofGrads, ofM, ofV] = [matched('grads', grads), matched('state.m', m), matched('state.v', v)];
  return leaves.map(([path, param], i) => [path, { param, grad: ofGrads[i], m: ofM[i], v: ofV[i] } as Leaf]);
}

const isSameShape = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((size, i) => size === b[i]);

/**
 * Leaves to update together: no more numbers than the largest leaf has, so that a step which does not happen in place needs room for
 * one more such leaf, not for one more model.
 */
function batches(leaves: readonly [path: string, leaf: Leaf][]): [path: string, leaf: Leaf][][] {
  const room = Math.max(...leaves.map(([, { param }]) => param.size));
  const made: [path: string, leaf: Leaf][][] = [];
  let left = 0;
  for (const entry of leaves) {
    const { size } = entry[1].param;
    const last = made.at(-1);
    if (last && size <= left) {
      last.push(entry);
      left -= size;
    } else {
      made.push([entry]);
      left = room - size;
    }
  }
  return made;
}

const unlike = (tree: string, message: string): MnemixError =>
  new MnemixError({
    code: 'value',
    where: `adamW.update(${tree})`,
    message,
    fix: 'Pass gradients of these parameters, and the state that init or the last update made for them.',
  });
