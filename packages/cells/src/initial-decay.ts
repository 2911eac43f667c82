// Mamba's initial decay, which Gated DeltaNet and most gated memories after it start from.
import { checkConfig, tensor1d, type Rng, type Tensor1D } from '@mnemix/tensor';

export interface InitialDecay {
  /** Entries of A_log. */
  readonly rates: number;
  /** Entries of dt_bias; as many as rates unless given. */
  readonly steps?: number;
  /** A = e^{A_log} is drawn uniformly between these. */
  readonly lowest?: number;
  readonly highest: number;
}

/**
 * A uniform in (lowest, highest); dt log-uniform in (0.001, 0.1), through an inverse softplus (Gu & Dao 2023, §3.6 and
 * the reference implementation).
 */
export function initDecay(
  rng: Rng,
  { rates, steps = rates, lowest = 0, highest }: InitialDecay,
): { A_log: Tensor1D; dt_bias: Tensor1D } {
  const a = rng.fold('A_log').uniformArray(rates, lowest, highest);
  const dt = rng.fold('dt_bias').uniformArray(steps, Math.log(0.001), Math.log(0.1));
  return {
    A_log: tensor1d(Array.from(a, (value) => Math.log(Math.max(value, 1e-4)))),
    dt_bias: tensor1d(Array.from(dt, (value) => inverseSoftplus(Math.max(Math.exp(value), 1e-4)))),
  };
}

/**
 * @param cell the function that received the option, for the error
 * @param value upper end of the draw of A
 * @throws MnemixError `config` unless it is a finite number above 0
 */
export function checkInitialDecay(cell: string, value: number): void {
  checkConfig(
    value > 0 && value < Infinity,
    `${cell}(initialDecay)`,
    `it is ${value}.`,
    'Use a finite number above 0: 16 is usual, less remembers longer at the start.',
  );
}

export const inverseSoftplus = (y: number): number => y + Math.log(-Math.expm1(-y));
