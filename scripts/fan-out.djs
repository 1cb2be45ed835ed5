-- One queue, two destinations: a row leaves the outbox only after Apache Kafka has acknowledged its message and the
-- target database has committed its row.
DECLARE @brokers string = '127.0.0.1:9092'
DECLARE @topic   string = 'orders'
DECLARE @order   object

USE '{$OUTBOX_DB}'

   CONSUME TOP 1000 id, customer, body
      INTO @order
      FROM outbox
     ORDER BY id ASC

   PRODUCE 'kafka'
      WITH BootstrapServers = @brokers
    SELECT Topic = @topic
         , Key   = @order.customer
         , Value = @order.body;

   USE '{$TARGET_DB}'
      INSERT orders
      SELECT id          = @order.id
           , customer    = @order.customer
           , body        = @order.body
           , received_at = NOW()
   END

END
