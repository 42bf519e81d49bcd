/**
 * Returns an object that there is once in the process, also where it has loaded the package several times (as ES module
 * and as CommonJS). The copies may be of different versions: whoever changes the interface of the object also changes
 * the number in its name.
 */
export function processWide<T>(name: string, create: () => T): T {
  const holder = globalThis as { [key: symbol]: T | undefined };
  const key = Symbol.for(`opentelemetry-exporter-fluent-forward.${name}`);
  holder[key] ??= create();
  return holder[key];
}
