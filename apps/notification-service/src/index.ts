export { type DeliverableNotification, Notifier } from './delivery/notifier.js';
export type { NotificationList, NotificationView } from './http/notifications.controller.js';
export { type AppOptions, createNotificationServiceApp } from './notification-service.app.js';
export { NotificationServiceModule } from './notification-service.module.js';
export type { BrokerAddress, NotificationServiceParts } from './notification-service.parts.js';
export { NOTIFICATION_RULES, type NotificationRule } from './rules/notification-draft.js';
export { RULE_DEFAULTS, type RuleOptions } from './rules/rule.options.js';
export { KnownValueEntity } from './store/known-value.entity.js';
export { NotificationEntity } from './store/notification.entity.js';
