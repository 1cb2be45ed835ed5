DECLARE @message object -- Сообщение Apache Kafka
DECLARE @topic   string = 'orders'
DECLARE @group   string = 'dajet'
DECLARE @brokers string = '127.0.0.1:9092'

-- ************************************
-- * Источник: сообщения Apache Kafka *
-- ************************************
CONSUME 'kafka'
   WITH Topic            = @topic     -- Топик: один, список через запятую или ^образец
      , GroupId          = @group     -- group.id
      , BootstrapServers = @brokers   -- bootstrap.servers
      , AutoOffsetReset  = 'earliest' -- auto.offset.reset
   INTO @message

-- ************************************************************
-- * Приёмник: регистр сведений «Входящие сообщения» базы 1С *
-- ************************************************************
USE '{$INFOBASE}' -- pgsql://…/база

   INSERT РегистрСведений.ВходящиеСообщения
   SELECT НомерСообщения = VECTOR('so_incoming_queue')
        , ОтметкаВремени = NOW()
        , Отправитель    = @message.Topic
        , ТипСообщения   = @message.Key
        , ТелоСообщения  = @message.Value
END
