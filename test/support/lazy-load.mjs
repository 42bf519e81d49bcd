// Loads the package within a request, as a lazy `require()` or `import()` does. Prints which stores the exporter's
// callbacks see in later requests, whether the store of the first request is garbage while a connection is open, and
// which async resources are left after a shutdown.
import { AsyncLocalStorage, createHook } from 'node:async_hooks';
import { subscribe } from 'node:diagnostics_channel';
import { createRequire } from 'node:module';
import { setImmediate as turn } from 'node:timers/promises';

const NAME = 'opentelemetry-exporter-fluent-forward';
const require = createRequire(import.meta.url);
const port = Number(process.argv[3]);

/** The types that `jest --detectOpenHandles` leaves out, and the one with which this program waits. */
const IGNORED = [
  'PROMISE',
  'TIMERWRAP',
  'ELDHISTOGRAM',
  'PerformanceObserver',
  'RANDOMBYTESREQUEST',
  'DNSCHANNEL',
].concat(['ZLIB', 'SIGNREQUEST', 'TLSWRAP', 'TCPWRAP', 'Immediate']);
const resources = new Map();
const hook = createHook({
  init(id, type, _, resource) {
    if (!IGNORED.includes(type)) resources.set(id, { type, reference: new WeakRef(resource) });
  },
  destroy: (id) => resources.delete(id),
});
/** Like jest, which asks a resource whether it holds the process where it can. */
const openHandles = () =>
  [...resources.values()].flatMap(({ type, reference }) => {
    const resource = reference.deref();
    const isOpen = resource !== undefined && 'hasRef' in resource ? resource.hasRef() : true;
    return isOpen ? [type] : [];
  });

/** Collects garbage until `condition` holds, or that many times. */
async function collectUntil(condition) {
  for (let tries = 0; tries < 50 && !condition(); tries++) {
    await turn();
    globalThis.gc();
  }
  return condition();
}

const requests = new AsyncLocalStorage();
const seen = [];
const see = (what) => seen.push([what, requests.getStore()?.name ?? 'no store']);
for (const name of ['connection:opened', 'chunk:acknowledged']) subscribe(`fluent-forward:${name}`, () => see(name));

/** Not in the module's scope, which would hold the store. */
async function loadInRequest() {
  const store = { name: 'request 1' };
  const exporter = await requests.run(store, async () => {
    const { FluentForwardLogExporter } = process.argv[2] === 'require' ? require(NAME) : await import(NAME);
    return new FluentForwardLogExporter({ endpoint: `tcp://localhost:${port}` });
  });
  return { exporter, store: new WeakRef(store) };
}

const record = {
  hrTime: [1_700_000_000, 0],
  hrTimeObserved: [1_700_000_000, 0],
  body: 'hello',
  attributes: {},
  resource: { attributes: {} },
  instrumentationScope: { name: 'lazy' },
  droppedAttributesCount: 0,
};

// Opened by Node.js when it closes the first socket.
process.stderr;
hook.enable();
const { exporter, store } = await loadInRequest();
const { code } = await requests.run(
  { name: 'request 2' },
  () => new Promise((done) => exporter.export([record], done)),
);
const isCollected = await collectUntil(() => store.deref() === undefined);
const openConnections = exporter.stats().connections.length;
await exporter.shutdown();
await collectUntil(() => openHandles().length === 0);
hook.disable();
process.stdout.write(JSON.stringify({ code, seen, isCollected, openConnections, openHandles: openHandles() }));
