import {
  type DataPoint,
  type Histogram,
  MeterProvider,
  MetricReader,
  type ViewOptions,
} from '@opentelemetry/sdk-metrics';

/** Collects when `collect()` is called. */
class ManualReader extends MetricReader {
  protected async onForceFlush(): Promise<void> {}
  protected async onShutdown(): Promise<void> {}
}

/** A meter provider whose metrics a test collects. */
export class TestMeter {
  readonly #reader = new ManualReader();
  readonly provider: MeterProvider;

  constructor(views: ViewOptions[] = []) {
    this.provider = new MeterProvider({ readers: [this.#reader], views });
  }

  async collect() {
    const { resourceMetrics, errors } = await this.#reader.collect();
    if (errors.length > 0) throw errors[0];
    return resourceMetrics.scopeMetrics.flatMap(({ scope, metrics }) =>
      metrics.map((metric) => ({ scope, ...metric })),
    );
  }

  /** The data points of one metric, of one exporter if it is named. */
  async points(name: string, exporter?: string): Promise<readonly DataPoint<number | Histogram>[]> {
    const found = (await this.collect()).find(({ descriptor }) => descriptor.name === name);
    const points = (found?.dataPoints ?? []) as readonly DataPoint<number | Histogram>[];
    return points.filter(({ attributes }) => exporter === undefined || attributes['otel.component.name'] === exporter);
  }

  /** The values of one metric by one of its attributes; what lacks it is under an empty text. */
  async valuesBy(name: string, attribute: string): Promise<Record<string, number | Histogram>> {
    const points = await this.points(name);
    return Object.fromEntries(points.map(({ attributes, value }) => [String(attributes[attribute] ?? ''), value]));
  }
}
