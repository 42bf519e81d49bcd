import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PrometheusExporter } from '@opentelemetry/exporter-prometheus';
import { MeterProvider } from '@opentelemetry/sdk-metrics';

export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** A meter provider whose metrics are scraped over HTTP, as Prometheus does. */
export class ScrapedMeter {
  readonly provider: MeterProvider;
  readonly #server: Server;

  private constructor(provider: MeterProvider, server: Server) {
    this.provider = provider;
    this.#server = server;
  }

  static async start(): Promise<ScrapedMeter> {
    const prometheus = new PrometheusExporter({ preventServerStart: true });
    const provider = new MeterProvider({ readers: [prometheus] });
    const server = createServer((request, response) => prometheus.getMetricsRequestHandler(request, response));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new ScrapedMeter(provider, server);
  }

  async scrape(): Promise<Sample[]> {
    const { port } = this.#server.address() as AddressInfo;
    const response = await fetch(`http://127.0.0.1:${port}/metrics`);
    const text = await response.text();
    return [...text.matchAll(/^(\w+)(?:\{(.*)\})? (\S+)$/gm)].map(([, name = '', labels = '', value = '']) => ({
      name,
      labels: labelsOf(labels),
      value: Number(value),
    }));
  }

  async close(): Promise<void> {
    this.#server.close();
    await this.provider.shutdown();
  }
}

function labelsOf(text: string): Record<string, string> {
  const pairs = text.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g);
  return Object.fromEntries([...pairs].map(([, label, value]) => [label, value]));
}
