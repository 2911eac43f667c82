// A WebGPU device that does nothing, as the package `webgpu` would offer one: it has everything that kernels on matrix units ask for,
// and keeps account of what it is told. What a model dispatches can be counted with it at full size, anywhere.

export interface IdleDispatch {
  /** The pipeline's label: of our kernels their names. */
  readonly kernel: string;
}

/** What the device was told since the account was last cleared. */
export interface IdleAccount {
  readonly dispatches: IdleDispatch[];
  /** The labels of bind groups: of our kernels their names, of tfjs's none. */
  readonly bindGroups: (string | undefined)[];
  /** Sizes of buffers. */
  readonly buffers: number[];
}

const FEATURES = ['subgroups', 'shader-f16', 'timestamp-query', 'chromium-experimental-subgroup-matrix'];

/** Those of a large device. */
const LIMITS = {
  maxStorageBuffersPerShaderStage: 16,
  maxStorageBufferBindingSize: 2 ** 32 - 4,
  maxBufferSize: 2 ** 34,
  maxComputeWorkgroupStorageSize: 49_152,
  maxComputeInvocationsPerWorkgroup: 1024,
  maxComputeWorkgroupSizeX: 1024,
  maxComputeWorkgroupSizeY: 1024,
  maxComputeWorkgroupsPerDimension: 65_535,
};

const INFO = {
  vendor: 'none',
  architecture: '',
  device: '',
  description: 'a device that does nothing',
  isFallbackAdapter: true,
  subgroupMinSize: 32,
  subgroupMaxSize: 32,
  subgroupMatrixConfigs: [{ componentType: 'f16', resultComponentType: 'f32', M: 16, N: 16, K: 16 }],
};

interface Labelled {
  readonly label?: string;
}

interface LayoutEntry {
  readonly buffer?: { readonly type?: string };
}

class IdleBuffer {
  readonly size: number;
  readonly usage: number;

  constructor({ size, usage }: { readonly size: number; readonly usage: number }) {
    this.size = size;
    this.usage = usage;
  }

  destroy(): void {}
  async mapAsync(): Promise<void> {}
  getMappedRange(): ArrayBuffer {
    return new ArrayBuffer(this.size);
  }
  unmap(): void {}
}

/**
 * The package's exports, and the account of its devices. For `vi.mock('webgpu', …)`. `limits` may be made smaller before a backend is
 * opened; as a real device it refuses layouts that bind more.
 */
export function idleWebgpu() {
  const limits = { ...LIMITS };
  const account: IdleAccount = { dispatches: [], bindGroups: [], buffers: [] };
  const pass = () => {
    let pipeline: Labelled = {};
    return {
      setPipeline: (given: Labelled) => void (pipeline = given),
      setBindGroup: () => {},
      dispatchWorkgroups: () => void account.dispatches.push({ kernel: pipeline.label ?? '' }),
      end: () => {},
    };
  };
  const pipelineOf = ({ label }: Labelled) => ({ label, getBindGroupLayout: () => ({}) });
  const device = () => ({
    features: new Set(FEATURES),
    limits: { ...limits },
    lost: new Promise<never>(() => {}),
    queue: { submit: () => {}, writeBuffer: () => {}, onSubmittedWorkDone: async () => {} },
    addEventListener: () => {},
    pushErrorScope: () => {},
    popErrorScope: async () => null,
    createBuffer: (descriptor: ConstructorParameters<typeof IdleBuffer>[0]) => {
      account.buffers.push(descriptor.size);
      return new IdleBuffer(descriptor);
    },
    createShaderModule: (descriptor: Labelled) => ({
      ...descriptor,
      getCompilationInfo: async () => ({ messages: [] }),
    }),
    createBindGroupLayout: (descriptor: Labelled & { readonly entries: readonly LayoutEntry[] }) => {
      const storage = descriptor.entries.filter(({ buffer }) => buffer?.type?.includes('storage'));
      if (storage.length > limits.maxStorageBuffersPerShaderStage)
        throw new Error(`${descriptor.label} binds ${storage.length} storage buffers`);
      return { ...descriptor };
    },
    createPipelineLayout: (descriptor: Labelled) => ({ ...descriptor }),
    createComputePipeline: pipelineOf,
    createComputePipelineAsync: async (descriptor: Labelled) => pipelineOf(descriptor),
    createBindGroup: (descriptor: Labelled) => {
      account.bindGroups.push(descriptor.label);
      return { ...descriptor };
    },
    createCommandEncoder: () => ({
      beginComputePass: pass,
      copyBufferToBuffer: () => {},
      resolveQuerySet: () => {},
      finish: () => ({}),
    }),
    createQuerySet: () => ({ destroy: () => {} }),
    destroy: () => {},
  });
  const adapter = {
    features: new Set(FEATURES),
    limits,
    info: INFO,
    requestDevice: async () => device(),
  };
  const globals = {
    GPUBuffer: IdleBuffer,
    GPUBufferUsage: {
      MAP_READ: 1,
      MAP_WRITE: 2,
      COPY_SRC: 4,
      COPY_DST: 8,
      UNIFORM: 64,
      STORAGE: 128,
      QUERY_RESOLVE: 512,
    },
    GPUShaderStage: { COMPUTE: 4 },
    GPUMapMode: { READ: 1, WRITE: 2 },
  };
  const clear = (): void => {
    for (const list of Object.values(account)) (list as unknown[]).length = 0;
  };
  return { account, clear, limits, create: () => ({ requestAdapter: async () => adapter }), globals };
}
