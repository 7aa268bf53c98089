import { Body, Controller, Get, Header, HttpCode, Inject, NotFoundException, Param, Post, Query } from '@nestjs/common';
import { type NotificationEntity } from '../store/notification.entity.js';
import { NotificationStore } from '../store/notification.store.js';
import { parseId, parseListQuery, parseReadAll } from './list-request.js';

/** Kept by the client, used again only after asking: the next notification may come at any time. */
const NEVER_STALE = 'private, no-cache';

/** A notification as clients see it. */
export type NotificationView = Omit<NotificationEntity, 'stamp'>;

/** A page of notifications, the newest first. */
export interface NotificationList {
  readonly items: readonly NotificationView[];
  /** `before` of the next page; `null` on the last one. */
  readonly next: number | null;
}

/** The notifications in the app. */
@Controller('api/notification/notifications')
export class NotificationsController {
  constructor(@Inject(NotificationStore) private readonly store: NotificationStore) {}

  /** Pages by id, so that notifications that come meanwhile move nothing. */
  @Get()
  @Header('Cache-Control', NEVER_STALE)
  async list(@Query() query: Record<string, unknown>): Promise<NotificationList> {
    const page = parseListQuery(query);
    const found = await this.store.list({ ...page, limit: page.limit + 1 });
    const items = found.slice(0, page.limit);
    return { items: items.map(toView), next: found.length > page.limit ? (items.at(-1)?.id ?? null) : null };
  }

  @Get('unread-count')
  @Header('Cache-Control', NEVER_STALE)
  async unreadCount(): Promise<{ readonly unread: number }> {
    return { unread: await this.store.countUnread() };
  }

  @Post('read-all')
  @HttpCode(204)
  async readAll(@Body() body: unknown): Promise<void> {
    await this.store.markAllRead(parseReadAll(body));
  }

  @Post(':id/read')
  @HttpCode(204)
  async read(@Param() params: Record<string, string>): Promise<void> {
    const id = parseId(params);
    if (!(await this.store.markRead(id))) {
      throw new NotFoundException(`There is no notification ${id}.`);
    }
  }
}

function toView({ stamp: _stamp, ...view }: NotificationEntity): NotificationView {
  return view;
}
