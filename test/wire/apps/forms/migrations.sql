ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION ON

CREATE TABLE "notification_service_migrations" ("id" int NOT NULL IDENTITY(1,1), "timestamp" bigint NOT NULL, "name" varchar(255) NOT NULL, CONSTRAINT "PK_e9011eed271ebc59bc27a004e65" PRIMARY KEY ("id"))

CREATE TABLE "production_forecast_migrations" ("id" int NOT NULL IDENTITY(1,1), "timestamp" bigint NOT NULL, "name" varchar(255) NOT NULL, CONSTRAINT "PK_4d1d42336807e76dc932bd0a6cb" PRIMARY KEY ("id"))

IF NOT EXISTS (SELECT 1 FROM sys.change_tracking_databases WHERE database_id = DB_ID()) ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 7 DAYS, AUTO_CLEANUP = ON)

IF NOT EXISTS (SELECT 1 FROM sys.change_tracking_tables WHERE object_id = OBJECT_ID(N'dbo.forecast')) ALTER TABLE dbo.forecast ENABLE CHANGE_TRACKING WITH (TRACK_COLUMNS_UPDATED = ON)

IF NOT EXISTS (SELECT 1 FROM sys.change_tracking_tables WHERE object_id = OBJECT_ID(N'dbo.forecast_outbox')) ALTER TABLE dbo.forecast_outbox ENABLE CHANGE_TRACKING WITH (TRACK_COLUMNS_UPDATED = OFF)

IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE object_id = OBJECT_ID(N'dbo.known_value') AND name = N'ix_known_value_start') CREATE INDEX ix_known_value_start ON dbo.known_value (deliveryStart)

IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE object_id = OBJECT_ID(N'dbo.notification') AND name = N'ix_notification_delivery') CREATE INDEX ix_notification_delivery ON dbo.notification (delivery, id)

IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE object_id = OBJECT_ID(N'dbo.notification') AND name = N'ix_notification_status') CREATE INDEX ix_notification_status ON dbo.notification (status, id)

IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE object_id = OBJECT_ID(N'dbo.notification') AND name = N'ux_notification_rule_key_stamp') CREATE UNIQUE INDEX ux_notification_rule_key_stamp ON dbo.notification ([rule], [key], stamp)

IF OBJECT_ID(N'dbo.forecast') IS NULL CREATE TABLE dbo.forecast (
  provider nvarchar(32) NOT NULL,
  unitType nvarchar(8) NOT NULL,
  unitNo int NOT NULL,
  deliveryStart nvarchar(24) NOT NULL,
  deliveryEnd nvarchar(24) NOT NULL,
  periodMinutes int NOT NULL,
  valueHundredths int NOT NULL,
  batchId nvarchar(32) NOT NULL,
  CONSTRAINT pk_forecast PRIMARY KEY (provider, unitType, unitNo, deliveryStart)
)

IF OBJECT_ID(N'dbo.forecast_outbox') IS NULL CREATE TABLE dbo.forecast_outbox (
  id int IDENTITY(1,1) NOT NULL,
  event nvarchar(64) NOT NULL,
  [key] nvarchar(100) NULL,
  payload nvarchar(max) NOT NULL,
  createdAt nvarchar(24) NOT NULL,
  CONSTRAINT pk_forecast_outbox PRIMARY KEY (id)
)

IF OBJECT_ID(N'dbo.known_value') IS NULL CREATE TABLE dbo.known_value (
  provider nvarchar(32) NOT NULL,
  unitType nvarchar(8) NOT NULL,
  unitNo int NOT NULL,
  deliveryStart nvarchar(24) NOT NULL,
  valueHundredths int NOT NULL,
  stamp nvarchar(45) NOT NULL,
  CONSTRAINT pk_known_value PRIMARY KEY (provider, unitType, unitNo, deliveryStart)
)

IF OBJECT_ID(N'dbo.notification') IS NULL CREATE TABLE dbo.notification (
  id int IDENTITY(1,1) NOT NULL,
  [rule] nvarchar(32) NOT NULL,
  [key] nvarchar(200) NOT NULL,
  stamp nvarchar(100) NOT NULL,
  title nvarchar(120) NOT NULL,
  description nvarchar(400) NOT NULL,
  status nvarchar(4) NOT NULL,
  delivery nvarchar(9) NOT NULL,
  createdAt nvarchar(24) NOT NULL,
  seenAt nvarchar(24) NULL,
  CONSTRAINT pk_notification PRIMARY KEY (id)
)

INSERT INTO "apps".."notification_service_migrations"("timestamp", "name") VALUES (@0, @1)

INSERT INTO "apps".."production_forecast_migrations"("timestamp", "name") VALUES (@0, @1)

SELECT * FROM "apps"."INFORMATION_SCHEMA"."TABLES" WHERE "TABLE_NAME" = @0 AND "TABLE_SCHEMA" = @1

SELECT * FROM "apps".."notification_service_migrations" "notification_service_migrations" ORDER BY "id" DESC

SELECT * FROM "apps".."production_forecast_migrations" "production_forecast_migrations" ORDER BY "id" DESC

SELECT OBJECT_ID(@0) AS id

SELECT SCHEMA_NAME() AS "schema_name"

SELECT name FROM "production_forecast_migrations"

set ansi_nulls on
set ansi_null_dflt_on on
set ansi_padding on
set ansi_warnings on
set arithabort on
set concat_null_yields_null on
set datefirst 7
set dateformat mdy
set implicit_transactions off
set language us_english
set numeric_roundabort off
set quoted_identifier on
set textsize 2147483647
set transaction isolation level read committed
set xact_abort off
