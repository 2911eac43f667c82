// What each memory cell costs on the CPU beside plain linear attention: forward and backward, one decoded token, bytes of state.
import {
  cellEntry,
  cells,
  cellStateBytes,
  linearAttention,
  type CellName,
  type CellSizes,
} from '@mnemix/cells';
import { asMixer, type Mixer } from '@mnemix/layers';
import {
  disposeTree,
  mul,
  openBackend,
  Rng,
  sum,
  tidy,
  valueAndGrad,
  type BackendReport,
  type ParamTree,
  type Scalar,
  type Tensor2D,
  type Tensor3D,
} from '@mnemix/tensor';
import { costNotes } from './cell-cost-notes.ts';
import { spread, type Spread } from './statistics.ts';

const BATCH = 8;
const TOKENS = 256;
const SIZES: CellSizes = { width: 64, heads: 2, keyWidth: 32, valueWidth: 32 };

/** Costs above this many times that of linear attention have to be explained. */
const REMARKABLE = 6;

interface Timing {
  readonly milliseconds: Spread;
  /** Over linear attention in the same round. */
  readonly ratio: Spread;
}

export interface CellCost {
  readonly cell: CellName;
  readonly training: Timing;
  readonly step: Timing;
  /** Of one sequence. */
  readonly stateBytes: number;
  /** FLOPs of forward and backward by formula, over those of linear attention; the memory alone. */
  readonly formula: number;
}

export interface CellCostResult {
  readonly machine: { readonly node: string; readonly backend: BackendReport };
  readonly sizes: CellSizes & { readonly batch: number; readonly tokens: number };
  readonly cells: readonly CellCost[];
}

/** A mixer, ready to be measured. */
interface Subject {
  train(): void;
  step(): void;
  dispose(): void;
}

function subjectOf(mixer: Mixer): Subject {
  const params = mixer.init(Rng.of(1));
  const x = Rng.of(2).normal([BATCH, TOKENS, mixer.width]) as Tensor3D;
  const token = Rng.of(3).normal([BATCH, mixer.width]) as Tensor2D;
  const dy = Rng.of(4).normal([BATCH, TOKENS, mixer.width]);
  const state = mixer.initialState(BATCH);
  return {
    train: () =>
      tidy(() => {
        valueAndGrad((tree: { x: Tensor3D; params: ParamTree }) => ({
          value: sum(mul(mixer.forward(tree.params, tree.x).y, dy)) as Scalar,
        }))({ x, params });
      }),
    step: () =>
      tidy(() => {
        mixer.step(params, token, state);
      }),
    dispose: () => disposeTree({ params, x, token, dy, state }),
  };
}

/**
 * Measures every cell against linear attention without feature map, in turns.
 *
 * @param rounds of each measurement, after one to warm up
 * @param only the cells to measure; all of the catalogue unless given
 */
export async function benchCellCost({
  rounds,
  only = Object.keys(cells) as CellName[],
  onCell = () => undefined,
}: {
  rounds: number;
  only?: readonly CellName[];
  onCell?: (cost: CellCost) => void;
}): Promise<CellCostResult> {
  const backend = await openBackend('wasm', { threads: 1 });
  const { width, heads } = SIZES;
  const plain = subjectOf(asMixer(linearAttention({ width, heads, featureMap: 'identity' })) as Mixer);
  const flops = (cell: CellName): number => {
    const { forward, backward } = cellEntry('bench', cell).cost({ dk: SIZES.keyWidth, dv: SIZES.valueWidth });
    return forward + backward;
  };
  const costs = only.map((cell): CellCost => {
    const { create, ofSizes } = cellEntry('bench', cell);
    const subject = subjectOf(asMixer(create(ofSizes(SIZES))) as Mixer);
    const cost: CellCost = {
      cell,
      training: inTurns(subject.train, plain.train, rounds),
      step: inTurns(subject.step, plain.step, 5 * rounds),
      stateBytes: cellStateBytes(cell, SIZES),
      formula: flops(cell) / flops('linear_attention'),
    };
    subject.dispose();
    onCell(cost);
    return cost;
  });
  plain.dispose();
  return {
    machine: { node: process.version, backend },
    sizes: { ...SIZES, batch: BATCH, tokens: TOKENS },
    cells: costs,
  };
}

function inTurns(f: () => void, reference: () => void, rounds: number): Timing {
  const times: number[] = [];
  const ratios: number[] = [];
  for (let round = -1; round < rounds; round++) {
    const [own, plain] = [milliseconds(f), milliseconds(reference)];
    if (round < 0) continue;
    times.push(own);
    ratios.push(own / plain);
  }
  return { milliseconds: spread(times), ratio: spread(ratios) };
}

function milliseconds(f: () => void): number {
  const start = performance.now();
  f();
  return performance.now() - start;
}

/** The result as Markdown. */
export function formatCellCost({ machine, sizes, cells: costs }: CellCostResult): string {
  const { batch, tokens, width, heads, keyWidth, valueWidth } = sizes;
  const times = ({ median, min, max }: Spread): string =>
    `**${median.toFixed(1)}** (${min.toFixed(1)} – ${max.toFixed(1)})`;
  const rows = costs.map(
    ({ cell, training, step, stateBytes, formula }) =>
      `| \`${cell}\` | ${(stateBytes / 1024).toFixed(1)} | ${training.milliseconds.median.toFixed(1)} | ` +
      `${times(training.ratio)} | ${formula.toFixed(1)} | ${step.milliseconds.median.toFixed(2)} | ${times(step.ratio)} |`,
  );
  const remarkable = costs.filter(
    ({ training, step }) => Math.max(training.ratio.median, step.ratio.median) > REMARKABLE,
  );
  const notes = remarkable.map(({ cell }) => `- \`${cell}\`: ${costNotes[cell] ?? 'not explained yet.'}`);
  return [
    `Every memory cell alone, width ${width}, ${heads} heads of dk ${keyWidth}, dv ${valueWidth}, with the options that its ` +
      `package gives it; ${batch} sequences of ${tokens} tokens. Node ${machine.node}, backend ${machine.backend.name}, ` +
      `${machine.backend.threads ?? 1} thread.`,
    '',
    '× is the time over that of linear attention without feature map in the same round, projections included: median ' +
      '(smallest – largest of the rounds). The formula counts the memory alone.',
    '',
    '| cell | state, KiB a sequence | forward + backward, ms | × | × by formula | one token, ms | × |',
    '|---|---|---|---|---|---|---|',
    ...rows,
    '',
    ...(notes.length > 0 ? [`Above ${REMARKABLE} ×:`, '', ...notes, ''] : []),
  ].join('\n');
}
