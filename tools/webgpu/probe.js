// Asks Dawn for an adapter and a device, and prints what it found as JSON. Run in a process of its own, because a
// broken driver can take the process down, and because the loader reads its environment only once.
import { create, globals } from 'webgpu';

Object.assign(globalThis, globals);
const gpu = create([]);
const adapter = await gpu.requestAdapter();
const device = await adapter?.requestDevice();
if (adapter && device) {
  const { vendor, architecture, description, isFallbackAdapter } = adapter.info;
  const software =
    isFallbackAdapter || /swiftshader|llvmpipe|lavapipe|basic render/i.test(`${architecture} ${description}`);
  console.log(JSON.stringify({ vendor, architecture, description, software }));
}
// Dawn keeps the event loop alive as long as the device exists.
process.exit(adapter && device ? 0 : 1);
