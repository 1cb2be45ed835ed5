-- Drains an outbox in order into a second database file. The example of the README makes and fills the outbox first:
--   cargo run --release -p dajet-node --example first-light
DECLARE @order object -- one row of the outbox

USE 'sqlite://outbox.db'

   CONSUME TOP 1000 id, customer, body
      INTO @order
      FROM outbox
     ORDER BY id ASC

   USE 'sqlite://orders.db'
      INSERT orders
      SELECT id       = @order.id
           , customer = RTRIM(@order.customer)
           , body     = @order.body
   END

END
