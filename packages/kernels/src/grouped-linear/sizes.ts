// The sizes of a grouped linear map, and how many tiles its groups can have at most.
import { sourcesOf, type MapCall } from '../join-rows/weights.ts';

export interface Sizes {
  readonly rows: number;
  readonly groups: number;
  readonly inputs: number;
  readonly outputs: number;
  /** The rows of each tensor that the weights consist of, by its name. */
  readonly sources: Readonly<Record<string, number>>;
}

export function mapSizes(shapes: MapCall['shapes']): Sizes {
  const [rows = 0, inputs = 0] = shapes['x'] ?? [];
  const [groups = 0] = shapes['lengths'] ?? [];
  const sources = sourcesOf(shapes);
  const outputs = Object.values(sources).reduce((a, b) => a + b, 0) / groups;
  return { rows, groups, inputs, outputs, sources };
}

/** Tiles of so many rows that groups can have at most. */
export const mostTiles = ({ rows, groups }: Sizes, tileRows: number): number =>
  Math.floor(rows / tileRows) + groups;

/** Rows of a tile of the weights' gradient. More tiles fill a device better, and cost a partial sum each. */
const LEAST_ROWS = 128;
export const MOST_ROWS = 2048;

/**
 * Rows that a workgroup of the weights' gradient goes through: as many as leave no part of a device idle.
 *
 * @param across tiles of one weight
 * @param enough workgroups that a large device runs at once
 * @param step a multiple of this
 */
export const partRows = ({ rows }: Sizes, across: number, enough: number, step: number): number =>
  step * Math.ceil(Math.min(MOST_ROWS, Math.max(LEAST_ROWS, (rows * across) / (2 * enough))) / step);
