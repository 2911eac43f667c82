import { currentDevice, deviceBytes, largestTensor } from '@mnemix/tensor';

/** For fewer rows, single tokens among them, joining the weights costs more than a product of their own. */
const LEAST_ROWS = 64;

/**
 * Whether several maps of the same rows are worth making as one, with `width` outputs in all: on WebGPU, where the outputs fit into
 * one tensor.
 */
export function isWorthJoining(rows: number, width: number, leastRows = LEAST_ROWS): boolean {
  const device = currentDevice();
  return device !== undefined && rows >= leastRows && deviceBytes([rows, width]) <= largestTensor(device);
}
