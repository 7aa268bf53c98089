import { type CanActivate, type ExecutionContext, Injectable, UnsupportedMediaTypeException } from '@nestjs/common';
import { type Request } from 'express';

/** Refuses (415) a body that is not `application/json`: the parser would silently leave it out. */
@Injectable()
export class JsonOnlyGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const request = context.switchToHttp().getRequest<Request>();
    if (request.is('application/json') === false) {
      throw new UnsupportedMediaTypeException('Send the forecasts as application/json.');
    }
    return true;
  }
}
