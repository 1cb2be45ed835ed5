DECLARE @change  object -- Строка таблицы изменений
DECLARE @item    object -- Что отправляется
DECLARE @topic   string = 'goods'
DECLARE @brokers string = '127.0.0.1:9092'

-- *******************************************************************
-- * Источник: изменения справочника «Номенклатура» для узла обмена *
-- *******************************************************************
USE '{$INFOBASE}' -- pgsql://…/база

DECLARE @Узел entity = SELECT Ссылка
                         FROM ПланОбмена.ПланОбменаРИБ
                        WHERE Код = 'KAFKA'
                          AND ПометкаУдаления = false

CONSUME TOP 1000 Ссылка INTO @change
   FROM Справочник.Номенклатура.Изменения
  WHERE УзелОбмена = @Узел -- изменения для других узлов остаются
  ORDER BY Ссылка ASC

SELECT Ссылка          = UUIDOF(Ссылка)
     , Код             = RTRIM(Товар.Код)
     , Наименование    = Товар.Наименование
     , ПометкаУдаления = Товар.ПометкаУдаления
  INTO @item
  FROM Справочник.Номенклатура AS Товар
APPEND (SELECT Период, Цена
          FROM РегистрСведений.ЦеныНоменклатуры
         WHERE Номенклатура = @change.Ссылка
         ORDER BY Период ASC) AS Цены
 WHERE Товар.Ссылка = @change.Ссылка

-- **************************
-- * Приёмник: Apache Kafka *
-- **************************
PRODUCE 'kafka'
   WITH BootstrapServers = @brokers
 SELECT Key   = @item.Код
      , Value = DaJet.Json(@item)
      , Topic = @topic
END
