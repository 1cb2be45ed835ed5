-- An outbox table of PostgreSQL to Apache Kafka. The database's address is a secret and comes from the environment:
--   OUTBOX_DB=pgsql://user:password@host/shop dajet run outbox-to-kafka.djs --param brokers=host:9092
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
         , Acks             = 'all'
    SELECT Topic = @topic
         , Key   = @order.customer
         , Value = @order.body

END
