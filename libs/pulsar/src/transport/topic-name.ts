/** Where short names belong: `tenant/namespace`. */
const NAMESPACE = /^[\w.:=-]+\/[\w.:=-]+$/;
/** A topic's own name: what every transport can carry in a path. `%` is for {@link escapeTopicPart}. */
const LOCAL_NAME = /^[\w.:=%+~!*'()-]+$/;
const MAX_LENGTH = 255;

/** What is wrong with a namespace, or `undefined`. */
export function namespaceProblem(namespace: string): string | undefined {
  return NAMESPACE.test(namespace)
    ? undefined
    : 'expected a text of the form tenant/namespace, each of letters, digits and . _ : = -';
}

/** What is wrong with a subscription's name, or `undefined`. */
export function subscriptionProblem(subscription: string): string | undefined {
  return subscription.length <= MAX_LENGTH && LOCAL_NAME.test(subscription)
    ? undefined
    : `expected a name of 1 to ${MAX_LENGTH} letters, digits and . _ : = - + % characters, without "/" and spaces`;
}

/** What {@link resolveTopicName} found. */
export type TopicNameResult =
  { readonly topic: string; readonly problem?: undefined } | { readonly topic?: undefined; readonly problem: string };

/**
 * The full name of a topic. Accepted: `name`, `tenant/namespace/name`, `persistent://tenant/namespace/name`.
 */
export function resolveTopicName(name: string, namespace: string): TopicNameResult {
  if (name.startsWith('non-persistent://')) {
    return {
      problem: 'non-persistent topics lose messages and are not supported; expected persistent:// or a short name',
    };
  }
  const path = name.startsWith('persistent://') ? name.slice('persistent://'.length) : name;
  const parts = path.split('/');
  if (path !== name && parts.length !== 3) {
    return { problem: 'expected persistent://tenant/namespace/topic' };
  }
  if (parts.length !== 1 && parts.length !== 3) {
    return { problem: 'expected a short topic name, tenant/namespace/topic or persistent://tenant/namespace/topic' };
  }
  const local = parts.at(-1) ?? '';
  const owner = parts.length === 3 ? parts.slice(0, 2).join('/') : namespace;
  const problem = namespaceProblem(owner);
  if (problem !== undefined) {
    return { problem: `its namespace: ${problem}` };
  }
  if (local.length > MAX_LENGTH || !LOCAL_NAME.test(local)) {
    return {
      problem: `expected a topic name of 1 to ${MAX_LENGTH} letters, digits and . _ : = - + % characters; escape parts that come from data with escapeTopicPart`,
    };
  }
  return { topic: `persistent://${owner}/${local}` };
}

/**
 * Makes any text usable as a part of a topic or subscription name: what is not a letter, digit or `. _ -` becomes `%XX`. Different texts
 * stay different.
 *
 * @example
 * ```ts
 * const topic = `readings-${escapeTopicPart(plant.name)}`; // readings-N%C3%BCrnberg%2F2
 * ```
 */
export function escapeTopicPart(text: string): string {
  return encodeURIComponent(wellFormed(text));
}

/** A lone surrogate has no UTF-8 form; the encoder makes U+FFFD of it. */
function wellFormed(text: string): string {
  return new TextDecoder().decode(new TextEncoder().encode(text));
}
