-- An outbox table of one PostgreSQL database to a table of another one:
--   OUTBOX_DB=pgsql://… TARGET_DB=pgsql://… dajet run outbox-to-pgsql.djs
DECLARE @order object

USE '{$OUTBOX_DB}'

   CONSUME TOP 1000 id, customer, body
      INTO @order
      FROM outbox
     ORDER BY id ASC

   USE '{$TARGET_DB}'
      INSERT orders
      SELECT id          = @order.id
           , customer    = @order.customer
           , body        = @order.body
           , received_at = NOW()
   END

END
