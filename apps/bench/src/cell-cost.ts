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
import { openBackend, type BackendReport } from '@mnemix/tensor';
import { costNotes } from './cell-cost-notes.ts';
import { inTurns, timedMixer, type Timing } from './mixer-timing.ts';
import { spreadText } from './statistics.ts';

const BATCH = 8;
const TOKENS = 256;
const SIZES: CellSizes = { width: 64, heads: 2, keyWidth: 32, valueWidth: 32 };

/** Costs above this many times that of linear attention have to be explained. */
const REMARKABLE = 6;

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
  const size = { batch: BATCH, tokens: TOKENS };
  const plain = timedMixer(asMixer(linearAttention({ width, heads, featureMap: 'identity' })) as Mixer, size);
  const flops = (cell: CellName): number => {
    const { forward, backward } = cellEntry('bench', cell).cost({ dk: SIZES.keyWidth, dv: SIZES.valueWidth });
    return forward + backward;
  };
  const costs = only.map((cell): CellCost => {
    const { create, ofSizes } = cellEntry('bench', cell);
    const subject = timedMixer(asMixer(create(ofSizes(SIZES))) as Mixer, size);
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
    sizes: { ...SIZES, ...size },
    cells: costs,
  };
}

/** The result as Markdown. */
export function formatCellCost({ machine, sizes, cells: costs }: CellCostResult): string {
  const { batch, tokens, width, heads, keyWidth, valueWidth } = sizes;
  const rows = costs.map(
    ({ cell, training, step, stateBytes, formula }) =>
      `| \`${cell}\` | ${(stateBytes / 1024).toFixed(1)} | ${training.milliseconds.median.toFixed(1)} | ` +
      `${spreadText(training.ratio, 1)} | ${formula.toFixed(1)} | ${step.milliseconds.median.toFixed(2)} | ${spreadText(step.ratio, 1)} |`,
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
