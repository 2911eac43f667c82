// The one error class of the library, and the shape checks that throw it.
import type { Tensor } from '@tensorflow/tfjs-core';

/** Machine-readable reason of a {@link MnemixError}; grouped by what the caller has to change. */
export type ErrorCode =
  | 'shape' // a tensor has the wrong shape, rank or dtype
  | 'config' // a configuration value is unknown, contradictory or out of range
  | 'value' // data is out of range (token ids, NaN, …)
  | 'state' // a recurrent state does not belong to this mixer or batch
  | 'checkpoint' // a checkpoint is damaged, of another model, or incomplete
  | 'file' // a file is missing, empty or unreadable
  | 'store' // a store of entries cannot be opened, read or written
  | 'backend' // no device, or the device failed
  | 'lost' // the device is gone, and every tensor on it
  | 'kernel' // a fused op failed to compile or run
  | 'diverged'; // training produced a value that is not finite

export interface ErrorDetails {
  readonly code: ErrorCode;
  /** The function, file or configuration key at fault, e.g. `mom.forward(x)` or `config.json: num_heads`. */
  readonly where: string;
  /** What was found, and what was expected. */
  readonly message: string;
  /** What the reader can do about it. */
  readonly fix: string;
  /** Further facts for programs: found and expected shapes, offsets, names. */
  readonly detail?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

/** Every error that mnemix throws on purpose: says where, what, and how to mend it. */
export class MnemixError extends Error {
  override readonly name = 'MnemixError';
  readonly code: ErrorCode;
  readonly where: string;
  readonly fix: string;
  readonly detail: Readonly<Record<string, unknown>>;

  constructor({ code, where, message, fix, detail = {}, cause }: ErrorDetails) {
    super(`${where}: ${message} ${fix}`, cause === undefined ? undefined : { cause });
    this.code = code;
    this.where = where;
    this.fix = fix;
    this.detail = detail;
  }
}

/** One entry of an expected shape: a size, or the name of a free dimension. */
export type Dim = number | string;

/**
 * Checks a tensor against a shape pattern. Numbers must match; equal names must have equal sizes.
 *
 * @param where the function, e.g. `'rmsNorm'`
 * @param tensors argument name → tensor and pattern
 * @returns the size of every named dimension
 * @throws MnemixError `shape`, naming the argument, the expected and the found shape
 */
export function checkShapes(
  where: string,
  tensors: Record<string, readonly [tensor: Pick<Tensor, 'shape'> | undefined, pattern: readonly Dim[]]>,
): Record<string, number> {
  const sizes: Record<string, number> = {};
  for (const [argument, [tensor, pattern]] of Object.entries(tensors)) {
    if (tensor === undefined) continue;
    const found = tensor.shape;
    const fits =
      found.length === pattern.length &&
      pattern.every((dim, axis) => {
        const size = found[axis] as number;
        if (typeof dim === 'number') return size === dim;
        return (sizes[dim] ??= size) === size;
      });
    if (!fits) {
      const expected = pattern.map((dim) =>
        typeof dim === 'string' && dim in sizes ? `${dim}=${sizes[dim]}` : dim,
      );
      throw new MnemixError({
        code: 'shape',
        where: `${where}(${argument})`,
        message: `expected shape [${expected.join(', ')}], found [${found.join(', ')}].`,
        fix: `Pass ${argument} as [${pattern.join(', ')}].`,
        detail: { argument, expected: pattern, found },
      });
    }
  }
  return sizes;
}

/** @throws MnemixError `shape` unless the tensor has this dtype */
export function checkDtype(where: string, tensor: Pick<Tensor, 'dtype'>, dtype: 'float32' | 'int32'): void {
  if (tensor.dtype === dtype) return;
  throw new MnemixError({
    code: 'shape',
    where,
    message: `expected ${dtype}, found ${tensor.dtype}.`,
    fix: `Pass a tensor of dtype '${dtype}', or cast it.`,
    detail: { expected: dtype, found: tensor.dtype },
  });
}

/**
 * Checks that a configuration has no misspelt or unknown key.
 *
 * @param prefix what stands before the key in the message, e.g. `adamW: ` or `mqar: segments[0].`
 * @throws MnemixError `config` for a key that is not in `known`
 */
export function checkKeys(prefix: string, config: object, known: readonly string[]): void {
  for (const key of Object.keys(config)) {
    checkConfig(known.includes(key), `${prefix}${key}`, 'unknown key.', `Use one of ${known.join(', ')}.`);
  }
}

/** How a value of a configuration reads in a message. */
export const show = (value: unknown): string =>
  typeof value === 'number' ? String(value) : (JSON.stringify(value) ?? String(value));

/** @throws MnemixError `config` unless `value` is a whole number from `least` on */
export function checkCount(
  where: string,
  value: unknown,
  least = 1,
  fix = `Use a whole number from ${least} on.`,
): asserts value is number {
  checkConfig(Number.isSafeInteger(value) && (value as number) >= least, where, `it is ${show(value)}.`, fix);
}

/**
 * Throws a `config` error unless `condition` holds.
 *
 * @param where the configuration key or function at fault
 */
export function checkConfig(
  condition: boolean,
  where: string,
  message: string,
  fix: string,
): asserts condition {
  if (!condition) throw new MnemixError({ code: 'config', where, message, fix });
}
