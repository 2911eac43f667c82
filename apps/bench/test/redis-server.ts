// A Redis server of one's own, as tools/redis has found it, and a network in front of it that can be cut.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { temporaryFolder } from '../../trainer/test/folder.ts';

/** Undefined where nobody has looked for a server: the tests are skipped then. */
export const redisPath = process.env['MNEMIX_REDIS_SERVER'];

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** A server that keeps what it is told on disk. */
export class RedisServer implements AsyncDisposable {
  private constructor(
    private readonly port: number,
    private readonly folder: string,
    private process: ChildProcess,
  ) {}

  static async start(): Promise<RedisServer> {
    const [port, folder] = [await freePort(), temporaryFolder()];
    const server = new RedisServer(port, folder, RedisServer.spawn(port, folder));
    await server.answers();
    return server;
  }

  private static spawn(port: number, folder: string): ChildProcess {
    const args = [
      '--port',
      String(port),
      '--bind',
      '127.0.0.1',
      '--dir',
      folder,
      '--appendonly',
      'yes',
      '--save',
      '',
    ];
    const libraries = process.env['MNEMIX_REDIS_LIBRARIES'];
    return spawn(redisPath as string, args, {
      stdio: 'ignore',
      env: { ...process.env, ...(libraries ? { LD_LIBRARY_PATH: libraries } : {}) },
    });
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** Ends it without a chance to tidy up. */
  async kill(): Promise<void> {
    this.process.kill('SIGKILL');
    await once(this.process, 'exit');
  }

  async startAgain(): Promise<void> {
    this.process = RedisServer.spawn(this.port, this.folder);
    await this.answers();
  }

  private async answers(): Promise<void> {
    for (;;) {
      const socket = connect(this.port, '127.0.0.1');
      const isThere = await once(socket, 'connect').then(
        () => true,
        () => false,
      );
      socket.destroy();
      if (isThere) return;
      await setTimeout(20);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.process.exitCode === null && this.process.signalCode === null) await this.kill();
  }
}

/** A way to a server that can be cut: connections break, and new ones are refused. */
export class Network implements AsyncDisposable {
  private readonly sockets = new Set<Socket>();
  private isCut = false;
  private readonly server = createServer((near) => {
    if (this.isCut) {
      near.destroy();
      return;
    }
    const far = connect(Number(new URL(this.target).port), '127.0.0.1');
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      this.sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        this.sockets.delete(socket);
        other.destroy();
      });
    }
    near.pipe(far).pipe(near);
  });

  private constructor(private readonly target: string) {}

  static async to(target: string): Promise<Network> {
    const network = new Network(target);
    network.server.listen(0, '127.0.0.1');
    await once(network.server, 'listening');
    return network;
  }

  get url(): string {
    return `redis://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  cut(): void {
    this.isCut = true;
    for (const socket of this.sockets) socket.destroy();
  }

  mend(): void {
    this.isCut = false;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    this.server.close();
  }
}
