import type { HealthDetails, HealthRequest } from '../health.options.js';

const LOOPBACK = /^(?:::ffff:)?127\.|^::1$/;
const PROXY_HEADERS = ['forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-real-ip', 'via'];

/** Whether this caller may see more than the status. */
export function maySeeDetails(details: HealthDetails, request: HealthRequest): boolean {
  if (typeof details === 'function') {
    return details(request);
  }
  return details === 'always' || (details === 'loopback' && fromLoopback(request));
}

/** A proxy on this machine makes every caller look local; its headers give it away. */
function fromLoopback({ headers, socket }: HealthRequest): boolean {
  return LOOPBACK.test(socket?.remoteAddress ?? '') && PROXY_HEADERS.every((name) => headers[name] === undefined);
}
