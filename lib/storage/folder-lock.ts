// The lock of a data folder: a unix domain socket that its holder listens on. The kernel stops the listening when the process
// ends, however that ends, and knows sockets by their files: so the lock asks no pid, and holds between containers that share
// a volume.
//
// The socket is not the lock file itself but stands in a folder of that name, because no system call says "remove this name if
// it is still the dead socket that I saw". A folder gives that: `rename` puts a folder over another in one step, and only when
// that other is empty. So who wants the lock listens first, on a socket with a name that nobody else will ever use, in a folder
// of its own, `lock.<id>`; removes dead sockets from `lock`, whose names can't have come to stand for living ones; and renames
// its folder to `lock`. Of several that do so at once, one gets its socket in, and the others find the folder not empty.
import { randomBytes } from 'node:crypto';
import { access, mkdir, open, readdir, rename, rmdir, stat, unlink } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { basename, dirname, join } from 'node:path';
import { StorageError } from './storage-error.ts';

/** How many bytes the path of a socket may have everywhere: 103 on macOS, 107 on Linux. Longer ones are cut off unasked. */
const MAX_ADDRESS_BYTES = 103;
const ID_BYTES = 6;
const ID = /^[0-9a-f]{12}$/;
const ANSWER_TIMEOUT_MS = 1000;
const MAX_ANSWER_LENGTH = 32;
/** A round fails only when another broker took or left the lock meanwhile. */
const MAX_ROUNDS = 50;
/** No broker takes so long between making its folder and renaming it. */
const LEFTOVER_AGE_MS = 60_000;

type Release = () => Promise<void>;

/** `closed`: it was there, and went away without an answer. */
type Probe =
  | { readonly state: 'dead' | 'gone' | 'closed' }
  | { readonly state: 'alive'; readonly pid: string | undefined };

/**
 * Takes the lock at `path`, in a folder that exists.
 * @returns releases it
 * @throws {Error} with code ELOCKED when another broker holds it, or the system's error with a text that says what failed
 */
export async function lockFolder(path: string): Promise<Release> {
  try {
    for (let round = 0; round < MAX_ROUNDS; round++) {
      if (!(await removeDead(path))) continue;
      const release = await claim(path);
      if (release === undefined) continue;
      await removeLeftovers(path);
      return release;
    }
  } catch (error) {
    throw explained(error, path);
  }
  throw lockedError(path, undefined);
}

/**
 * Removes sockets in the lock that nobody listens on.
 * @returns false when that is to be tried again
 * @throws {Error} ELOCKED when somebody does listen
 */
async function removeDead(path: string): Promise<boolean> {
  for (const name of await namesIn(path)) {
    // Not the broker's, so not for the broker to remove; but the lock can't be taken while it is there.
    if (!ID.test(name)) throw new StorageError(`'${join(path, name)}' does not belong there, and must be moved away`);
    const socket = join(path, name);
    const probe = await probeSocket(socket);
    if (probe.state === 'alive') throw lockedError(path, probe.pid);
    if (probe.state === 'closed') return false;
    if (probe.state === 'dead') await ignoring(['ENOENT'], unlink(socket));
  }
  return true;
}

/** Puts an own socket into the lock, unless there is one already. */
async function claim(path: string): Promise<Release | undefined> {
  const id = randomBytes(ID_BYTES).toString('hex');
  const own = `${path}.${id}`;
  await mkdir(own);
  let server: Server | undefined;
  try {
    server = await listen(join(own, id));
    await rename(own, path);
    // Whoever cleans up may have taken the socket for a dead one before it listened. Once it is in the lock, nobody can.
    await access(join(path, id));
    return releaser(server, path, id);
  } catch (error) {
    if (server !== undefined) await close(server);
    for (const folder of [own, path]) await removeSocket(folder, id);
    if (hasCode(error, ['ENOTEMPTY', 'EEXIST', 'ENOENT'])) return undefined;
    throw error;
  }
}

function releaser(server: Server, path: string, id: string): Release {
  let released: Promise<void> | undefined;
  const release = async (): Promise<void> => {
    await close(server);
    await removeSocket(path, id);
  };
  return () => {
    released ??= release();
    return released;
  };
}

/** Removes a socket from its folder, and the folder unless somebody else's is in it. */
async function removeSocket(folder: string, name: string): Promise<void> {
  await ignoring(['ENOENT', 'ENOTDIR'], unlink(join(folder, name)));
  await ignoring(['ENOENT', 'ENOTDIR', 'ENOTEMPTY', 'EEXIST'], rmdir(folder));
}

/** Removes what brokers left that were killed while they took the lock. For tidiness only, so it may fail. */
async function removeLeftovers(path: string): Promise<void> {
  const prefix = `${basename(path)}.`;
  for (const name of await namesIn(dirname(path))) {
    if (!name.startsWith(prefix) || !ID.test(name.slice(prefix.length))) continue;
    const folder = join(dirname(path), name);
    try {
      if (Date.now() - (await stat(folder)).mtimeMs > LEFTOVER_AGE_MS && (await removeDead(folder)))
        await rmdir(folder);
    } catch {
      // Another broker is at it, or it isn't ours after all.
    }
  }
}

async function listen(path: string): Promise<Server> {
  const server = createServer(answer);
  server.unref();
  await atAddress(
    path,
    (address) =>
      new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        // Exclusive: in a cluster's worker, the worker itself must listen and not the primary.
        server.listen({ path: address, exclusive: true }, () => {
          server.off('error', reject);
          resolve();
        });
      }),
  );
  // A connection that can't be accepted, for want of file descriptors: the lock is held all the same.
  server.on('error', () => undefined);
  return server;
}

/** Tells who asks which process holds the lock. */
function answer(socket: Socket): void {
  socket.unref();
  socket.on('error', () => undefined);
  socket.end(String(process.pid), () => socket.destroy());
}

/** Node removes the file by the name that it was bound to; that name is long gone and was used once only. */
function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
  });
}

/** Asks whether anybody listens on a socket, and who. */
async function probeSocket(path: string): Promise<Probe> {
  try {
    return await atAddress(path, ask);
  } catch (error) {
    // Its folder went away before the call, or came back without it.
    if (hasCode(error, ['ENOENT'])) return { state: 'gone' };
    throw error;
  }
}

function ask(address: string): Promise<Probe> {
  return new Promise((resolve, reject) => {
    const socket = connect(address);
    let text = '';
    let isConnected = false;
    const timer = setTimeout(() => finish({ state: 'alive', pid: undefined }), ANSWER_TIMEOUT_MS);
    const finish = (probe: Probe): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(probe);
    };
    const ended = (): void => {
      if (text === '') finish({ state: 'closed' });
      else finish({ state: 'alive', pid: /^\d+$/.test(text) ? text : undefined });
    };
    socket.setEncoding('latin1');
    socket.on('connect', () => {
      isConnected = true;
    });
    socket.on('data', (chunk: string) => {
      text += chunk;
      if (text.length > MAX_ANSWER_LENGTH) ended();
    });
    socket.on('close', ended);
    socket.on('error', (error) => {
      // A holder that ends may reset the connection before this side has seen that there was one.
      if (isConnected || hasCode(error, ['ECONNRESET'])) ended();
      else if (hasCode(error, ['ECONNREFUSED'])) finish({ state: 'dead' });
      // So many ask at once that the holder is behind with its answers.
      else if (hasCode(error, ['EAGAIN'])) finish({ state: 'alive', pid: undefined });
      else {
        clearTimeout(timer);
        reject(error);
      }
    });
  });
}

/**
 * Calls `use` with a path to a socket that is short enough for the system. Linux has a short one for every folder that is open;
 * it is needed only until the call to bind or connect, which `use` makes at once.
 * @throws {Error} with code ENAMETOOLONG when there is none
 */
async function atAddress<T>(path: string, use: (address: string) => Promise<T>): Promise<T> {
  if (Buffer.byteLength(path) <= MAX_ADDRESS_BYTES) return use(path);
  if (process.platform !== 'linux') {
    const problem = `a socket's path may have ${MAX_ADDRESS_BYTES} bytes on this system, and '${path}' is longer`;
    throw Object.assign(new Error(`ENAMETOOLONG: ${problem}`), { code: 'ENAMETOOLONG' });
  }
  const folder = await open(dirname(path), 'r');
  try {
    return await use(`/proc/self/fd/${folder.fd}/${basename(path)}`);
  } finally {
    await folder.close();
  }
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (hasCode(error, ['ENOENT'])) return [];
    throw error;
  }
}

async function ignoring(codes: readonly string[], work: Promise<void>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!hasCode(error, codes)) throw error;
  }
}

function hasCode(error: unknown, codes: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code));
}

function lockedError(path: string, pid: string | undefined): Error {
  const holder = pid === undefined ? 'another broker' : `another broker (process ${pid})`;
  const advice = 'Stop that one, or give this one a data folder of its own.';
  return Object.assign(new Error(`the data folder '${dirname(path)}' is in use by ${holder}. ${advice}`), {
    code: 'ELOCKED',
  });
}

/** Says what a system's error is about; its code stays. */
function explained(error: unknown, path: string): unknown {
  if (!(error instanceof Error) || hasCode(error, ['ELOCKED'])) return error;
  const text = `cannot lock the data folder '${dirname(path)}' (${path}): ${error.message}`;
  return Object.assign(new Error(text, { cause: error }), 'code' in error ? { code: error.code } : {});
}
