// How precise matrix products on WebGPU are: a property of the opened backend, since it is the device that must be able to.

/** `mixed`: operands of products are rounded to f16, sums are f32. Everything else is f32 always. */
export type Precision = 'float32' | 'mixed';

const precisions = new WeakMap<object, Precision>();

export const setPrecision = (backend: object, precision: Precision): void =>
  void precisions.set(backend, precision);

/** What a backend was opened for; `float32` unless it was told otherwise. */
export const precisionOf = (backend: unknown): Precision => precisions.get(backend as object) ?? 'float32';

const withMatrixUnits = new WeakSet<GPUDevice>();

/** Of a device whose adapter has no `mixedObstacle`. */
export const setMatrixUnits = (device: GPUDevice): void => void withMatrixUnits.add(device);

/** Whether kernels may use matrix units, in whatever precision: only the adapter that a device comes from can tell. */
export const hasMatrixUnits = (device: GPUDevice): boolean => withMatrixUnits.has(device);

/** One size that the adapter's matrix units take; not yet in TypeScript's own types. */
interface MatrixUnit {
  readonly componentType: string;
  readonly resultComponentType: string;
  readonly M: number;
  readonly N: number;
  readonly K: number;
}

/** Why an adapter cannot do `mixed`; `undefined` if it can. */
export function mixedObstacle({ features, info }: Pick<GPUAdapter, 'features' | 'info'>): string | undefined {
  const missing = ['shader-f16', 'chromium-experimental-subgroup-matrix'].find(
    (feature) => !features.has(feature as GPUFeatureName),
  );
  if (missing !== undefined) return `the adapter has no ${missing}`;
  if (info.subgroupMinSize !== 32 || info.subgroupMaxSize !== 32)
    return "the adapter's subgroups are not of 32";
  const units = [...((info as { subgroupMatrixConfigs?: Iterable<MatrixUnit> }).subgroupMatrixConfigs ?? [])];
  const fits = units.some(
    ({ componentType, resultComponentType, M, N, K }) =>
      componentType === 'f16' && resultComponentType === 'f32' && M === 16 && N === 16 && K === 16,
  );
  return fits ? undefined : "the adapter's matrix units do not take 16 × 16 × 16 in f16 with sums in f32";
}
