import type { ResourceDetector } from '@opentelemetry/resources';
import { messageOf } from '../errors.ts';
import { printable } from '../printable.ts';
import { APPLICATION, HERE, load, resolveFrom } from './modules.ts';
import type { Sdk } from './sdk.ts';
import type { Variables } from './variables.ts';

const VARIABLE = 'OTEL_NODE_RESOURCE_DETECTORS';

/** Read by this package itself, above all detectors. */
const ENVIRONMENT = 'env';

/** What `@opentelemetry/resources` exports. */
const BUILT_IN = {
  host: 'hostDetector',
  os: 'osDetector',
  process: 'processDetector',
  serviceinstance: 'serviceInstanceIdDetector',
} as const;

/** The packages of the other detectors. Each exports one or more. */
const PACKAGES = {
  alibaba: '@opentelemetry/resource-detector-alibaba-cloud',
  aws: '@opentelemetry/resource-detector-aws',
  azure: '@opentelemetry/resource-detector-azure',
  container: '@opentelemetry/resource-detector-container',
  gcp: '@opentelemetry/resource-detector-gcp',
} as const;

type BuiltIn = keyof typeof BUILT_IN;
type Packaged = keyof typeof PACKAGES;

const ALLOWED = [ENVIRONMENT, ...Object.keys(BUILT_IN), ...Object.keys(PACKAGES), 'all', 'none'];

/**
 * Returns the detectors that `OTEL_NODE_RESOURCE_DETECTORS` names. OpenTelemetry's NodeSDK and its auto-instrumentations
 * read this variable in the same way. `all` means every detector that is installed. If the variable is not set, nothing
 * is detected.
 */
export function readDetectors(variables: Variables, resources: Sdk['resources']): readonly ResourceDetector[] {
  const names = (variables.text(VARIABLE) ?? 'none').split(',').map((name) => name.trim().toLowerCase());
  for (const name of names) {
    if (ALLOWED.includes(name)) continue;
    variables.warn(`${VARIABLE}: got "${printable(name)}", allowed: ${ALLOWED.join(', ')}; it is left out`);
  }
  if (names.includes('none')) return [];
  const isAsked = (name: string) => names.includes(name) || names.includes('all');
  const builtIn = (Object.keys(BUILT_IN) as BuiltIn[]).filter(isAsked).map((name) => resources[BUILT_IN[name]]);
  const packaged = (Object.keys(PACKAGES) as Packaged[]).filter(isAsked);
  return [...builtIn, ...packaged.flatMap((name) => loadDetectors(name, names.includes('all'), variables))];
}

function loadDetectors(name: Packaged, isOptional: boolean, variables: Variables): readonly ResourceDetector[] {
  const packageName = PACKAGES[name];
  const path = resolveFrom([APPLICATION, HERE], packageName);
  if (path === undefined) {
    if (!isOptional) variables.warn(`${VARIABLE}: ${name} needs ${packageName}: npm install ${packageName}`);
    return [];
  }
  try {
    return Object.values(load<Record<string, ResourceDetector>>(path)).filter(isDetector);
  } catch (error) {
    variables.warn(`${VARIABLE}: ${packageName} cannot be loaded: ${messageOf(error)}; it is left out`);
    return [];
  }
}

function isDetector(exported: Partial<ResourceDetector> | undefined): boolean {
  return typeof exported?.detect === 'function';
}
