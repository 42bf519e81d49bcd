// Exports while a test has put fake timers in place, and again when they are gone. Prints whether an export without
// records has called back meanwhile, and the results of the later exports.
import timers from 'node:timers';
import { FluentForwardLogExporter } from 'opentelemetry-exporter-fluent-forward';

const record = { hrTime: [1_700_000_000, 0], body: 'record', attributes: {}, resource: { attributes: {} } };
const exporter = new FluentForwardLogExporter();
const send = () => new Promise((done) => exporter.export([record], ({ code, error }) => done(error?.code ?? code)));

const names = ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'setImmediate', 'clearImmediate'];
const { setTimeout, queueMicrotask } = globalThis;
const { nextTick } = process;
const now = performance.now;
const real = Object.fromEntries(names.map((name) => [name, globalThis[name]]));

// Fake ones that nobody advances.
for (const name of names) globalThis[name] = timers[name] = () => ({ ref() {}, unref() {} });
if (process.env.NEXT_TICK !== undefined) {
  process.nextTick = () => {};
  globalThis.queueMicrotask = () => {};
}
performance.now = () => 0;
let hasCalledBack = false;
exporter.export([], () => {
  hasCalledBack = true;
});
void send();
await new Promise((done) => setTimeout(done, 300));
const isCalledBack = hasCalledBack;
Object.assign(globalThis, real, { queueMicrotask });
Object.assign(timers, real);
process.nextTick = nextTick;
performance.now = now;

process.stdout.write(`${isCalledBack} ${await send()} ${await send()}`);
