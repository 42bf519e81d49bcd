import { describe, expect, it } from 'vitest';
import { FunctionTagger, parseTag, type TagFunction, type TagTemplate } from '../../src/encode/tag.ts';
import { record } from '../support/records.ts';
import { unhandledRejections } from '../support/unhandled-rejections.ts';

function tagOf(template: string, fields: Parameters<typeof record>[0]): string {
  return (parseTag(template) as TagTemplate).tagOf(record(fields));
}

const RECORD = {
  severityText: 'WARN',
  eventName: 'order.placed',
  attributes: {
    'user.id': 42,
    ok: true,
    'with space': 'a b',
    list: [1],
    none: null,
    empty: '',
    bytes: new Uint8Array(2),
  },
  resource: { attributes: { 'service.name': 'check.out', ratio: 0.5 } },
  instrumentationScope: { name: '@scope/lib' },
};

describe('tag templates', () => {
  it.each([
    ['app.${resource.service.name}.${severity_text}', 'app.check_out.WARN'],
    ['${scope.name}', '_scope_lib'],
    ['${event_name}', 'order_placed'],
    ['a.${attributes.user.id}.b', 'a.42.b'],
    ['${attributes.ok}${attributes.ok}', 'truetrue'],
    ['${attributes.with space}', 'a_b'],
    ['${resource.ratio}', '0_5'],
    ['${attributes.toString}', 'unknown'],
    ['${attributes.list}.${attributes.none}.${attributes.bytes}', 'unknown.unknown.unknown'],
    ['${attributes.empty}', 'unknown'],
    ['${attributes.empty:-none}', 'none'],
    ['${resource.nothing:-a-b_c}', 'a-b_c'],
    ['${resource.service.name:-none}', 'check_out'],
    ['$a.$.${severity_text}.$', '$a.$.WARN.$'],
    ['größe ${severity_text}', 'größe WARN'],
  ])('a tag template takes its values from the record: %s gives %s', (template, expected) => {
    expect(tagOf(template, RECORD)).toBe(expected);
  });

  it.each(['a.b', '$', 'a$b', '{x}', ' ', '$ {x}', 'ünïcode'])(
    'a tag without placeholders is used as it is: %j',
    (text) => {
      expect(parseTag(text)).toBe(text);
    },
  );

  it.each(['.', '*', '/', '\0', '\n', 'ü', '\ud800', '#', '{', ':'])(
    'a tag template replaces a character that breaks routing, so that a value stays one part: %j',
    (bad) => {
      expect(tagOf('a.${severity_text}.z', { severityText: `x${bad}y` })).toBe('a.x_y.z');
    },
  );

  it('a tag template cuts a value at 128 characters', () => {
    expect(tagOf('${severity_text}', { severityText: 'x'.repeat(300) })).toBe('x'.repeat(128));
  });

  it('a tag template uses its fallbacks for fields that cannot be read', () => {
    const throwing = Object.defineProperty({}, 'a', {
      enumerable: true,
      get() {
        throw new Error('no');
      },
    });
    const template = parseTag('x.${attributes.a:-f}.${resource.b}.${scope.name}') as TagTemplate;
    expect(template.fallback).toBe('x.f.unknown.unknown');
    expect(template.tagOf(record({ attributes: throwing, resource: null, instrumentationScope: 5 }))).toBe(
      template.fallback,
    );
    expect(template.tagOf(undefined as never)).toBe(template.fallback);
  });

  it.each([
    ['app.${foo}', 'character 5: unknown field foo'],
    ['${}', 'character 1: unknown field '],
    ['${resource.}', 'character 1: unknown field resource.'],
    ['${scope.version}', 'character 1: unknown field scope.version'],
    ['${severity_text}.${Severity_text}', 'character 18: unknown field Severity_text'],
    ['a.${severity_text', 'character 3: no } ends it'],
    ['${severity_text:-}', 'character 18: a fallback is 1 to 128 of A-Z, a-z, 0-9, _ and -'],
    ['ab${severity_text:-a.b}', 'character 20: a fallback is 1 to 128 of A-Z, a-z, 0-9, _ and -'],
    [`\${severity_text:-${'x'.repeat(129)}}`, 'character 18: a fallback is 1 to 128 of A-Z, a-z, 0-9, _ and -'],
    ['${severity_text}'.repeat(9), 'it can become 1152 bytes long'],
    [`${'é'.repeat(449)}\${severity_text}`, 'it can become 1026 bytes long'],
  ])('parseTag rejects an invalid tag template and names the fault: %s is wrong as %s', (template, message) => {
    expect(() => parseTag(template)).toThrow(new RangeError(message));
  });

  it('a tag template may become 1024 bytes long', () => {
    const template = `${'é'.repeat(448)}\${severity_text}`;
    expect(Buffer.byteLength(tagOf(template, { severityText: 'x'.repeat(200) }))).toBe(1024);
  });
});

describe('tag functions', () => {
  const warnings: string[] = [];
  const call = (makeTag: unknown): string => {
    warnings.length = 0;
    return new FunctionTagger(makeTag as TagFunction, (_, message) => void warnings.push(message)).tagOf(
      record(RECORD),
    );
  };

  it('the tag of a record is what the tag function returns', () => {
    expect(call((record: typeof RECORD) => `app.${record.severityText}`)).toBe('app.WARN');
    expect(warnings).toEqual([]);
  });

  it.each([
    ['blanks and punctuation', 'a b/c:d', 'a_b_c_d'],
    ['nothing to replace', 'a.b-c_D.9', 'a.b-c_D.9'],
    ['characters beyond ASCII', 'ü😀', '___'],
    ['2000 characters', 'x'.repeat(2_000), 'x'.repeat(1024)],
  ])(
    'a tag from a function has characters that break routing replaced, and is cut at 1024: %s',
    (_, given, expected) => {
      expect(call(() => given)).toBe(expected);
    },
  );

  it.each([undefined, ''])('the fallback tag is used without a warning when the tag function returns: %j', (given) => {
    expect(call(() => given)).toBe('opentelemetry.logs');
    expect(warnings).toEqual([]);
  });

  it.each<[string, unknown, string]>([
    ['null', null, 'null'],
    ['a number', 5, 'a number'],
    ['an instance of Object', {}, 'an instance of Object'],
    ['an array', ['a'], 'an array'],
    ['a Promise', Promise.resolve('a'), 'an instance of Promise'],
    ['an object without a prototype', Object.create(null), 'an object'],
    ['an object whose class has no readable name', { constructor: { name: Symbol('a') } }, 'an object'],
  ])('the fallback tag is used, with a warning, when the tag function returns no string: %s', (_, given, name) => {
    expect(call(() => given)).toBe('opentelemetry.logs');
    expect(warnings).toEqual([`the tag function returned ${name}, no string; using opentelemetry.logs`]);
  });

  it('the fallback tag is used, with a warning, when the tag function throws', () => {
    const thrower = () => {
      throw new Error('no tag');
    };
    expect(call(thrower)).toBe('opentelemetry.logs');
    expect(warnings).toEqual(['the tag function threw: no tag; using opentelemetry.logs']);
  });

  it('the rejection of an async tag function is handled, and the fallback tag is used with a warning', async () => {
    const rejections = unhandledRejections();
    expect(call(async () => Promise.reject(new Error('no tag')))).toBe('opentelemetry.logs');
    expect(warnings).toEqual(['the tag function returned an instance of Promise, no string; using opentelemetry.logs']);
    expect(await rejections()).toEqual([]);
  });

  it('the fallback tag is used, with a warning, when the thrown error has no readable message', () => {
    const thrower = () => {
      throw Object.assign(new Error(), { message: Symbol('no tag') });
    };
    expect(call(thrower)).toBe('opentelemetry.logs');
    expect(warnings).toEqual(['the tag function threw: Symbol(no tag); using opentelemetry.logs']);
  });
});
