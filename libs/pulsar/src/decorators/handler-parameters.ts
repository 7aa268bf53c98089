import 'reflect-metadata';
import type { PipeTransform, Type } from '@nestjs/common';

/**
 * Metadata key of a handler's parameters: Nest's own for route arguments, because only there does Nest look for the pipe classes that it
 * must provide. The kinds below are none of its route parameters.
 */
export const PULSAR_ARGS_METADATA = '__routeArguments__';

/** What a parameter takes of its message. */
export const ParameterKind = Object.freeze({ payload: 7001, properties: 7002, context: 7003 });

/** A pipe for one parameter. */
export type ParameterPipe = PipeTransform | Type<PipeTransform>;

interface ParameterMetadata {
  readonly index: number;
  readonly data: string | undefined;
  readonly pipes: readonly ParameterPipe[];
}

type Parameters = Readonly<Record<string, ParameterMetadata>>;

function parametersOf(target: object, method: string | symbol): Parameters {
  return (Reflect.getMetadata(PULSAR_ARGS_METADATA, target.constructor, method) as Parameters | undefined) ?? {};
}

function defineParameter(
  kind: number,
  data: string | undefined,
  pipes: readonly ParameterPipe[],
  target: object,
  method: string | symbol,
  index: number,
): void {
  Reflect.defineMetadata(
    PULSAR_ARGS_METADATA,
    { ...parametersOf(target, method), [`${kind}:${index}`]: { index, data, pipes } },
    target.constructor,
    method,
  );
}

/** A method without parameter decorators gets (payload, context). Parameter decorators have run before the method's. */
export function bindDefaultParameters(target: object, method: string | symbol): void {
  if (Object.keys(parametersOf(target, method)).length === 0) {
    defineParameter(ParameterKind.payload, undefined, [], target, method, 0);
    defineParameter(ParameterKind.context, undefined, [], target, method, 1);
  }
}

function parameterDecorator(
  kind: number,
  data: string | undefined,
  pipes: readonly ParameterPipe[],
): ParameterDecorator {
  return (target, method, index) => {
    if (method === undefined) {
      throw new TypeError('Parameters of messages belong to methods, not to constructors.');
    }
    defineParameter(kind, data, pipes, target, method, index);
  };
}

/**
 * The decoded and validated payload, or one field of it. Pipes of the method and class run on it, then the ones given here.
 *
 * @example
 * ```ts
 * handle(@Payload() event: ForecastComputed, @Payload('unit') unit: string)
 * ```
 */
export function Payload(field?: string | ParameterPipe, ...pipes: ParameterPipe[]): ParameterDecorator {
  return typeof field === 'string' || field === undefined
    ? parameterDecorator(ParameterKind.payload, field, pipes)
    : parameterDecorator(ParameterKind.payload, undefined, [field, ...pipes]);
}

/** The message's properties, or one of them (`undefined` when absent). Only pipes given here run on it. */
export function Properties(name?: string, ...pipes: ParameterPipe[]): ParameterDecorator {
  return parameterDecorator(ParameterKind.properties, name, pipes);
}

/** The {@link PulsarContext} of the message. No pipe runs on it. */
export function Ctx(): ParameterDecorator {
  return parameterDecorator(ParameterKind.context, undefined, []);
}
