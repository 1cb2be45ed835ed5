DECLARE @message object -- Запись регистра исходящих сообщений
DECLARE @queue   string = 'orders'

-- Источник: регистр сведений «Исходящие сообщения» базы 1С
USE '{$INFOBASE}' -- pgsql://…/база

CONSUME TOP 1000
        НомерСообщения, Заголовки, ТипСообщения, ТелоСообщения
   INTO @message
   FROM РегистрСведений.ИсходящиеСообщения
  ORDER BY НомерСообщения ASC

-- Приёмник: очередь RabbitMQ
PRODUCE '{$AMQP}' -- amqp://user:password@host:port/vhost
 SELECT RoutingKey = @queue
      , Type       = @message.ТипСообщения
      , Body       = @message.ТелоСообщения
END
