-- Messages of a queue become rows: acknowledged when their rows are committed.
DECLARE @message object
DECLARE @queue string = 'orders'

CONSUME '{$AMQP}'            -- amqp://user:password@host:port/vhost
   WITH QueueName = @queue
      , BatchSize = 500      -- most messages of one transaction
   INTO @message

USE '{$TARGET_DB}'
   INSERT orders
   SELECT customer = @message.Type
        , body     = @message.Body
        , received_at = NOW()
END
