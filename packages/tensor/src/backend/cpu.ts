// The plain JavaScript backend: always there, and slow.
import { hostReport, type Opened } from './report.ts';

export async function openCpu(): Promise<Opened> {
  const { MathBackendCPU } = await import('@tensorflow/tfjs-backend-cpu');
  const instance = new MathBackendCPU();
  // Otherwise its first tensor prints a banner that advertises another package.
  (instance as unknown as { firstUse: boolean }).firstUse = false;
  return { instance, report: hostReport('cpu') };
}
