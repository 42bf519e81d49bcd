import type { Endpoint } from '../config/endpoint.ts';
import type { Health } from './health.ts';
import type { Target } from './target.ts';

/** A place at which a receiver listens, and what this process knows of it. */
export interface Address {
  readonly endpoint: Endpoint;
  readonly target: Target;
  /** `host:port` or the path. */
  readonly text: string;
  /** The name whose lookup returned it: that of the endpoint, or that of an SRV record's target. */
  readonly name: string;
  /** 4 or 6; 0 for a path. */
  readonly family: number;
  readonly health: Health;
  /** Of an endpoint's healthy addresses only those with the lowest number are used. */
  priority: number;
  weight: number;
  /** Its place in the schedule of dials; the lowest is next. */
  pass: number;
  /** When the last dial to it failed, on the clock. Undefined if it did not. */
  dialFailedAt: number | undefined;
  /** Connections of this process to it, dials included. */
  connections: number;
}
