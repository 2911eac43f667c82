// What a residual block is made of: branches, each a norm and a mixer, whose results are added to the stream one by one.
import { addRmsNorm, layerNorm, rmsNorm } from '@mnemix/kernels';
import { rwkv6ChannelMix, rwkv7ChannelMix, swiGluMixer, type Mixer } from '@mnemix/layers';
import { add, ones, zeros, type Tensor1D, type Tensor2D } from '@mnemix/tensor';
import { cellEntry, type CellName } from '@mnemix/cells';
import { buildMixer, mixerOf, type LmConfig, type MlpConfig } from './config.ts';

export interface NormParams {
  readonly weight: Tensor1D;
  /** Of a LayerNorm. */
  readonly bias?: Tensor1D;
  readonly [name: string]: Tensor1D | undefined;
}

export interface Norm {
  init(): NormParams;
  apply(params: NormParams, x: Tensor2D): Tensor2D;
  /** The norm of a sum, and the sum itself. */
  ofSum(params: NormParams, x: Tensor2D, added: Tensor2D): { sum: Tensor2D; y: Tensor2D };
}

/** The norm of the residual stream, [N,d] → [N,d]. */
export function normOf({ norm = 'rms', width, normEps: eps = 1e-6 }: LmConfig): Norm {
  const weight = (): Tensor1D => ones([width]);
  if (norm === 'layer') {
    const apply: Norm['apply'] = ({ weight: w, bias }, x) =>
      layerNorm({ x, weight: w, bias }, { eps }) as Tensor2D;
    return {
      init: () => ({ weight: weight(), bias: zeros([width]) }),
      apply,
      ofSum: (params, x, added) => {
        const sum = add(x, added) as Tensor2D;
        return { sum, y: apply(params, sum) };
      },
    };
  }
  return {
    init: () => ({ weight: weight() }),
    apply: ({ weight: w }, x) => rmsNorm({ x, weight: w }, { eps }) as Tensor2D,
    ofSum: ({ weight: w }, x, added) =>
      addRmsNorm({ x, added, weight: w }, { eps }) as { sum: Tensor2D; y: Tensor2D },
  };
}

/** h ← h + mixer(norm(h)); its parameters are `<name>` and `<name>_norm` of the block. */
export interface Branch {
  readonly name: 'attn' | 'mlp';
  readonly mixer: Mixer;
}

/** The branches of block `layer`. */
export function branchesOf(config: LmConfig, layer: number): readonly Branch[] {
  const { width, layers, mlp } = config;
  const place = { layer, layers };
  const attn: Branch = { name: 'attn', mixer: buildMixer(mixerOf(config, layer), width, place) };
  return mlp ? [attn, { name: 'mlp', mixer: buildMlp(mlp, config, place) }] : [attn];
}

function buildMlp(
  { type = 'swiglu', hidden }: MlpConfig,
  { width, initializerRange: deviation = 0.02 }: LmConfig,
  place: { readonly layer: number; readonly layers: number },
): Mixer {
  const mixers = {
    swiglu: () => swiGluMixer({ width, hidden, deviation }),
    rwkv6: () => rwkv6ChannelMix({ width, hidden, ...place }),
    rwkv7: () => rwkv7ChannelMix({ width, hidden, ...place }),
  };
  return mixers[type]() as unknown as Mixer;
}

/**
 * The block that a cell's published model has around it: LayerNorms and a channel mix for the RWKVs, RMSNorms and a SwiGLU for
 * the others (Mamba-2's has no MLP: pass 0).
 *
 * @param hidden width of the MLP; 0 leaves it out
 */
export function cellBlock(cell: CellName, hidden: number): Pick<LmConfig, 'norm' | 'mlp'> {
  const { block } = cellEntry('cellBlock(cell)', cell);
  const isRwkv = block === 'rwkv6' || block === 'rwkv7';
  return {
    ...(isRwkv ? { norm: 'layer' } : {}),
    mlp: hidden > 0 ? { ...(isRwkv ? { type: block } : {}), hidden } : null,
  };
}
