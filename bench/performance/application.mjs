import { ROOT_CONTEXT, trace } from '@opentelemetry/api';
import { Workload } from './workload.mjs';

/** Without a common divisor, so that a beginning comes with another end each time. */
const BEGINNINGS = 1_021;
const ENDS = 1_024;
const CART_ITEMS = 50;
/** Bodies are as long as those of {@link Workload}. */
const MAX_PART = 66;

/**
 * Makes records as an application does, while time is taken: the body by a template literal, the attributes in new
 * objects. They resemble those of {@link Workload}, which takes far longer to make one.
 */
export class Application {
  #beginnings;
  #ends;
  #cart = Array.from({ length: CART_ITEMS }, (_, i) => ({ sku: `sku-${i}`, quantity: i, price: i / 7 }));
  #count = 0;

  constructor() {
    const samples = new Workload().emits(BEGINNINGS + ENDS);
    this.#beginnings = samples.slice(0, BEGINNINGS).map(partsOf);
    this.#ends = samples.slice(BEGINNINGS).map(partsOf);
  }

  /** Does what an application does between two records: it leaves some 4 kB to the garbage collector. */
  work() {
    this.cart = this.#cart.map(({ sku, quantity, price }) => ({ sku, quantity, price: price + this.#count, tags: [] }));
  }

  /** What `logger.emit()` takes for the next record. */
  next() {
    const number = this.#count++;
    const { text, word, status, plan } = this.#beginnings[number % BEGINNINGS];
    const end = this.#ends[number % ENDS];
    return {
      severityNumber: end.severityNumber,
      severityText: end.severityText,
      body: `${text} ${number} ${end.text}`,
      attributes: {
        'http.route': `/api/${word}/${number}`,
        'http.response.status_code': status,
        'http.duration_ms': number / 7,
        'cache.hit': number % 2 === 0,
        user: { id: end.user, plan },
        tags: [word, end.word],
      },
      context: end.context,
    };
  }
}

/** Flat strings, as constants and the ids of requests are. Slicing alone would refer to the text that is sliced. */
function partsOf({ severityNumber, severityText, body, attributes, context }) {
  return {
    severityNumber,
    severityText,
    text: flat(body.slice(0, MAX_PART)),
    word: attributes.tags[0],
    status: attributes['http.response.status_code'],
    user: attributes.user.id,
    plan: attributes.user.plan,
    context: context === ROOT_CONTEXT ? ROOT_CONTEXT : flatContext(context),
  };
}

function flatContext(context) {
  const { traceId, spanId, traceFlags } = trace.getSpanContext(context);
  return trace.setSpanContext(ROOT_CONTEXT, { traceId: flat(traceId), spanId: flat(spanId), traceFlags });
}

function flat(text) {
  return Buffer.from(text).toString();
}
