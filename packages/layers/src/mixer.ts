// The contract of everything that mixes information along a sequence: a memory cell, Mixture-of-Memories, attention.
import type { Segments } from '@mnemix/kernels';
import {
  reshape,
  tidy,
  type ParamTree,
  type Rng,
  type Tensor,
  type Tensor2D,
  type Tensor3D,
  type TensorTree,
} from '@mnemix/tensor';

/** Recurrent state: a tree of tensors whose first axis counts sequences (for MoM: memories × sequences). Immutable. */
export type State = TensorTree;

/** Rows by kind, one for each token: what earlier layers hand on to later ones of the same pass. */
export type TokenRows = { readonly [kind: string]: Tensor2D };

/** What a layer of a model receives beside its input and its parameters. A mixer alone, or in a first layer, needs none. */
export interface CrossLayer {
  /** What earlier layers handed on, [B·T, …]: RWKV-7's first values. */
  readonly tokens?: TokenRows | undefined;
  /** This layer's part of the parameters that all layers own together: HGRN2's lower bound. */
  readonly parameters?: { readonly [name: string]: Tensor } | undefined;
}

/** A parameter that the layers of a model own together. */
export interface SharedParameter {
  /** [layers, …] */
  init(layers: number): Tensor;
  /** What layer `layer` receives of it, as `crossLayer.parameters` under the same name. */
  part(parameter: Tensor, layer: number): Tensor;
}

export type SharedParameters = { readonly [name: string]: SharedParameter };

export interface ForwardOptions<S extends State = State> {
  /** Continue from here instead of from an empty memory. One entry for each row of the batch, or for each segment. */
  readonly state?: S | undefined;
  /** The documents of a packed or padded batch; the state then has one entry for each of them. */
  readonly segments?: Segments | undefined;
  readonly crossLayer?: CrossLayer | undefined;
  /** Report `aux.selfRecall` [B·T]: how badly the memory returns each token's value for its own key, 0 … 2. */
  readonly selfRecall?: boolean | undefined;
}

/** What a mixer reports beside its output, e.g. MoM's `routing`; keyed by kind. Other mixers read only what they asked for. */
export type Aux = { readonly [kind: string]: TensorTree };

export interface MixerResult<S extends State = State> {
  readonly y: Tensor3D;
  readonly state: S;
  readonly aux: Aux;
  /** For later layers of the same pass. */
  readonly handOn?: TokenRows | undefined;
}

export interface Mixer<P extends ParamTree = ParamTree, S extends State = State> {
  readonly name: string;
  /** Enough to build it again. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Model width d. */
  readonly width: number;
  /** Whether it can report `selfRecall`. */
  readonly recallsItself?: boolean | undefined;
  /** Parameters that this mixer shares with its like in other layers; the model owns them. */
  readonly sharedParameters?: SharedParameters | undefined;
  init(rng: Rng): P;
  /** The empty memory, for `sequences` sequences. */
  initialState(sequences: number): S;
  /** x [B,T,d] → y [B,T,d], causal. */
  forward(params: P, x: Tensor3D, options?: ForwardOptions<S>): MixerResult<S>;
  /** One token for each sequence: x [B,d] → y [B,d]. The cost does not depend on how many came before. */
  step(
    params: P,
    x: Tensor2D,
    state: S,
    crossLayer?: CrossLayer,
  ): { y: Tensor2D; state: S; handOn?: TokenRows | undefined };
  /** Bytes of the state of `sequences` sequences; where it grows with them (attention), after `tokens` tokens. */
  stateBytes(sequences: number, tokens?: number): number;
  /** Parameters that take part in one token's result: fewer than all of them where a router chooses. */
  activatedParameters(params: P): number;
}

/** A `step` that is `forward` over one token, for mixers whose forward costs the same whatever came before. */
export function stepByForward<P extends ParamTree, S extends State>(
  forward: Mixer<P, S>['forward'],
): Mixer<P, S>['step'] {
  return (params, x, state, crossLayer) =>
    tidy(() => {
      const [batch, width] = x.shape;
      const { y, ...rest } = forward(params, reshape(x, [batch, 1, width]) as Tensor3D, {
        state,
        crossLayer,
      });
      return { y: reshape(y, [batch, width]), state: rest.state, handOn: rest.handOn } as never;
    });
}
