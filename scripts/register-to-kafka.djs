DECLARE @message object -- Запись регистра исходящих сообщений
DECLARE @brokers string = "127.0.0.1:9092"
DECLARE @нет     uuid   = "00000000-0000-0000-0000-000000000000"

-- ************************************************************
-- * Источник: регистр сведений «Исходящие сообщения» базы 1С *
-- ************************************************************
USE "{$INFOBASE}" -- pgsql://…/база

DECLARE @Отправитель string = SELECT Код
                                FROM ПланОбмена.ПланОбменаРИБ
                               WHERE Предопределённый <> @нет

CONSUME TOP 1000
        НомерСообщения, ТипСообщения, ТелоСообщения
   INTO @message
   FROM РегистрСведений.ИсходящиеСообщения
  ORDER BY НомерСообщения ASC

-- *************************
-- * Приёмник: Apache Kafka *
-- *************************
PRODUCE 'kafka'
   WITH BootstrapServers  = @brokers -- bootstrap.servers
      , ClientId          = 'dajet'  -- client.id
      , Acks              = 'all'    -- acks
      , MessageTimeoutMs  = 30000    -- message.timeout.ms
 SELECT Key   = @Отправитель           -- Ключ сообщения
      , Value = @message.ТелоСообщения -- Тело сообщения
      , Topic = @message.ТипСообщения  -- Топик
