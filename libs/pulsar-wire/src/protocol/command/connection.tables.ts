import { message, opt, req } from '../table/message-table.js';
import { FEATURE_FLAGS } from './shared.tables.js';

const AUTH_DATA = message('AuthData', { authMethodName: opt.string(1), authData: opt.bytes(2) });

export const CONNECT = message('CommandConnect', {
  clientVersion: req.string(1),
  authData: opt.bytes(3),
  protocolVersion: opt.i32(4),
  authMethodName: opt.string(5),
  proxyToBrokerUrl: opt.string(6),
  originalPrincipal: opt.string(7),
  originalAuthData: opt.string(8),
  originalAuthMethod: opt.string(9),
  featureFlags: opt.message(10, FEATURE_FLAGS),
  proxyVersion: opt.string(11),
});

export const CONNECTED = message('CommandConnected', {
  serverVersion: req.string(1),
  protocolVersion: opt.i32(2),
  maxMessageSize: opt.i32(3),
  featureFlags: opt.message(4, FEATURE_FLAGS),
});

export const AUTH_CHALLENGE = message('CommandAuthChallenge', {
  serverVersion: opt.string(1),
  challenge: opt.message(2, AUTH_DATA),
  protocolVersion: opt.i32(3),
});

export const AUTH_RESPONSE = message('CommandAuthResponse', {
  clientVersion: opt.string(1),
  response: opt.message(2, AUTH_DATA),
  protocolVersion: opt.i32(3),
});

export const PING = message('CommandPing', {});
export const PONG = message('CommandPong', {});

export const ERROR = message('CommandError', { requestId: req.i53(1), error: req.u32(2), message: req.string(3) });
