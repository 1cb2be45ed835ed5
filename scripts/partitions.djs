-- Four pipelines drain one queue side by side, each its own customers: order holds within a partition.
DECLARE @parts array = JSON('[{"key":0},{"key":1},{"key":2},{"key":3}]')
DECLARE @part  object
DECLARE @order object

FOR @part IN @parts MAXDOP 4

   USE '{$OUTBOX_DB}'

      CONSUME TOP 500 id, customer, body
         INTO @order
         FROM outbox
        WHERE part = @part.key
        ORDER BY id ASC

      USE '{$TARGET_DB}'
         INSERT orders
         SELECT id          = @order.id
              , customer    = @order.customer
              , body        = @order.body
              , received_at = NOW()
      END

   END

END
