// What the stages of a scan with a transition diagonal plus low rank know of their sizes, and the tensors between them.
import { shortageFor } from '../../fallback.ts';
import { segmentsOf } from '../segments.ts';
import { mostChunks, tilesOf, type Gate, type ScanSizes } from '../stages.ts';

/** Storage buffers of the stages that have the most: in chunks, and token by token for sequences of any and of one length. */
export const MOST_BUFFERS = { chunks: 10, ragged: 12, dense: 10 };
/** Of reads with dots. */
const MOST_WORKGROUP_BYTES = 21_504;
/** Rows of the state that states.wgsl has registers for. */
const MOST_KEYS = 256;

/** `before` tells of the recall keys here: they see the state before their token's decay. */
export interface LowRankSizes extends ScanSizes {
  /** There are writes besides those at b. */
  readonly hasWrites: boolean;
}

const vectorsOf = (width: number): number => Math.ceil(width / 4);

/** Of a row that solve.wgsl makes, in vectors. */
export const systemWidth = ({ dk, dv, hasWrites }: LowRankSizes, turned: boolean): number =>
  (turned || hasWrites ? 3 : 2) * vectorsOf(dk) + vectorsOf(dv);

/** The scan's keys by name; k is that of the writes besides those at b. */
export interface LowRankKeys {
  readonly q: string;
  readonly a: string;
  readonly b: string;
  readonly k?: string;
}

interface Described {
  /** Of q and of v. */
  readonly q: readonly number[];
  readonly v: readonly number[];
  readonly logDecay: readonly number[] | undefined;
  readonly before: boolean;
  readonly hasWrites: boolean;
  readonly attrs: {
    readonly rows: number;
    readonly count: number;
    readonly maxLength: number;
    readonly segmentChunks?: number | undefined;
  };
}

/** Sizes of a scan in chunks; where the device or the stages have too little for it, the reason. */
export function lowRankSizes(
  { q, v, logDecay, before, hasWrites, attrs }: Described,
  device: GPUDevice,
): LowRankSizes | string {
  const { rows, count } = attrs;
  const [, heads = 0, dk = 0] = q;
  const dv = v[2] as number;
  if (dk > MOST_KEYS) return `keys are wider than ${MOST_KEYS}`;
  const shortage = shortageFor(
    { buffers: MOST_BUFFERS.chunks, workgroupBytes: MOST_WORKGROUP_BYTES },
    device,
  );
  if (shortage !== undefined) return shortage;
  const gate: Gate = logDecay === undefined ? 'none' : logDecay.length === 3 ? 'vector' : 'scalar';
  const chunks = mostChunks(attrs);
  const segments = segmentsOf({ ...attrs, chunks, heads, dv });
  return { rows, count, heads, dk, dv, gate, chunks, before, hasWrites, segments };
}

/** Planes of scores that a scan has. */
export const planesOf = ({ hasWrites }: LowRankSizes): number => (hasWrites ? 4 : 2);

/** Tensors between dispatches. */
export const shapesOf = (sizes: LowRankSizes) => {
  const { rows, heads, dk, dv, chunks } = sizes;
  return {
    keys: { shape: [rows, heads, dk] },
    values: { shape: [rows, heads, dv] },
    states: { shape: [chunks, heads, dk, dv] },
    planes: { shape: [planesOf(sizes), chunks, heads, 64, 64] },
    /** [W | U | X | X'] of solve.wgsl. */
    system: (turned: boolean) => ({ shape: [rows, heads, 4 * systemWidth(sizes, turned)] }),
    /** What gates get by way of the states: for q, a, b and k. */
    dots: { shape: [4, tilesOf(dk), rows, heads] },
    gates: { shape: [3, rows, heads, dk] },
  };
};
