import { encode } from '@msgpack/msgpack';

/** The names of an entry's fields in the default layout. */
export type EntryKey =
  | 'message'
  | 'body'
  | 'severity_text'
  | 'severity_number'
  | 'event_name'
  | 'trace_id'
  | 'span_id'
  | 'trace_flags'
  | 'observed_timestamp'
  | 'attributes'
  | 'resource'
  | 'resource_schema_url'
  | 'scope'
  | 'dropped_attributes_count';

/** Each name as MessagePack. */
export const KEY: { readonly [name in EntryKey]: Uint8Array } = {
  message: encode('message'),
  body: encode('body'),
  severity_text: encode('severity_text'),
  severity_number: encode('severity_number'),
  event_name: encode('event_name'),
  trace_id: encode('trace_id'),
  span_id: encode('span_id'),
  trace_flags: encode('trace_flags'),
  observed_timestamp: encode('observed_timestamp'),
  attributes: encode('attributes'),
  resource: encode('resource'),
  resource_schema_url: encode('resource_schema_url'),
  scope: encode('scope'),
  dropped_attributes_count: encode('dropped_attributes_count'),
};
