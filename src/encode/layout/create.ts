import { RECORD_UID } from '../record-uid.ts';
import { CustomLayout, type LayoutFunction } from './custom.ts';
import { DefaultLayout } from './default.ts';
import { FlatLayout, isFlatKey } from './flat.ts';
import { KEY } from './keys.ts';
import type { Layout, LayoutOptions } from './layout.ts';
import { DROPPED_ATTRIBUTES_COUNT, EVENT_NAME, OtlpLayout } from './otlp.ts';

export type LayoutName = 'default' | 'flat' | 'otlp';

export interface CreateOptions extends LayoutOptions {
  readonly layout: LayoutName | LayoutFunction;
  readonly eventNameAttribute: boolean | undefined;
}

/**
 * Makes the layout that the options ask for.
 * @throws RangeError when a static field has the name of one that the layout writes itself.
 */
export function createLayout(options: CreateOptions, warn: (cause: string, message: string) => void): Layout {
  const { layout } = options;
  const name = typeof layout === 'function' ? 'default' : layout;
  for (const field of Object.keys(options.fields)) {
    if (isOwnField(name, field, options)) {
      throw new RangeError(
        `option fields: got one with the name ${JSON.stringify(field)}, which the layout ${name} writes itself`,
      );
    }
  }
  if (typeof layout === 'function') return new CustomLayout(layout, options);
  switch (layout) {
    case 'default':
      return new DefaultLayout(options);
    case 'flat':
      return new FlatLayout(options);
    case 'otlp': {
      const { eventNameAttribute } = options;
      return new OtlpLayout({
        ...options,
        eventNameAttribute: eventNameAttribute === true,
        onEventName: eventNameAttribute === undefined ? once(() => warn('event name', EVENT_NAME_WARNING)) : () => {},
      });
    }
  }
}

const EVENT_NAME_WARNING =
  'log records have event names, which Fluent Bit drops; set eventNameAttribute to true to send them ' +
  `as the attribute ${EVENT_NAME} too, or to false if they may be lost`;

function isOwnField(layout: LayoutName, field: string, options: CreateOptions): boolean {
  switch (layout) {
    case 'default':
      return Object.hasOwn(KEY, field);
    case 'flat':
      return isFlatKey(field) || (options.recordUid && field === RECORD_UID);
    case 'otlp':
      return (
        field === DROPPED_ATTRIBUTES_COUNT ||
        (options.eventNameAttribute === true && field === EVENT_NAME) ||
        (options.recordUid && field === RECORD_UID)
      );
  }
}

function once(callback: () => void): () => void {
  let called = false;
  return () => {
    if (called) return;
    called = true;
    callback();
  };
}
