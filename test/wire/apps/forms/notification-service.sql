-- begin read committed

-- commit

DECLARE @OutputTable TABLE ("id" int);

INSERT INTO "notification"("rule", "key", "stamp", "title", "description", "status", "delivery", "createdAt", "seenAt") OUTPUT INSERTED."id" INTO @OutputTable VALUES (@0, @1, @2, @3, @4, @5, @6, @7, @8);

SELECT * FROM @OutputTable

DELETE FROM "notification" WHERE "id" <= @0

MERGE INTO "known_value" "known_value" USING (VALUES (@0, @1, @2, @3, @4, @5), …) "mergeIntoSource" ("provider", "unitType", "unitNo", "deliveryStart", "valueHundredths", "stamp") ON ("known_value"."provider" = "mergeIntoSource"."provider" AND "known_value"."unitType" = "mergeIntoSource"."unitType" AND "known_value"."unitNo" = "mergeIntoSource"."unitNo" AND "known_value"."deliveryStart" = "mergeIntoSource"."deliveryStart") WHEN MATCHED THEN UPDATE SET "known_value"."valueHundredths" = "mergeIntoSource"."valueHundredths", "known_value"."stamp" = "mergeIntoSource"."stamp" WHEN NOT MATCHED THEN INSERT("provider", "unitType", "unitNo", "deliveryStart", "valueHundredths", "stamp") VALUES ("mergeIntoSource"."provider", "mergeIntoSource"."unitType", "mergeIntoSource"."unitNo", "mergeIntoSource"."deliveryStart", "mergeIntoSource"."valueHundredths", "mergeIntoSource"."stamp");

SELECT "NotificationEntity"."id" AS "NotificationEntity_id", "NotificationEntity"."rule" AS "NotificationEntity_rule", "NotificationEntity"."key" AS "NotificationEntity_key", "NotificationEntity"."stamp" AS "NotificationEntity_stamp", "NotificationEntity"."title" AS "NotificationEntity_title", "NotificationEntity"."description" AS "NotificationEntity_description", "NotificationEntity"."status" AS "NotificationEntity_status", "NotificationEntity"."delivery" AS "NotificationEntity_delivery", "NotificationEntity"."createdAt" AS "NotificationEntity_createdAt", "NotificationEntity"."seenAt" AS "NotificationEntity_seenAt" FROM "notification" "NotificationEntity" WHERE (("NotificationEntity"."delivery" = @0) AND ("NotificationEntity"."id" > @1)) ORDER BY "NotificationEntity"."id" ASC OFFSET 0 ROWS FETCH NEXT 500 ROWS ONLY

SELECT "NotificationEntity"."id" AS "NotificationEntity_id", "NotificationEntity"."rule" AS "NotificationEntity_rule", "NotificationEntity"."key" AS "NotificationEntity_key", "NotificationEntity"."stamp" AS "NotificationEntity_stamp", "NotificationEntity"."title" AS "NotificationEntity_title", "NotificationEntity"."description" AS "NotificationEntity_description", "NotificationEntity"."status" AS "NotificationEntity_status", "NotificationEntity"."delivery" AS "NotificationEntity_delivery", "NotificationEntity"."createdAt" AS "NotificationEntity_createdAt", "NotificationEntity"."seenAt" AS "NotificationEntity_seenAt" FROM "notification" "NotificationEntity" WHERE (("NotificationEntity"."id" < @0) AND ("NotificationEntity"."status" = @1)) ORDER BY "NotificationEntity"."id" DESC OFFSET 0 ROWS FETCH NEXT 6 ROWS ONLY

SELECT "NotificationEntity"."id" AS "NotificationEntity_id", "NotificationEntity"."rule" AS "NotificationEntity_rule", "NotificationEntity"."key" AS "NotificationEntity_key", "NotificationEntity"."stamp" AS "NotificationEntity_stamp", "NotificationEntity"."title" AS "NotificationEntity_title", "NotificationEntity"."description" AS "NotificationEntity_description", "NotificationEntity"."status" AS "NotificationEntity_status", "NotificationEntity"."delivery" AS "NotificationEntity_delivery", "NotificationEntity"."createdAt" AS "NotificationEntity_createdAt", "NotificationEntity"."seenAt" AS "NotificationEntity_seenAt" FROM "notification" "NotificationEntity" WHERE (("NotificationEntity"."id" = @0)) ORDER BY (SELECT NULL) OFFSET 0 ROWS FETCH NEXT 1 ROWS ONLY

SELECT "known"."provider" AS "known_provider", "known"."unitType" AS "known_unitType", "known"."unitNo" AS "known_unitNo", "known"."deliveryStart" AS "known_deliveryStart", "known"."valueHundredths" AS "known_valueHundredths", "known"."stamp" AS "known_stamp" FROM "known_value" "known" WHERE "known"."provider" = @0 AND "known"."unitType" = @1 AND "known"."unitNo" = @2 AND "known"."deliveryStart" IN (@3, …)

SELECT 1 AS "row_exists" FROM (SELECT 1 AS dummy_column) "dummy_table" WHERE EXISTS (SELECT 1 FROM "notification" "NotificationEntity" WHERE (("NotificationEntity"."id" = @0))) ORDER BY (SELECT NULL) OFFSET 0 ROWS FETCH NEXT 1 ROWS ONLY

SELECT 1 AS "row_exists" FROM (SELECT 1 AS dummy_column) "dummy_table" WHERE EXISTS (SELECT 1 FROM "notification" "NotificationEntity" WHERE (("NotificationEntity"."rule" = @0) AND ("NotificationEntity"."key" = @1) AND ("NotificationEntity"."stamp" = @2))) ORDER BY (SELECT NULL) OFFSET 0 ROWS FETCH NEXT 1 ROWS ONLY

SELECT COUNT(1) AS "cnt" FROM "known_value" "KnownValueEntity"

SELECT COUNT(1) AS "cnt" FROM "notification" "NotificationEntity" WHERE (("NotificationEntity"."status" = @0))

SELECT SCHEMA_NAME() AS "schema_name"

UPDATE "notification" SET "delivery" = @0 WHERE "id" = @1

UPDATE "notification" SET "status" = @0, "seenAt" = @1 WHERE ("id" <= @2 AND "status" = @3)

UPDATE "notification" SET "status" = @0, "seenAt" = @1 WHERE ("id" = @2 AND "status" = @3)

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
