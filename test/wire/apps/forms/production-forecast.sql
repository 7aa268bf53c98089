-- begin serializable

-- begin snapshot

-- commit

DECLARE @current_version bigint = CHANGE_TRACKING_CURRENT_VERSION();
SELECT @current_version AS current_version, e.epoch, @@TRANCOUNT AS depth FROM [smartpulse].[cdc_epoch] AS e WHERE e.id = 1;

DELETE FROM "forecast_outbox" WHERE "id" IN (@0, …)

ROLLBACK TRANSACTION typeorm_1

SAVE TRANSACTION typeorm_1

SELECT "ForecastOutboxEntity"."id" AS "ForecastOutboxEntity_id" FROM "forecast_outbox" "ForecastOutboxEntity" WHERE (("ForecastOutboxEntity"."id" <= @0) AND ("ForecastOutboxEntity"."createdAt" < @1)) ORDER BY "ForecastOutboxEntity_id" ASC OFFSET 0 ROWS FETCH NEXT 250 ROWS ONLY

SELECT "forecast"."deliveryStart" AS "deliveryStart", "forecast"."deliveryEnd" AS "deliveryEnd", "forecast"."valueHundredths" AS "valueHundredths" FROM "forecast" "forecast" WHERE "forecast"."provider" = @0 AND "forecast"."unitType" = @1 AND "forecast"."unitNo" = @2 AND "forecast"."deliveryStart" >= @3 AND "forecast"."deliveryStart" < @4 ORDER BY "forecast"."deliveryStart" ASC

SELECT "forecast"."deliveryStart" AS "deliveryStart", "forecast"."deliveryEnd" AS "deliveryEnd", "forecast"."valueHundredths" AS "valueHundredths" FROM "forecast" "forecast" WITH (UPDLOCK, ROWLOCK) WHERE "forecast"."provider" = @0 AND "forecast"."unitType" = @1 AND "forecast"."unitNo" = @2 AND "forecast"."deliveryStart" >= @3 AND "forecast"."deliveryStart" < @4 ORDER BY "forecast"."deliveryStart" ASC

SELECT MAX("ForecastOutboxEntity"."id") AS "MAX" FROM "forecast_outbox" "ForecastOutboxEntity"

SELECT SCHEMA_NAME() AS "schema_name"

SET TRANSACTION ISOLATION LEVEL READ COMMITTED

WITH CHANGE_TRACKING_CONTEXT (0x5350011370726F64756374696F6E2D666F726563617374) INSERT INTO "forecast_outbox"("event", "key", "payload", "createdAt") VALUES (@0, @1, @2, @3)

WITH CHANGE_TRACKING_CONTEXT (0x5350011370726F64756374696F6E2D666F726563617374) MERGE INTO "forecast" "forecast" USING (VALUES (@0, @1, @2, @3, @4, @5, @6, @7), …) "mergeIntoSource" ("provider", "unitType", "unitNo", "deliveryStart", "deliveryEnd", "periodMinutes", "valueHundredths", "batchId") ON ("forecast"."provider" = "mergeIntoSource"."provider" AND "forecast"."unitType" = "mergeIntoSource"."unitType" AND "forecast"."unitNo" = "mergeIntoSource"."unitNo" AND "forecast"."deliveryStart" = "mergeIntoSource"."deliveryStart") WHEN MATCHED THEN UPDATE SET "forecast"."deliveryEnd" = "mergeIntoSource"."deliveryEnd", "forecast"."periodMinutes" = "mergeIntoSource"."periodMinutes", "forecast"."valueHundredths" = "mergeIntoSource"."valueHundredths", "forecast"."batchId" = "mergeIntoSource"."batchId" WHEN NOT MATCHED THEN INSERT("provider", "unitType", "unitNo", "deliveryStart", "deliveryEnd", "periodMinutes", "valueHundredths", "batchId") VALUES ("mergeIntoSource"."provider", "mergeIntoSource"."unitType", "mergeIntoSource"."unitNo", "mergeIntoSource"."deliveryStart", "mergeIntoSource"."deliveryEnd", "mergeIntoSource"."periodMinutes", "mergeIntoSource"."valueHundredths", "mergeIntoSource"."batchId");

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
