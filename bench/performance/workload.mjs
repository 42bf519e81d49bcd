import { ROOT_CONTEXT, trace } from '@opentelemetry/api';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { LoggerProvider } from '@opentelemetry/sdk-logs';
import { randomSources } from '../support/random.mjs';

const WORDS =
  'accepted after aggregate balance batch before cache cart checkout closed commit connection consumer coupon customer deadline declined delivered discount failed finished fraud from gateway handler inventory invoice item limit message missing order partition payment pending queue rate received refund rejected request response retry returned session settled shipment started stock stored timeout token updated user waiting warehouse with worker'.split(
    ' ',
  );
/** Text that is not ASCII: two, three and four bytes a character in UTF-8. */
const FOREIGN = ['Größe geändert', 'déjà réservé', '注文を受け付けました', 'заказ принят', 'livré 🚚'];
const SEVERITIES = [
  [5, 'DEBUG'],
  [9, 'INFO'],
  [9, 'INFO'],
  [9, 'INFO'],
  [13, 'WARN'],
  [17, 'ERROR'],
];
const FIRST_SECOND = 1_760_000_000;
const MIN_BODY = 80;
const MAX_BODY = 200;
/** Two words and a number are shorter. */
const MAX_PART = 32;

/**
 * Log records as a service on Kubernetes makes them: the same sequence for the same seed, in which none
 * comes twice. They are made by the real SDK, and are new at every call: strings that were read before
 * are cheaper to read, and what repeats compresses too well.
 */
export class Workload {
  #random;
  #attributes;
  #loggers;
  #made = [];
  #count = 0;

  /** `attributes` a record; `resources` and `scopes` in turn. */
  constructor({ seed = 1, attributes = 6, resources = 1, scopes = 1 } = {}) {
    [this.#random] = randomSources(seed, 1);
    this.#attributes = attributes;
    const processors = [collectingProcessor((record) => this.#made.push(record))];
    this.#loggers = Array.from({ length: Math.max(resources, scopes) }, (_, i) =>
      new LoggerProvider({ resource: this.resource(i % resources), processors }).getLogger(
        scopeName(i % scopes),
        '2.4.0',
      ),
    );
  }

  /** A resource of 12 attributes, the first of which tells them apart. */
  resource(index = 0) {
    const pod = `checkout-7d9c5b8f6-${index.toString(36).padStart(5, 'x')}`;
    return resourceFromAttributes({
      'service.instance.id': pod,
      'service.name': 'checkout',
      'service.namespace': 'shop',
      'service.version': '1.42.0',
      'deployment.environment.name': 'production',
      'k8s.namespace.name': 'shop',
      'k8s.pod.name': pod,
      'k8s.node.name': 'worker-3.eu-central',
      'host.name': pod,
      'host.arch': 'amd64',
      'process.pid': 4711,
      'process.runtime.name': 'nodejs',
    });
  }

  /** What `logger.emit()` gets for the next records. */
  emits(count) {
    return Array.from({ length: count }, () => this.#emit());
  }

  /** What the SDK hands to an exporter for them. */
  records(count) {
    for (let i = 0; i < count; i++) this.#loggers[i % this.#loggers.length].emit(this.#emit());
    return this.#made.splice(0);
  }

  #emit() {
    const [severityNumber, severityText] = this.#pick(SEVERITIES);
    const seconds = FIRST_SECOND + (this.#count++ >> 10);
    const nanoseconds = this.#integer(999_000_000);
    return {
      timestamp: [seconds, nanoseconds],
      observedTimestamp: [seconds, nanoseconds + this.#integer(1_000_000)],
      severityNumber,
      severityText,
      body: this.#body(),
      attributes: this.#attributes === 6 ? this.#sixAttributes() : this.#manyAttributes(),
      context: this.#random() < 0.8 ? this.#traceContext() : ROOT_CONTEXT,
    };
  }

  #traceContext() {
    return trace.setSpanContext(ROOT_CONTEXT, { traceId: this.#hex(32), spanId: this.#hex(16), traceFlags: 1 });
  }

  /** Of 80 to 200 characters, put together as by one template literal, whose parts V8 joins when it is first read. */
  #body() {
    const enough = MIN_BODY + this.#integer(MAX_BODY - MIN_BODY - MAX_PART);
    const words = [this.#random() < 0.05 ? this.#pick(FOREIGN) : this.#pick(WORDS)];
    for (let { length } = words[0]; length < enough; length += words.at(-1).length + 1) {
      words.push(this.#random() < 1 / 3 ? String(this.#integer(10_000_000)) : this.#pick(WORDS));
    }
    const middle = words.length >> 1;
    const [what, why] = [words.slice(0, middle).join(' '), words.slice(middle + 1).join(' ')];
    return `${what} ${words[middle]} ${why}`;
  }

  #sixAttributes() {
    return {
      'http.route': `/api/${this.#pick(WORDS)}/${this.#hex(8)}`,
      'http.response.status_code': this.#pick([200, 201, 204, 404, 409, 500]),
      'http.duration_ms': this.#random() * 1_000,
      'cache.hit': this.#random() < 0.5,
      user: { id: this.#hex(12), plan: this.#pick(['free', 'team', 'business']) },
      tags: [this.#pick(WORDS), this.#pick(WORDS)],
    };
  }

  #manyAttributes() {
    const entries = Array.from({ length: this.#attributes }, (_, i) => [`attribute.${i}`, this.#hex(12)]);
    return Object.fromEntries(entries);
  }

  #hex(digits) {
    const parts = Array.from({ length: digits / 4 }, () => this.#integer(0x1_0000).toString(16).padStart(4, '0'));
    return parts.join('');
  }

  #integer(below) {
    return Math.floor(this.#random() * below);
  }

  #pick(items) {
    return items[this.#integer(items.length)];
  }
}

function scopeName(index) {
  return index === 0 ? 'checkout' : `checkout-${index}`;
}

function collectingProcessor(onEmit) {
  return { onEmit, forceFlush: async () => {}, shutdown: async () => {} };
}
