import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const SOURCE = fileURLToPath(new URL('golang/main.go', import.meta.url));
/** Where Debian's packages of Go libraries are. */
const GOCODE = '/usr/share/gocode';
const LIBRARY = join(GOCODE, 'src/github.com/fluent/fluent-logger-golang');
const run = promisify(execFile);

/** Builds the client that is written in Go, and returns its path. Undefined where Go or its library is missing. */
export async function buildGolang() {
  if (!existsSync(LIBRARY) || !(await hasGo())) return undefined;
  const folder = await mkdtemp(join(tmpdir(), 'bench-outage-'));
  const program = join(folder, 'client');
  const env = { ...process.env, GO111MODULE: 'off', GOPATH: `${folder}:${GOCODE}` };
  await run('go', ['build', '-o', program, SOURCE], { env });
  return program;
}

async function hasGo() {
  try {
    await run('go', ['version']);
    return true;
  } catch (error) {
    if (error.code === 'ENOENT') return false;
    throw error;
  }
}
